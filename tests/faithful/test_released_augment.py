"""Whole batches of images against the released augmentations in float64, with all draws injected."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful import injected_draws as injected
from faithful.closeness import assert_close
from faithful.pure_clip_backgrounds import blur
from faithful.pure_clip_diffaug import composite_text, resize_bilinear, step_batch
from faithful.pure_clip_views import crop_resize, perspective

from voxjax.augment import background, pipeline
from voxjax.config.loading import load
from voxjax.training import assembly

SIDE, CLIP, CROP, N_DIFF, N_BACK = 16, 20, 3, 2, 6
KEY = jax.random.key(5)
SMALL = [("augment.crop_px", str(CROP)), ("augment.n_diff", str(N_DIFF)), ("augment.n_back", str(N_BACK))]
augment = jax.jit(pipeline.augment_views, static_argnames="options")


def options_of(spec, **changes):
    """The options of a shipped config at the size of this test."""
    options = assembly.make_augmentation(load(spec, [("prompt", "a ball"), *SMALL]), CLIP)
    return dataclasses.replace(options, **changes)


RELEASED = options_of("configs/vox_exp.py:released")


@pytest.fixture(scope="module")
def view():
    rng = np.random.default_rng(0)
    opacity = rng.uniform(size=(SIDE, SIDE))
    colour, light = opacity[..., None] * rng.uniform(size=(SIDE, SIDE, 3)), 1 - opacity
    return tuple(np.asarray(x, np.float32).astype(np.float64) for x in (colour, light))


def ours(view, options, key=KEY):
    colour, light = (jnp.asarray(x, jnp.float32)[None] for x in view)
    return np.asarray(augment(key, colour, light, options=options), np.float64)


def sorted_by_copy(batch, n_diff=N_DIFF, n_back=N_BACK):
    """The release sorts images by background, we by DiffAug copy."""
    return batch.reshape(n_back, n_diff, *batch.shape[1:]).swapaxes(0, 1).reshape(batch.shape)


def released_batch(view, key=KEY, *, warped=True):
    """All images behind the crop, by the oracle; and the draws of perspective and crop."""
    diff_key, back_key, view_key = jax.random.split(key, 3)
    draws, ratio = injected.diff_draws(diff_key, N_DIFF, SIDE)
    numbers = injected.background_numbers(back_key, N_BACK, SIDE)
    behind = np.stack([injected.oracle_background(u, numbers[0], SIDE) for u in numbers])
    images = sorted_by_copy(step_batch(*view, behind, draws, ratio))
    (top, left), corners = injected.view_draws(view_key, len(images), SIDE, crop_px=CROP)[0]
    if warped:
        images = [perspective(image, corners, mask_twice=False, half_pixel=False) for image in images]
    size = SIDE - CROP
    return np.stack([image[top : top + size, left : left + size] for image in images]), (top, left)


@pytest.mark.parametrize("seed", [5, 6, 7])
def test_the_images_of_a_released_step_are_those_of_the_oracle(view, seed):
    key = jax.random.key(seed)
    expected, _ = released_batch(view, key)
    assert_close(ours(view, RELEASED, key), expected)
    # White under the object and a background on top: brighter than any picture.
    assert expected.max() > 1.2


def test_the_seeds_of_these_tests_show_every_kind_of_background_and_both_changes_of_size():
    kinds, ratios = set(), []
    for seed in (5, 6, 7):
        diff_key, back_key, _ = jax.random.split(jax.random.key(seed), 3)
        kinds |= {injected.kind_of(u) for u in injected.background_numbers(back_key, N_BACK, SIDE)}
        ratios.append(injected.diff_draws(diff_key, N_DIFF, SIDE)[1])
    assert kinds == {0, 1, 2} and min(ratios) < 0.95 and max(ratios) > 1.05


def test_vox_imp_has_no_perspective(view):
    options = options_of("configs/vox_imp.py:released")
    assert_close(ours(view, options), released_batch(view, warped=False)[0])


def test_crop_and_resize_are_those_of_the_release(view):
    got = pipeline.resize_to(jnp.asarray(ours(view, RELEASED), jnp.float32), CLIP)
    cropped, _ = released_batch(view)
    assert_close(np.asarray(got), np.stack([resize_bilinear(image, (CLIP, CLIP)) for image in cropped]))
    rng = np.random.default_rng(1)
    image = rng.random((SIDE, SIDE, 3))
    ours_of_crop = pipeline.resize_to(jnp.asarray(image[1:14, 2:15][None], jnp.float32), CLIP)[0]
    assert_close(np.asarray(ours_of_crop), crop_resize(image, 1, 2, CLIP, margin=CROP))


def test_the_vertical_blur_of_the_release_is_4_whatever_is_drawn():
    image = np.random.default_rng(2).random((SIDE, SIDE, 3))
    draw = jax.jit(lambda sd: background.gaussian_blur(jnp.asarray(image, jnp.float32), sd, vertical_sd=4.0))
    for sd in (0.2, 3.0, 9.9):
        assert_close(draw(sd), blur(image, sd))
    assert RELEASED.blur_vertical_sd == 4.0


def test_the_text_shows_the_background_where_nothing_is_left(view):
    """The default: nothing under the object, T moves along, each background behind all copies."""
    options = options_of("configs/vox_exp.py", persp=False, crop=False)
    diff_key, back_key, _ = jax.random.split(KEY, 3)
    draws, _ = injected.diff_draws(diff_key, N_DIFF, SIDE)
    numbers = injected.background_numbers(back_key, N_BACK, SIDE)
    behind = [injected.oracle_background(u, u, SIDE, vertical_sd=0.0) for u in numbers]
    expected = [composite_text(*view, each, draw) for draw in draws for each in behind]
    assert_close(ours(view, options), np.stack(expected))


def test_several_views_have_backgrounds_of_their_own(view):
    two = jnp.asarray(np.stack([view[0]] * 2), jnp.float32), jnp.asarray(np.stack([view[1]] * 2), jnp.float32)
    options = dataclasses.replace(RELEASED, diff=False, persp=False, crop=False)
    images = np.asarray(augment(KEY, *two, options=options)).reshape(2, N_DIFF, N_BACK, SIDE, SIDE, 3)
    numbers = injected.background_numbers(jax.random.split(KEY, 3)[1], 2 * N_BACK, SIDE)
    for i in range(2):
        for k in range(N_BACK):
            behind = injected.oracle_background(numbers[i * N_BACK + k], numbers[0], SIDE)
            expected = view[0] + view[1][..., None] * (1 + behind)
            for copy in range(N_DIFF):
                assert_close(images[i, copy, k], expected)
