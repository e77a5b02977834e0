"""DiffAug with injected draws against float64 loops over pixels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxjax.augment import diffaugment
from voxjax.augment.diffaugment import DiffAugDraw, DiffAugRanges

HEIGHT, WIDTH = 16, 20
RANGES = DiffAugRanges()
ZOOM_RANGES = DiffAugRanges(zoom=(0.8, 1.2))
apply = jax.jit(diffaugment.apply_diffaugment, static_argnames=("ranges", "move_transmittance"))


def make_draw(brightness=0.0, saturation=1.0, contrast=1.0, shift=(0, 0), zoom=1.0, hole=(0, 0)):
    numbers = [jnp.float32(x) for x in (brightness, saturation, contrast)]
    return DiffAugDraw(*numbers, jnp.array(shift), jnp.float32(zoom), jnp.array(hole))


@pytest.fixture(scope="module")
def image():
    rng = np.random.default_rng(0)
    return rng.uniform(size=(HEIGHT, WIDTH, 3)), rng.uniform(size=(HEIGHT, WIDTH))


def jitter_loop(colour, brightness, saturation, contrast):
    out = np.zeros_like(colour)
    for r, c in np.ndindex(colour.shape[:2]):
        bright = [colour[r, c, k] + brightness for k in range(3)]
        grey = sum(bright) / 3
        out[r, c] = [grey + saturation * (b - grey) for b in bright]
    mean = sum(out.ravel()) / out.size
    return mean + contrast * (out - mean)


def shift_loop(image, down, right):
    out = np.zeros_like(image)
    for r, c in np.ndindex(image.shape[:2]):
        if 0 <= r - down < image.shape[0] and 0 <= c - right < image.shape[1]:
            out[r, c] = image[r - down, c - right]
    return out


def cut_loop(image, hole):
    """Offsets inside the square are clamped at the border, as DiffAugment's indices are."""
    out, (height, width) = image.copy(), image.shape[:2]
    side_r, side_c = int(height * 0.25 + 0.5), int(width * 0.25 + 0.5)
    for r in range(side_r):
        for c in range(side_c):
            row = min(max(hole[0] + r - side_r // 2, 0), height - 1)
            column = min(max(hole[1] + c - side_c // 2, 0), width - 1)
            out[row, column] = 0
    return out


def zoom_loop(image, zoom):
    """Resize to floor(zoom * size) by bilinear interpolation between pixel centres, then pad or crop."""
    height, width = image.shape[:2]
    new_h, new_w = int(zoom * height), int(zoom * width)
    resized = np.zeros((new_h, new_w, image.shape[2]))
    for r, c in np.ndindex(new_h, new_w):
        y = min(max((r + 0.5) * height / new_h - 0.5, 0), height - 1)
        x = min(max((c + 0.5) * width / new_w - 0.5, 0), width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        for row, wy in ((top, 1 - (y - top)), (bottom, y - top)):
            for column, wx in ((left, 1 - (x - left)), (right, x - left)):
                resized[r, c] += wy * wx * image[row, column]
    out = np.zeros_like(image)
    for r, c in np.ndindex(height, width):
        row = r - (height - new_h) // 2 if new_h < height else r + (new_h - height) // 2
        column = c - (width - new_w) // 2 if new_w < width else c + (new_w - width) // 2
        if 0 <= row < new_h and 0 <= column < new_w:
            out[r, c] = resized[row, column]
    return out


DRAWS = [
    {"brightness": -0.5, "saturation": 0.0, "contrast": 0.5, "shift": (2, 3), "hole": (0, 0)},
    {"brightness": 0.31, "saturation": 1.7, "contrast": 1.5, "shift": (-2, 1), "hole": (16, 19)},
    {"brightness": 0.5, "saturation": 2.0, "contrast": 1.1, "shift": (1, -3), "hole": (7, 9)},
    {"shift": (0, 0), "hole": (1, 18)},
]


@pytest.mark.parametrize("numbers", DRAWS)
@pytest.mark.parametrize("move_transmittance", [True, False])
def test_apply_matches_the_loops(image, numbers, move_transmittance):
    colour, transmittance = image
    draw = make_draw(**numbers)
    got_colour, got_t = apply(draw, *image, ranges=RANGES, move_transmittance=move_transmittance)
    jittered = jitter_loop(
        colour, numbers.get("brightness", 0), numbers.get("saturation", 1), numbers.get("contrast", 1)
    )
    moved = cut_loop(shift_loop(jittered, *numbers["shift"]), numbers["hole"])
    np.testing.assert_allclose(got_colour, moved, atol=2e-6)
    opacity = cut_loop(shift_loop(1 - transmittance[..., None], *numbers["shift"]), numbers["hole"])
    expected_t = 1 - opacity[..., 0] if move_transmittance else transmittance
    np.testing.assert_allclose(got_t, expected_t, atol=2e-6)
    # Where the object was cut out or moved away, the background shows in full; in the released code not.
    gone = moved[..., 0] == 0
    assert gone.sum() >= 4 and np.all(np.asarray(got_t)[gone] == 1) == move_transmittance


@pytest.mark.parametrize("zoom", [0.8, 0.93, 1.0, 1.07, 1.2])
def test_change_of_size_matches_the_loop(image, zoom):
    draw = make_draw(zoom=zoom, hole=(9, 9), shift=(2, -1))
    got_colour, got_t = apply(draw, *image, ranges=ZOOM_RANGES)
    both = np.concatenate([image[0], 1 - image[1][..., None]], axis=-1)
    expected = cut_loop(zoom_loop(shift_loop(both, 2, -1), float(np.float32(zoom))), (9, 9))
    np.testing.assert_allclose(got_colour, expected[..., :3], atol=5e-6)
    np.testing.assert_allclose(got_t, 1 - expected[..., 3], atol=5e-6)


def test_gradient_by_finite_differences(image):
    """Of a weighted sum of colour and T, in float64 loops, along random directions."""
    rng = np.random.default_rng(1)
    weight_c, weight_t = rng.normal(size=image[0].shape), rng.normal(size=image[1].shape)
    numbers = DRAWS[1]

    def scalar(colour, transmittance):
        c, t = diffaugment.apply_diffaugment(make_draw(**numbers), colour, transmittance)
        return jnp.sum(weight_c * c) + jnp.sum(weight_t * t)

    def oracle(colour, transmittance):
        jittered = jitter_loop(colour, numbers["brightness"], numbers["saturation"], numbers["contrast"])
        c = cut_loop(shift_loop(jittered, *numbers["shift"]), numbers["hole"])
        opacity = cut_loop(shift_loop(1 - transmittance[..., None], *numbers["shift"]), numbers["hole"])
        return np.sum(weight_c * c) + np.sum(weight_t * (1 - opacity[..., 0]))

    gradient = jax.jit(jax.grad(scalar, argnums=(0, 1)))(*(jnp.asarray(x, jnp.float32) for x in image))
    for _ in range(3):
        direction = [rng.normal(size=x.shape) for x in image]
        high = oracle(*(x + 1e-3 * d for x, d in zip(image, direction, strict=True)))
        low = oracle(*(x - 1e-3 * d for x, d in zip(image, direction, strict=True)))
        slope = sum(np.sum(np.asarray(g) * d) for g, d in zip(gradient, direction, strict=True))
        assert slope == pytest.approx((high - low) / 2e-3, rel=1e-3)


def draws(n, ranges, seed=0):
    sample = functools.partial(diffaugment.sample_diffaugment, size=(HEIGHT, WIDTH), ranges=ranges)
    return jax.jit(jax.vmap(sample))(jax.random.split(jax.random.PRNGKey(seed), n))


def test_draws_are_uniform_over_the_reference_ranges():
    many = jax.tree.map(np.asarray, draws(4000, ZOOM_RANGES))
    for values, low, high in (
        (many.brightness, -0.5, 0.5),
        (many.saturation, 0.0, 2.0),
        (many.contrast, 0.5, 1.5),
        (many.zoom, 0.8, 1.2),
    ):
        assert low <= values.min() and values.max() <= high
        counts = np.histogram(values, bins=8, range=(low, high))[0]
        assert np.all(np.abs(counts - 500) < 5 * np.sqrt(500))
    # 12.5 % of 16 and 20 are 2 and 2.5 pixels; the hole is 4 and 5 wide, so its centre has 17 and 20 places.
    for values, places in (
        (many.shift[:, 0], range(-2, 3)),
        (many.shift[:, 1], range(-3, 4)),
        (many.hole[:, 0], range(17)),
        (many.hole[:, 1], range(20)),
    ):
        found, counts = np.unique(values, return_counts=True)
        assert found.tolist() == list(places)
        expected = 4000 / len(places)
        assert np.all(np.abs(counts - expected) < 5 * np.sqrt(expected))


def test_draws_are_independent_of_each_other():
    many = draws(4000, ZOOM_RANGES, seed=1)
    columns = [np.asarray(leaf, np.float64).reshape(4000, -1) for leaf in jax.tree.leaves(many)]
    correlation = np.corrcoef(np.concatenate(columns, axis=1).T)
    assert correlation.shape == (8, 8)
    assert np.max(np.abs(correlation - np.eye(8))) < 0.08


def test_everything_can_be_switched_off(image):
    off = DiffAugRanges(
        brightness=0.0, saturation=(1.0, 1.0), contrast=(1.0, 1.0), translation=0.0, cutout=0.0
    )
    draw = jax.tree.map(lambda leaf: leaf[0], draws(2, off))
    colour, transmittance = apply(draw, *image, ranges=off)
    np.testing.assert_allclose(colour, image[0], atol=1e-6)
    np.testing.assert_allclose(transmittance, image[1], atol=1e-6)
