"""What CLIP sees of a Dream Fields render: crop, resize, background at CLIP's size, darkened compositing."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful import dream_fields_images as oracle
from faithful.dream_fields_parts import config_of
from faithful.dream_fields_translation import image_draws

from voxjax.augment.pipeline import augment_views
from voxjax.training.assembly import make_augmentation

WIDTH, CROP, IMAGES = 20, 16, 12
augment = jax.jit(augment_views, static_argnames="options")


def ours(key, colour, transmittance, clip_px, **changes):
    """Images [n, clip_px, clip_px, 3] of one view, with the options that the config stands for."""
    sizes = {"augment__crop_px": WIDTH - CROP, "augment__n_back": IMAGES, "cameras__width_px": WIDTH}
    options = make_augmentation(config_of("lq-released", **{**sizes, **changes}), clip_px)
    view = jnp.asarray(colour, jnp.float32)[None], jnp.asarray(transmittance, jnp.float32)[None]
    return np.asarray(augment(key, *view, options=options), np.float64)


def expected(key, colour, opacity, clip_px):
    draws = image_draws(key, IMAGES, taken=WIDTH - CROP, size=clip_px)
    return np.stack([oracle.augment(colour, opacity, each, CROP, clip_px) for each in draws]), draws


@pytest.fixture(scope="module")
def view():
    """A premultiplied picture and its opacity, thick, thin and nothing."""
    rng = np.random.default_rng(0)
    opacity = np.clip(1.6 * rng.random((WIDTH, WIDTH)) - 0.3, 0, 1)
    colour, opacity = np.float32(opacity[..., None] * rng.random((WIDTH, WIDTH, 3))), np.float32(opacity)
    return colour.astype(np.float64), opacity.astype(np.float64)


@pytest.mark.parametrize("clip_px", [16, 24], ids=["as-cropped", "enlarged"])
def test_the_images_of_a_step_agree_with_every_kind_of_background(view, clip_px):
    colour, opacity = view
    images, draws = expected(jax.random.key(1), colour, opacity, clip_px)
    actual = ours(jax.random.key(1), colour, 1 - opacity, clip_px)
    assert {each["kind"] for each in draws} == {0, 1, 2}
    assert len({(each["ix"], each["iy"]) for each in draws}) > 3
    np.testing.assert_allclose(actual, images, rtol=0, atol=1e-5)


def test_backgrounds_are_made_at_the_size_of_clip_and_fade_towards_the_border():
    nothing = np.zeros((WIDTH, WIDTH, 3)), np.zeros((WIDTH, WIDTH))
    images, draws = expected(jax.random.key(2), *nothing, 32)
    actual = ours(jax.random.key(2), nothing[0], 1 - nothing[1], 32)
    np.testing.assert_allclose(actual, images, rtol=0, atol=1e-5)
    blurred = [i for i, each in enumerate(draws) if each["blur"] > 0.4]
    assert len(blurred) > 3
    # Zeros beyond the border: an edge keeps about half, a corner less than a third.
    rim, corner = actual[blurred][:, 0, 8:24].mean((1, 2)), actual[blurred][:, 0, 0].mean(-1)
    middle = actual[blurred][:, 12:20, 12:20].mean((1, 2, 3))
    assert (rim < 0.85 * middle).mean() > 0.8 and (corner < 0.7 * middle).mean() > 0.8
    # Made at the size of the render and enlarged they are others, and mirrored borders do not darken.
    small = ours(jax.random.key(2), nothing[0], 1 - nothing[1], 32, augment__background_at="render")
    assert small.shape[1] == CROP
    bright = ours(jax.random.key(2), nothing[0], 1 - nothing[1], 32, augment__blur_reflect=True)
    assert np.abs(bright - images)[:, 0].max() > 0.1


def test_a_constant_falls_at_the_border_as_in_the_release():
    blurred = oracle.blur(np.ones((40, 40, 1)), 10.0)[..., 0]
    assert blurred[20, 20] == pytest.approx(1)
    assert blurred[0, 20] == pytest.approx(0.536, abs=1e-3)
    assert blurred[0, 0] == pytest.approx(0.288, abs=1e-3)


def test_thin_density_is_darkened_twice(view):
    colour, half = np.full((WIDTH, WIDTH, 3), 0.5 * 0.8), np.full((WIDTH, WIDTH), 0.5)
    black = {"augment__back": False, "augment__background": 0.0}
    actual = ours(jax.random.key(3), colour, 1 - half, 24, **black)
    np.testing.assert_allclose(actual, 0.25 * 0.8, rtol=1e-5)
    once = ours(jax.random.key(3), colour, 1 - half, 24, **black, augment__composite="premultiplied")
    np.testing.assert_allclose(once, 0.5 * 0.8, rtol=1e-5)


def test_opacity_and_colour_are_resized_before_they_are_put_together(view):
    """Product of resized pictures, not resized product: they differ at every edge of the object."""
    colour, opacity = view
    black = {"augment__back": False, "augment__background": 0.0}
    actual = ours(jax.random.key(4), colour, 1 - opacity, 32, **black)
    draws = image_draws(jax.random.key(4), IMAGES, taken=WIDTH - CROP, size=32)
    for image, each in zip(actual, draws, strict=True):
        pieces = [oracle.crop(p, each["ix"], each["iy"], CROP) for p in (colour, opacity[..., None])]
        resized = [oracle.resize(p, 32) for p in pieces]
        np.testing.assert_allclose(image, resized[0] * resized[1], rtol=0, atol=1e-5)
        assert np.abs(image - oracle.resize(pieces[0] * pieces[1], 32)).max() > 0.05


@pytest.mark.parametrize("variant", ["lq", "mq", "hq", "lq-released"])
def test_every_size_has_the_pictures_of_the_release(variant):
    config = config_of(variant)
    options = make_augmentation(config, 224)
    width, crop = {"lq": (88, 80), "mq": (168, 154), "hq": (252, 224)}[variant[:2]]
    assert (config.cameras.width_px, options.crop_px) == (width, width - crop)
    assert (options.background_px, options.composite, options.blur_reflect) == (224, "darkened", False)
    assert (options.diff, options.persp, options.n_diff, options.n_back) == (False, False, 1, 8)
    assert options.under == "nothing" and not options.clip_to_unit and not options.shared_background_draws
    np.testing.assert_allclose(options.back_probabilities, (0.333, 0.333, 0.334), atol=1e-3)
