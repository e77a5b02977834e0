"""Order, compositing, independence of the images, and every switch of the augmentation pipeline."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from voxjax.augment import background, diffaugment, perspective, pipeline
from voxjax.augment.diffaugment import DiffAugRanges
from voxjax.augment.options import AugmentOptions

SIDE, VIEWS = 16, 2
OFF = AugmentOptions(
    diff=False, back=False, persp=False, crop=False, n_diff=2, n_back=3, crop_px=4, share_backgrounds=False
)
KEY = jax.random.PRNGKey(0)
augment = jax.jit(pipeline.augment_views, static_argnames="options")


def options(**changes):
    return dataclasses.replace(OFF, **changes)


@pytest.fixture(scope="module")
def views():
    rng = np.random.default_rng(0)
    opacity = rng.uniform(size=(VIEWS, SIDE, SIDE)).astype(np.float32)
    return opacity[..., None] * rng.uniform(size=(VIEWS, SIDE, SIDE, 3)).astype(np.float32), 1 - opacity


@pytest.fixture(scope="module")
def twin_views(views):
    """The same view twice: whatever differs then comes from the draws."""
    return tuple(np.repeat(x[:1], 2, axis=0) for x in views)


def test_with_everything_off_the_view_stands_before_an_even_background(views):
    colour, transmittance = views
    for grey in (1.0, 0.25):
        images = augment(KEY, colour, transmittance, options=options(background=grey))
        expected = colour + transmittance[..., None] * grey
        np.testing.assert_allclose(images, np.repeat(expected, 6, axis=0), atol=1e-6)


@pytest.mark.parametrize("shared", [False, True])
def test_diffaug_comes_before_the_background_and_images_are_sorted_by_view_then_draw(views, shared):
    """Rebuilt image by image from the draws of the key; a shared background stands behind all of them."""
    both = options(diff=True, back=True, blur_sd=(0.0, 3.0), share_backgrounds=shared)
    got = augment(KEY, *views, options=both)
    diff_key, back_key, _ = jax.random.split(KEY, 3)
    numbers = jax.random.uniform(diff_key, (VIEWS * 2 * 8,)).reshape(VIEWS * 2, 8)
    n_behind = VIEWS * (3 if shared else 6)
    behind = background.uniform_16bit(back_key, (n_behind, background.numbers_needed((SIDE, SIDE))))
    one_diff = jax.jit(
        lambda u, c, t: diffaugment.apply_diffaugment(diffaugment.draw_from_uniform(u, (SIDE, SIDE)), c, t)
    )
    one_back = jax.jit(lambda u: background.background_from_uniform(u, (SIDE, SIDE), blur_sd=(0.0, 3.0)))
    for view in range(VIEWS):
        for draw in range(2):
            colour, transmittance = one_diff(numbers[2 * view + draw], views[0][view], views[1][view])
            for index in range(3):
                n = (view * 2 + draw) * 3 + index
                expected = colour + transmittance[..., None] * one_back(
                    behind[3 * view + index if shared else n]
                )
                np.testing.assert_allclose(got[n], expected, atol=1e-5)


def test_perspective_comes_after_the_background_and_the_crop_last(views):
    composed = augment(KEY, *views, options=options(back=True))
    got = augment(KEY, *views, options=options(back=True, persp=True, crop=True))
    assert got.shape == (12, SIDE - 4, SIDE - 4, 3)
    numbers = jax.random.uniform(jax.random.split(KEY, 3)[2], (12 * 11,)).reshape(12, 11)
    warp = jax.jit(
        lambda image, u: perspective.warp(
            image,
            perspective.homography(
                perspective.corners_from_uniform(u, (SIDE, SIDE)), perspective.image_corners((SIDE, SIDE))
            ),
        )
    )
    for n in range(12):
        row, column = (np.asarray(numbers[n, :2]) * 5).astype(int)
        whole = warp(composed[n], numbers[n, 3:].reshape(4, 2))
        np.testing.assert_allclose(got[n], whole[row : row + SIDE - 4, column : column + SIDE - 4], atol=1e-4)


def test_crop_takes_every_place_and_nothing_else(views):
    colour, transmittance = views
    many = options(crop=True, n_diff=15, n_back=15)
    images = np.asarray(augment(KEY, colour[:1], transmittance[:1], options=many))
    composed = colour[0] + transmittance[0][..., None]
    places = {
        (row, column): composed[row : row + SIDE - 4, column : column + SIDE - 4]
        for row in range(5)
        for column in range(5)
    }
    found = [[p for p, crop in places.items() if np.allclose(image, crop, atol=1e-6)] for image in images]
    assert all(len(f) == 1 for f in found)
    assert len({f[0] for f in found}) == 25


@pytest.mark.parametrize("stage", ["diff", "back", "persp", "crop"])
def test_each_stage_can_be_switched_on_alone_and_draws_for_each_image(twin_views, stage):
    images = np.asarray(augment(KEY, *twin_views, options=options(**{stage: True})))
    plain = np.asarray(augment(KEY, *twin_views, options=OFF))
    groups = {"diff": 4, "back": 12, "persp": 12, "crop": 12}[stage]
    distinct = np.unique(images.round(5).reshape(12, -1), axis=0)
    # With 25 places for 12 crops, some fall on one another.
    assert len(distinct) == groups if stage != "crop" else len(distinct) > 4
    assert images.shape != plain.shape or not np.allclose(images, plain)


def test_the_released_code_shares_view_and_background_draws(twin_views):
    shared = options(persp=True, crop=True, shared_view_draws=True)
    images = np.asarray(augment(KEY, *twin_views, options=shared))
    np.testing.assert_allclose(images, np.broadcast_to(images[:1], images.shape), atol=1e-6)

    smooth = options(back=True, back_probabilities=(0.0, 0.0, 1.0))
    own = np.asarray(augment(KEY, *twin_views, options=smooth))
    assert len(np.unique(own.round(5).reshape(12, -1), axis=0)) == 12
    smooth = dataclasses.replace(smooth, shared_background_draws=True)
    same = np.asarray(augment(KEY, *twin_views, options=smooth))
    np.testing.assert_allclose(same, np.broadcast_to(same[:1], same.shape), atol=1e-6)


def test_the_released_code_leaves_the_transmittance_where_it_was(views):
    """Colour that moves over a black background leaves no trace of T; a white one shows where T is."""
    ranges = DiffAugRanges(brightness=0.0, saturation=(1.0, 1.0), contrast=(1.0, 1.0))
    still = options(diff=True, n_back=1, ranges=ranges, move_transmittance=False)
    black, white = (
        np.asarray(augment(KEY, *views, options=dataclasses.replace(still, background=grey)))
        for grey in (0.0, 1.0)
    )
    shown = (white - black)[..., 0]
    np.testing.assert_allclose(shown, np.repeat(views[1], 2, axis=0), atol=1e-6)
    moving = dataclasses.replace(still, move_transmittance=True)
    black, white = (
        np.asarray(augment(KEY, *views, options=dataclasses.replace(moving, background=grey)))
        for grey in (0.0, 1.0)
    )
    empty = np.all(black == 0, axis=-1)
    assert empty.sum() >= 4 * 16
    np.testing.assert_allclose(white[empty], 1.0, atol=1e-6)


def test_one_change_of_size_for_all_images_of_a_step(twin_views):
    ranges = DiffAugRanges(
        brightness=0.0,
        saturation=(1.0, 1.0),
        contrast=(1.0, 1.0),
        translation=0.0,
        cutout=0.0,
        zoom=(0.5, 1.5),
    )
    zoomed = options(diff=True, ranges=ranges)
    first = np.asarray(augment(KEY, *twin_views, options=zoomed))
    np.testing.assert_allclose(first, np.broadcast_to(first[:1], first.shape), atol=1e-6)
    second = np.asarray(augment(jax.random.PRNGKey(1), *twin_views, options=zoomed))
    assert not np.allclose(first[0], second[0], atol=1e-2)


def test_perspective_comes_with_its_probability(views):
    colour, transmittance = (x[:1] for x in views)
    few = options(persp=True, persp_probability=0.3, n_diff=10, n_back=20)
    images = np.asarray(augment(KEY, colour, transmittance, options=few))
    plain = colour[0] + transmittance[0][..., None]
    untouched = np.mean([np.allclose(image, plain, atol=1e-5) for image in images])
    # 200 coins: five standard deviations are 0.16.
    assert abs(untouched - 0.7) < 0.16
    never = augment(KEY, *views, options=options(persp=True, crop=True, persp_probability=0.0))
    cropped = augment(KEY, *views, options=options(crop=True))
    np.testing.assert_allclose(never, cropped, atol=1e-5)


def test_the_same_key_gives_the_same_images_and_another_key_others(views):
    everything = options(diff=True, back=True, persp=True, crop=True)
    first = np.asarray(augment(KEY, *views, options=everything))
    np.testing.assert_array_equal(first, augment(KEY, *views, options=everything))
    other = np.asarray(augment(jax.random.PRNGKey(7), *views, options=everything))
    assert not np.any(np.all(np.abs(first - other) < 1e-3, axis=(1, 2, 3)))


def test_clipping_is_a_switch(views):
    bright = options(diff=True, back=True)
    free = np.asarray(augment(KEY, *views, options=bright))
    assert free.max() > 1.01 or free.min() < -0.01
    clipped = augment(KEY, *views, options=dataclasses.replace(bright, clip_to_unit=True))
    np.testing.assert_allclose(clipped, np.clip(free, 0, 1), atol=1e-6)


def test_gradient_by_finite_differences_through_the_whole_pipeline(views):
    """For a given key the images are affine in colour and T, so that a difference is the slope, exactly."""
    everything = options(diff=True, back=True, persp=True, crop=True)
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(12, 20, 20, 3)).astype(np.float32)

    @jax.jit
    def scalar_and_slope(colour, transmittance, d_colour, d_transmittance):
        def scalar(c, t):
            images = pipeline.augment_views(KEY, c, t, options=everything)
            return jnp.sum(weight * pipeline.resize_to(images, 20))

        value, gradients = jax.value_and_grad(scalar, argnums=(0, 1))(colour, transmittance)
        return value, jnp.vdot(gradients[0], d_colour) + jnp.vdot(gradients[1], d_transmittance)

    for _ in range(3):
        direction = [rng.normal(size=x.shape).astype(np.float32) for x in views]
        high, slope = scalar_and_slope(*(x + d for x, d in zip(views, direction, strict=True)), *direction)
        low, again = scalar_and_slope(*(x - d for x, d in zip(views, direction, strict=True)), *direction)
        assert float(slope) == pytest.approx(float(high - low) / 2, rel=2e-3, abs=2e-2)
        assert float(slope) == pytest.approx(float(again), rel=1e-3, abs=1e-2)


@pytest.mark.parametrize("side, size", [(12, 20), (20, 12)])
def test_resize_matches_a_float64_loop(side, size):
    """Triangle weights about each target pixel, as wide as the larger of the two pixels."""
    images = np.random.default_rng(2).uniform(size=(2, side, side, 3))
    matrix = np.zeros((size, side))
    reach = max(side / size, 1.0)
    for target in range(size):
        centre = (target + 0.5) * side / size - 0.5
        for source in range(side):
            matrix[target, source] = max(0.0, 1 - abs(source - centre) / reach)
        matrix[target] /= matrix[target].sum()
    expected = np.einsum("ij,kl,njlc->nikc", matrix, matrix, images)
    got = pipeline.resize_to(jnp.asarray(images, jnp.float32), size)
    np.testing.assert_allclose(got, expected, atol=2e-6)
    assert pipeline.resize_to(got, size) is got


def test_background_colours_of_the_pipeline_are_independent_between_images(twin_views):
    """Smooth noise of all images of two views: in logits, no two have more in common than chance."""
    colour, transmittance = (np.zeros_like(twin_views[0]), np.ones_like(twin_views[1]))
    smooth = options(back=True, back_probabilities=(0.0, 0.0, 1.0), blur_sd=(0.0, 0.0), n_back=100)
    images = np.asarray(augment(KEY, colour, transmittance, options=smooth), np.float64)
    logits = scipy.special.logit(images).mean(axis=(1, 2))
    first, second = logits[:-1], logits[1:]
    for channel in range(3):
        assert abs(np.corrcoef(first[:, channel], second[:, channel])[0, 1]) < 0.25
        assert abs(np.corrcoef(logits[:200, channel], logits[200:, channel])[0, 1]) < 0.35


def test_a_crop_that_leaves_nothing_is_refused(views):
    with pytest.raises(ValueError, match="leaves nothing"):
        pipeline.augment_views(KEY, *views, options=options(crop=True, crop_px=SIDE))
