"""The order of the augmentations, and the compositing; nowhere else are they stated.

Notation. v views, n = v * n_diff * n_back images; images are [height, width, 3]. In this order: DiffAug of
colour and transmittance, a background, colour + T * background, PerspAug, a random crop. Resizing to the
resolution of a CLIP is `resize_to`, once per CLIP; the normalisation of pixels is the CLIP's own business.
Every image has its own draws at every stage, and a stage that is switched off leaves the draws of the others
as they are.
"""

from __future__ import annotations

import dataclasses

import chex
import jax
import jax.numpy as jnp

from voxjax.augment import background, diffaugment, perspective
from voxjax.augment.diffaugment import DiffAugRanges
from voxjax.structs import Array


@dataclasses.dataclass(frozen=True)
class AugmentOptions:
    """What is done to a rendered view; static and hashable. The defaults are the paper's for Vox_Exp.

    Attributes:
      diff: DiffAug on or off.
      back: random backgrounds, or one even `background`.
      persp: random perspective (the paper: on for Vox_Exp, off for Vox_Imp).
      crop: random crop.
      n_diff: DiffAug draws per view; as many copies are made when `diff` is off.
      n_back: backgrounds per DiffAug draw; as many copies are made when `back` is off.
      ranges: how far DiffAug goes.
      back_probabilities: of checkerboard, noise and smooth noise.
      blur_sd: range of the background blur's standard deviation, pixels.
      blur_reflect: mirrored borders in the blur; False for Dream Fields' zeros.
      background: grey level in [0, 1] behind the object where `back` is off; 1 is white.
      distortion: of the perspective, in [0, 1).
      persp_probability: share of the images that get a perspective.
      crop_px: pixels that the crop takes off each side length.
      clip_to_unit: clip the composite to [0, 1]; both references do not.
      move_transmittance: DiffAug moves opacity with colour; False repeats the released code.
      shared_background_draws: blur strength and spectrum drawn once a step; True repeats the released code.
      shared_view_draws: perspective and crop drawn once a step; True repeats the released code.
    """

    diff: bool = True
    back: bool = True
    persp: bool = True
    crop: bool = True
    n_diff: int = 8
    n_back: int = 8
    ranges: DiffAugRanges = DiffAugRanges()
    back_probabilities: tuple[float, float, float] = (1 / 3, 1 / 3, 1 / 3)
    blur_sd: tuple[float, float] = (0.0, 10.0)
    blur_reflect: bool = True
    background: float = 1.0
    distortion: float = 0.6
    persp_probability: float = 1.0
    crop_px: int = 16
    clip_to_unit: bool = False
    move_transmittance: bool = True
    shared_background_draws: bool = False
    shared_view_draws: bool = False


def _uniform(key: Array, n: int, per_image: int) -> Array:
    """Numbers [n, per_image] in [0, 1) for all images of a stage.

    One flat call for all: calls of the generator, and odd shapes in them above all, are what takes XLA long
    to compile on CPU, and numbers of one call are as independent as those of many.
    """
    return jax.random.uniform(key, (n * per_image,)).reshape(n, per_image)


def _diff(key: Array, colour: Array, transmittance: Array, options: AugmentOptions) -> tuple[Array, Array]:
    """DiffAug: [v, h, w, 3], [v, h, w] -> [v * n_diff, h, w, 3], [v * n_diff, h, w]."""
    colour = jnp.repeat(colour, options.n_diff, axis=0)
    transmittance = jnp.repeat(transmittance, options.n_diff, axis=0)
    if not options.diff:
        return colour, transmittance
    n, height, width, _ = colour.shape
    u = _uniform(key, n, 8)
    # One change of size for all images, as in the released code; the last number of an image is for it.
    u = u.at[:, 7].set(u[0, 7])

    def augment(numbers: Array, a_colour: Array, a_transmittance: Array) -> tuple[Array, Array]:
        draw = diffaugment.draw_from_uniform(numbers, (height, width), ranges=options.ranges)
        return diffaugment.apply_diffaugment(
            draw,
            a_colour,
            a_transmittance,
            ranges=options.ranges,
            move_transmittance=options.move_transmittance,
        )

    return jax.vmap(augment)(u, colour, transmittance)


