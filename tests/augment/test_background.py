"""Backgrounds: a loop, scipy's correlation, and the statistics of the spectrum."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from voxjax.augment import background

SIZE = (24, 20)


@pytest.fixture(scope="module")
def many():
    """900 backgrounds, not blurred."""
    draw = functools.partial(background.sample_background, size=SIZE, blur_sd=(0.0, 0.0))
    return np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.PRNGKey(0), 900)))


def kind_of(image):
    """0: two colours only; 1: neighbours unrelated; 2: smooth."""
    if len(np.unique(image.reshape(-1, 3), axis=0)) <= 2:
        return 0
    left, right = image[:, :-1].ravel(), image[:, 1:].ravel()
    return 1 if abs(np.corrcoef(left, right)[0, 1]) < 0.3 else 2


@pytest.mark.parametrize("size", [(16, 16), (20, 27)])
def test_checkerboard_has_eight_squares_a_side(size):
    colours = np.random.default_rng(0).uniform(size=(2, 3)).astype(np.float32)
    board = np.asarray(background.checkerboard(jnp.asarray(colours), size))
    for row in range(size[0]):
        for column in range(size[1]):
            square = int(row / size[0] * 8 + 1e-9) + int(column / size[1] * 8 + 1e-9)
            np.testing.assert_array_equal(board[row, column], colours[square % 2])


@pytest.mark.parametrize("sd", [0.4, 2.0, 10.0])
@pytest.mark.parametrize("reflect, mode", [(True, "mirror"), (False, "constant")])
def test_blur_matches_scipy(sd, reflect, mode):
    image = np.random.default_rng(1).uniform(size=(9, 22, 3))
    taps = np.exp(-0.5 * (np.arange(-7, 8) / sd) ** 2)
    taps /= taps.sum()
    expected = image
    for axis in (0, 1):
        expected = scipy.ndimage.correlate1d(expected, taps, axis=axis, mode=mode)
    blur = jax.jit(background.gaussian_blur, static_argnames="reflect")
    np.testing.assert_allclose(blur(image, jnp.float32(sd), reflect=reflect), expected, atol=3e-6)


def test_blur_of_strength_zero_changes_nothing_and_tiny_images_are_refused():
    image = np.random.default_rng(2).uniform(size=(8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(jax.jit(background.gaussian_blur)(image, jnp.float32(0.0)), image)
    with pytest.raises(ValueError, match="at least 8 pixels"):
        background.gaussian_blur(image[:7], jnp.float32(1.0))


def test_smooth_noise_is_the_inverse_transform_of_its_spectrum():
    """Against a sum over waves in float64, on an odd height."""
    height, width = 7, 8
    normals = np.random.default_rng(3).normal(size=(2, 3, height, width // 2 + 1))
    root = np.array([[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]])
    root /= max(np.sqrt((root[:, c] ** 2).sum()) for c in range(3))
    planes = np.zeros((3, height, width))
    rows, columns = np.mgrid[:height, :width]
    for u in range(height):
        for v in range(width // 2 + 1):
            fy, fx = (u if u < height / 2 else u - height) / height, v / width
            amplitude = 0.2 * np.sqrt(height * width) / max(np.hypot(fy, fx), 1 / max(height, width)) ** 1.5
            # A real image has each wave twice, but those of the first and last column only once.
            times = 1 if v in (0, width // 2) else 2
            phase = 2 * np.pi * (u * rows / height + v * columns / width)
            for c in range(3):
                wave = normals[0, c, u, v] * np.cos(phase) - normals[1, c, u, v] * np.sin(phase)
                planes[c] += times * amplitude * wave / (height * width)
    mixed = np.einsum("dc,chw->hwd", root, planes / 4)
    got = background.smooth_noise(jnp.asarray(normals, jnp.float32), (height, width))
    np.testing.assert_allclose(got, 1 / (1 + np.exp(-mixed)), atol=1e-5)


def test_smooth_noise_has_the_spectrum_and_the_colours_of_the_reference():
    n, size = 300, (32, 32)
    u = background.uniform_16bit(jax.random.PRNGKey(1), (n, *background.spectrum_shape(size)))
    make = jax.jit(jax.vmap(lambda x: background.smooth_noise(jax.scipy.special.ndtri(x), size)))
    logits = scipy.special.logit(np.asarray(make(u), np.float64))
    root = background.COLOUR_MATRIX
    np.testing.assert_allclose(np.linalg.norm(root, axis=0).max(), 1.0)
    planes = np.einsum("cd,nhwd->nchw", np.linalg.inv(root), logits) * 4
    power = np.mean(np.abs(np.fft.rfft2(planes)) ** 2, axis=(0, 1))
    f = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.rfftfreq(32))
    expected = 2 * (0.2 * 32 / np.maximum(f, 1 / 32) ** 1.5) ** 2
    # 900 samples of an exponential law: 3.3 % standard error a bin. The border columns mirror themselves.
    np.testing.assert_allclose(power[:, 1:-1] / expected[:, 1:-1], 1.0, atol=0.2)
    assert np.mean(power[:, 1:-1] / expected[:, 1:-1]) == pytest.approx(1.0, abs=0.01)
    flat = logits.reshape(-1, 3)
    covariance = root @ root.T
    ratio = np.cov(flat.T) / covariance
    np.testing.assert_allclose(ratio / ratio[0, 0], 1.0, atol=0.1)


def test_kinds_come_equally_often_and_all_values_are_colours(many):
    assert many.min() >= 0 and many.max() <= 1
    counts = np.bincount([kind_of(image) for image in many], minlength=3)
    assert np.all(np.abs(counts - 300) < 5 * np.sqrt(900 * 2 / 9))


def test_backgrounds_are_independent_between_images(many):
    flat = many.reshape(900, -1)
    assert len(np.unique(flat, axis=0)) == 900
    noise = flat[[kind_of(image) == 1 for image in many]][:60]
    correlation = np.corrcoef(noise)
    assert np.max(np.abs(correlation - np.eye(60))) < 0.15
    boards = many[[kind_of(image) == 0 for image in many]]
    colours = np.stack([boards[:, 0, 0], boards[:, 0, -1]], axis=1).reshape(-1, 3).ravel()
    assert scipy.stats.kstest(colours, "uniform").pvalue > 1e-3


def test_noise_is_uniform(many):
    noise = many[[kind_of(image) == 1 for image in many]]
    assert scipy.stats.kstest(noise.ravel()[::7], "uniform").pvalue > 1e-3


def test_kinds_of_probability_zero_never_come():
    size, n = (8, 8), 40
    keys = jax.random.split(jax.random.PRNGKey(2), n)
    for kind in range(3):
        probabilities = tuple(float(k == kind) for k in range(3))
        draw = functools.partial(
            background.sample_background, size=size, blur_sd=(0.0, 0.0), probabilities=probabilities
        )
        images = np.asarray(jax.jit(jax.vmap(draw))(keys))
        two_colours = [len(np.unique(image.reshape(-1, 3), axis=0)) == 2 for image in images]
        assert all(two_colours) if kind == 0 else not any(two_colours)
    with pytest.raises(ValueError, match="positive probability"):
        background.sample_background(keys[0], size, probabilities=(0.0, 0.0, 0.0))


def test_the_blur_of_each_image_has_its_own_strength():
    """Of noise, the blur leaves a standard deviation that falls with its strength."""
    draw = functools.partial(
        background.sample_background, size=SIZE, blur_sd=(0.0, 10.0), probabilities=(0.0, 1.0, 0.0)
    )
    images = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.PRNGKey(4), 64)))
    spread = images.std(axis=(1, 2)).mean(axis=-1)
    assert spread.max() > 0.15 and np.median(spread) < 0.05
    assert len(np.unique(spread)) == 64


def test_shared_numbers_fix_blur_and_spectrum_only():
    """The released code's way: one spectrum and one blur for all images, kinds and colours for each."""
    size = (16, 16)
    u = background.uniform_16bit(jax.random.PRNGKey(5), (40, background.numbers_needed(size)))
    make = jax.jit(jax.vmap(lambda x: background.background_from_uniform(x, size, shared=u[0])))
    images = np.asarray(make(u))
    smooth = images[np.asarray(u[:, 0]) > 2 / 3 + 1e-3]
    boards = images[np.asarray(u[:, 0]) < 1 / 3 - 1e-3]
    assert len(smooth) > 3 and len(boards) > 3
    np.testing.assert_array_equal(smooth, np.broadcast_to(smooth[:1], smooth.shape))
    assert len(np.unique(boards.reshape(len(boards), -1), axis=0)) == len(boards)


def test_uniform_16bit_stays_off_both_ends():
    u = np.asarray(background.uniform_16bit(jax.random.PRNGKey(6), (3, 66_667)))
    assert u.shape == (3, 66_667) and u.min() > 0 and u.max() < 1
    assert scipy.stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(u.ravel()[::2][:-1], u.ravel()[1::2])[0, 1]) < 0.02


def test_no_gradient_flows_through_a_background():
    u = jnp.full((background.numbers_needed((8, 8)),), 0.9)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(background.background_from_uniform(x, (8, 8)))))(u)
    np.testing.assert_array_equal(gradient, 0.0)
