"""Curves as pictures: where the lines go, and what is left out."""

import numpy as np

from voxjax.pictures.plots import _LEFT, _RIGHT, _TOP, COLOURS, Curve, _log_ticks, _ticks, plot

WIDTH, HEIGHT = 640, 360


def pixels_of(image, k):
    """(rows, columns) of a curve's colour inside the axes."""
    inside = image[_TOP : HEIGHT - 40].astype(int)
    return np.nonzero(np.abs(inside - np.array(COLOURS[k])).sum(axis=-1) < 40)


def test_a_rising_and_a_falling_line():
    x = np.array([0.0, 10.0])
    image = plot(
        [Curve("up", x, np.array([0.0, 1.0])), Curve("down", x, np.array([1.0, 0.0]))], title="t", x_label="x"
    )
    assert image.shape == (HEIGHT + 2 * 19, WIDTH, 3)
    for k, sign in ((0, -1), (1, 1)):
        rows, columns = pixels_of(image, k)
        assert columns.min() <= _LEFT + 3 and columns.max() >= WIDTH - _RIGHT - 3
        # A straight line from corner to corner.
        slope, _ = np.polyfit(columns, rows, 1)
        assert sign * slope > 0 and abs(np.corrcoef(columns, rows)[0, 1]) > 0.999


def test_a_logarithmic_axis_makes_a_line_of_an_exponential_and_leaves_zeros_out():
    x = np.arange(41.0)
    y = 10.0 ** (-x / 10)
    y[15:26] = 0.0
    image = plot([Curve("decay", x, y), Curve("none", x, 0 * x)], title="t", x_label="x", log_y=True)
    rows, columns = pixels_of(image, 0)
    assert abs(np.corrcoef(columns, rows)[0, 1]) > 0.999
    share = (columns - _LEFT) / (WIDTH - _LEFT - _RIGHT)
    assert not ((share > 0.37) & (share < 0.63)).any() and (share < 0.3).any() and (share > 0.7).any()
    assert len(pixels_of(image, 1)[0]) == 0
    # Nothing at all to draw is an empty plot.
    assert plot([], title="t", x_label="x").shape == (HEIGHT, WIDTH, 3)


def test_ticks_are_round_numbers():
    np.testing.assert_allclose(_ticks(0.0, 40.0), [0, 10, 20, 30, 40])
    np.testing.assert_allclose(_ticks(-0.11, 0.33), [-0.1, 0, 0.1, 0.2, 0.3], atol=1e-12)
    np.testing.assert_allclose(10 ** np.array(_log_ticks(-2.0, -0.9)), [0.01, 0.02, 0.05, 0.1])
    np.testing.assert_allclose(10 ** np.array(_log_ticks(-6.5, -2.0)), [1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    assert _log_ticks(0.35, 0.4) == _ticks(0.35, 0.4)