def _composite(key: Array, colour: Array, transmittance: Array, options: AugmentOptions) -> Array:
    """BackAug: [m, h, w, 3], [m, h, w] -> [m * n_back, h, w, 3]."""
    m, height, width, _ = colour.shape
    n = m * options.n_back
    if options.back:
        u = background.uniform_16bit(key, (n, background.numbers_needed((height, width))))

        def draw(numbers: Array) -> Array:
            return background.background_from_uniform(
                numbers,
                (height, width),
                blur_sd=options.blur_sd,
                reflect=options.blur_reflect,
                probabilities=options.back_probabilities,
                shared=u[0] if options.shared_background_draws else None,
            )

        behind = jax.vmap(draw)(u).reshape(m, options.n_back, height, width, 3)
    else:
        behind = jnp.full((m, options.n_back, height, width, 3), options.background, colour.dtype)
    images = colour[:, None] + transmittance[:, None, ..., None] * behind
    images = jnp.clip(images, 0.0, 1.0) if options.clip_to_unit else images
    chex.assert_shape(images, (m, options.n_back, height, width, 3))
    return images.reshape(n, height, width, 3)


def _view(key: Array, images: Array, options: AugmentOptions) -> Array:
    """PerspAug and crop: [n, h, w, 3] -> [n, h', w', 3]."""
    n, height, width, _ = images.shape
    if not (options.persp or options.crop):
        return images
    taken = options.crop_px if options.crop else 0
    size = (height - taken, width - taken)
    if min(size) < 1:
        raise ValueError(f"cropping {taken} pixels off a {height} x {width} image leaves nothing")
    u = _uniform(key, n, 11)
    u = jnp.broadcast_to(u[:1], u.shape) if options.shared_view_draws else u

    def look(numbers: Array, image: Array) -> Array:
        row, column = jnp.floor(numbers[:2] * (taken + 1)).astype(jnp.int32)
        if not options.persp:
            return jax.lax.dynamic_slice(image, (row, column, jnp.zeros_like(row)), (*size, 3))
        corners = perspective.corners_from_uniform(
            numbers[3:].reshape(4, 2), (height, width), distortion=options.distortion
        )
        back = perspective.homography(corners, perspective.image_corners((height, width)))
        back = jnp.where(numbers[2] < options.persp_probability, back, jnp.eye(3))
        # Cropping after the warp is the same as warping the cropped part only.
        return perspective.warp(image, back, size=size, offset=(row, column))

    return jax.vmap(look)(u, images)


def augment_views(key: Array, colour: Array, transmittance: Array, *, options: AugmentOptions) -> Array:
    """Turns rendered views into the images that a CLIP is to judge.

    Args:
      key: PRNG key.
      colour: [v, height, width, 3], premultiplied colour over no background.
      transmittance: [v, height, width], in [0, 1].
      options: see `AugmentOptions`.

    Returns:
      [v * n_diff * n_back, height', width', 3], sorted by view, then DiffAug draw, then background; smaller
      than the views by `crop_px` where `crop` is on. In [0, 1] up to the colour jitter, see `clip_to_unit`.

    Raises:
      ValueError: if the crop takes more than there is.
    """
    chex.assert_equal_shape_prefix([colour, transmittance], 3)
    chex.assert_rank([colour, transmittance], [4, 3])
    diff_key, back_key, view_key = jax.random.split(key, 3)
    colour, transmittance = _diff(diff_key, colour, transmittance, options)
    images = _composite(back_key, colour, transmittance, options)
    return _view(view_key, images, options)


def resize_to(images: Array, size_px: int) -> Array:
    """Bilinear resize to the square that a CLIP wants, as two small matrix products.

    Args:
      images: [n, height, width, 3].
      size_px: side of the result in pixels, static.

    Returns:
      [n, size, size, 3]; antialiased where it shrinks.
    """
    if images.shape[1:3] == (size_px, size_px):
        return images
    return jax.image.resize(images, (images.shape[0], size_px, size_px, images.shape[3]), "bilinear")
