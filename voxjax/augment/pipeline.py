"""The order of the augmentations, and the compositing; nowhere else are they stated.

Notation. v views, n = v * n_diff * n_back images; images are [height, width, 3]. In this order: DiffAug of
colour and transmittance, a background, colour + T * background, PerspAug, a random crop. Resizing to the
resolution of a CLIP is `resize_to`, once per CLIP; the normalisation of pixels is the CLIP's own business.
With `background_px` crop and resize come before the background, which is then made at that size (Dream
Fields). A stage that is switched off leaves the draws of the others as they are.
"""

from __future__ import annotations

import dataclasses

import chex
import jax
import jax.numpy as jnp

from voxjax.augment import background, diffaugment, perspective
from voxjax.augment.block import Block
from voxjax.augment.options import AugmentOptions
from voxjax.structs import Array


def _uniform(key: Array, n: int, per_image: int) -> Array:
    """Numbers [n, per_image] in [0, 1) for all images of a stage.

    One flat call for all: calls of the generator, and odd shapes in them above all, are what takes XLA long
    to compile on CPU, and numbers of one call are as independent as those of many.
    """
    return jax.random.uniform(key, (n * per_image,)).reshape(n, per_image)


def _diff(
    key: Array, colour: Array, transmittance: Array, options: AugmentOptions, rows: Array | None
) -> tuple[Array, Array]:
    """DiffAug: [v, h, w, 3], [v, h, w] -> [v * n_diff, h, w, 3], [v * n_diff, h, w], or `rows` of those."""
    n_draws = colour.shape[0] * options.n_diff
    if rows is None:
        colour = jnp.repeat(colour, options.n_diff, axis=0)
        transmittance = jnp.repeat(transmittance, options.n_diff, axis=0)
    else:
        colour, transmittance = (x[rows // options.n_diff] for x in (colour, transmittance))
    if options.under == "white":
        colour = colour + transmittance[..., None]
    if not options.diff:
        return colour, transmittance
    height, width = colour.shape[1:3]
    u = _uniform(key, n_draws, 8)
    # One change of size for all images, as in the released code; the last number of an image is for it.
    u = u.at[:, 7].set(u[0, 7])
    u = u if rows is None else u[rows]

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


def _backgrounds(
    key: Array, n_views: int, size: tuple[int, int], options: AugmentOptions, block: Block | None
) -> Array:
    """BackAug: what stands behind each image, in [0, 1].

    Returns:
      [n_views, n_diff or 1, n_back, *size, 3], or [m, *size, 3] for a block of images.
    """
    copies = 1 if options.share_backgrounds or not options.back else options.n_diff
    shape = (n_views, copies, options.n_back) if block is None else (block.size,)
    if not options.back:
        # On white the object stands already: nothing is added to it.
        return jnp.full((*shape, *size, 3), 0.0 if options.under == "white" else options.background)
    n = n_views * copies * options.n_back
    u = background.uniform_16bit(key, (n, background.numbers_needed(size)))
    made, row = u, None
    if block is not None and copies > 1:
        made = u[block.images()]
    elif block is not None:
        views = block.sources(options.n_diff * options.n_back, n_views)
        made = u.reshape(n_views, -1, u.shape[1])[views].reshape(-1, u.shape[1])
        view, image = jnp.divmod(block.images(), options.n_diff * options.n_back)
        row = (view - views[0]) * options.n_back + image % options.n_back

    def draw(numbers: Array) -> Array:
        return background.background_from_uniform(
            numbers,
            size,
            blur_sd=options.blur_sd,
            reflect=options.blur_reflect,
            probabilities=options.back_probabilities,
            shared=u[0] if options.shared_background_draws else None,
            vertical_sd=options.blur_vertical_sd,
        )

    behind = jax.vmap(draw)(made)
    return (behind if row is None else behind[row]).reshape(*shape, *size, 3)


def _composite(
    key: Array,
    colour: Array,
    transmittance: Array,
    options: AugmentOptions,
    *,
    n_views: int,
    block: Block | None,
) -> Array:
    """Pictures before backgrounds: [v * n_diff * k, h, w, 3] -> [v * n_diff * n_back, h, w, 3].

    k is 1, or n_back where every image has been cropped on its own already. Of a block: [m, h, w, 3] both.
    """
    size = colour.shape[1:3]
    behind = _backgrounds(key, n_views, (size[0], size[1]), options, block)
    shape = (n_views, options.n_diff, -1, *size) if block is None else (block.size, *size)
    colour, light = colour.reshape(*shape, 3), transmittance.reshape(*shape, 1)
    if options.composite == "darkened":
        colour = colour * (1.0 - light)
    images = colour + light * behind
    images = jnp.clip(images, 0.0, 1.0) if options.clip_to_unit else images
    if block is None:
        chex.assert_shape(images, (n_views, options.n_diff, options.n_back, *size, 3))
    return images.reshape(-1, *size, 3)


def _view(key: Array, images: Array, options: AugmentOptions, *, n: int, block: Block | None) -> Array:
    """PerspAug and crop: [n, h, w, c] -> [n, h', w', c], or a block of them."""
    height, width, channels = images.shape[1:]
    if not (options.persp or options.crop):
        return images
    taken = options.crop_px if options.crop else 0
    size = (height - taken, width - taken)
    if min(size) < 1:
        raise ValueError(f"cropping {taken} pixels off a {height} x {width} image leaves nothing")
    u = _uniform(key, n, 11)
    u = jnp.broadcast_to(u[:1], u.shape) if options.shared_view_draws else u
    u = u if block is None else u[block.images()]

    def look(numbers: Array, image: Array) -> Array:
        row, column = jnp.floor(numbers[:2] * (taken + 1)).astype(jnp.int32)
        if not options.persp:
            return jax.lax.dynamic_slice(image, (row, column, jnp.zeros_like(row)), (*size, channels))
        corners = perspective.corners_from_uniform(
            numbers[3:].reshape(4, 2), (height, width), distortion=options.distortion
        )
        back = perspective.homography(corners, perspective.image_corners((height, width)))
        back = jnp.where(numbers[2] < options.persp_probability, back, jnp.eye(3))
        # Cropping after the warp is the same as warping the cropped part only.
        return perspective.warp(image, back, size=size, offset=(row, column))

    return jax.vmap(look)(u, images)


def augment_views(
    key: Array, colour: Array, transmittance: Array, *, options: AugmentOptions, block: Block | None = None
) -> Array:
    """Turns rendered views into the images that a CLIP is to judge.

    Args:
      key: PRNG key.
      colour: [v, height, width, 3], premultiplied colour over no background.
      transmittance: [v, height, width], in [0, 1].
      options: see `AugmentOptions`.
      block: which of the images, with the draws that they have among all; None for all of them.

    Returns:
      [v * n_diff * n_back, height', width', 3], sorted by view, then DiffAug draw, then background; smaller
      than the views by `crop_px` where `crop` is on, or `background_px` a side. In [0, 1] up to the colour
      jitter and what lies under it, see `clip_to_unit`.

    Raises:
      ValueError: if the crop takes more than there is.
    """
    chex.assert_equal_shape_prefix([colour, transmittance], 3)
    chex.assert_rank([colour, transmittance], [4, 3])
    n_views = colour.shape[0]
    n = n_views * options.n_diff * options.n_back
    rows = None if block is None else block.sources(options.n_back, n_views * options.n_diff)
    diff_key, back_key, view_key = jax.random.split(key, 3)
    colour, transmittance = _diff(diff_key, colour, transmittance, options, rows)
    if block is not None and rows is not None:
        source = block.images() // options.n_back - rows[0]
        colour, transmittance = colour[source], transmittance[source]
    if not options.background_px:
        images = _composite(back_key, colour, transmittance, options, n_views=n_views, block=block)
        return _view(view_key, images, options, n=n, block=block)
    both = jnp.concatenate([colour, transmittance[..., None]], axis=-1)
    both = both if block is not None else jnp.repeat(both, options.n_back, axis=0)
    both = _view(view_key, both, dataclasses.replace(options, persp=False), n=n, block=block)
    both = resize_to(both, options.background_px)
    images = _composite(back_key, both[..., :3], both[..., 3], options, n_views=n_views, block=block)
    if not options.persp:
        return images
    return _view(view_key, images, dataclasses.replace(options, crop=False), n=n, block=block)


def resize_to(images: Array, size_px: int) -> Array:
    """Bilinear resize to the square that a CLIP wants, as two small matrix products.

    Args:
      images: [n, height, width, c].
      size_px: side of the result in pixels, static.

    Returns:
      [n, size, size, c]; antialiased where it shrinks.
    """
    if images.shape[1:3] == (size_px, size_px):
        return images
    return jax.image.resize(images, (images.shape[0], size_px, size_px, images.shape[3]), "bilinear")
