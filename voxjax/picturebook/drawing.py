"""Pictures of the bank to training images: colour, place, background and damage, drawn afresh every time.

Notation: n images, s pixels a side. All of it is traced; `clutter` in [0, 1] is how much there is.
Pictures are on the square [-1, 1]^2, x to the right and y down.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from voxjax.picturebook import names

Array = jax.Array
_LUMINANCE = (0.30, 0.59, 0.11)
_PALETTE = tuple(names.COLOURS.values())


def draw_images(
    key: Array, pictures: Array, colour_ids: Array, clutter: Array, *, size: int
) -> tuple[Array, Array]:
    """Training images.

    Args:
      key: PRNG key.
      pictures: [n, 64, 64, 4] uint8, colours not multiplied by alpha.
      colour_ids: [n], index into `names.COLOURS` of the tint, -1 for none.
      clutter: [].
      size: s.

    Returns:
      images [n, s, s, 3] in [0, 1], and where their things are, [n, s, s] in [0, 1].
    """
    n = len(pictures)
    keys = jax.random.split(key, 6)
    rgba = pictures.astype(jnp.float32) / 255
    colour = tint(rgba[..., :3], rgba[..., 3:], colour_ids)
    layer = jnp.concatenate([colour * rgba[..., 3:], rgba[..., 3:]], axis=-1)
    layer = sample(layer, _places(keys[0], n, clutter, size))
    veil = 1.0 - 0.3 * clutter * uniform(keys[1], n, 0.0, 1.0) * some(keys[2], n, 0.3)
    layer = layer * veil[:, None, None, None]
    images = layer[..., :3] + (1.0 - layer[..., 3:]) * _backgrounds(keys[3], n, clutter, size)
    return _damage(keys[4], images, clutter), layer[..., 3]


def plain_images(pictures: Array, *, size: int) -> Array:
    """[n, 64, 64, 4] uint8 -> [n, s, s, 3]: as they are, at nine tenths of the width, on white."""
    rgba = pictures.astype(jnp.float32) / 255
    layer = jnp.concatenate([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], axis=-1)
    grid = _grid(size) / 0.9
    layer = sample(layer, jnp.broadcast_to(grid, (len(pictures), *grid.shape)))
    return layer[..., :3] + 1.0 - layer[..., 3:]


def uniform(key: Array, n: int, low: Array | float, high: Array | float) -> Array:
    """[n]."""
    return jax.random.uniform(key, (n,)) * (high - low) + low


def some(key: Array, n: int, share: Array | float) -> Array:
    """[n], 1 for about this share of them, else 0."""
    return (jax.random.uniform(key, (n,)) < share).astype(jnp.float32)


def tint(colour: Array, alpha: Array, colour_ids: Array) -> Array:
    """Pictures in one colour, light and dark as before.

    Args:
      colour: [n, h, w, 3]; alpha: [n, h, w, 1].
      colour_ids: [n], -1 for pictures that stay as they are.

    Returns:
      [n, h, w, 3] in [0, 1].
    """
    light = (colour @ jnp.asarray(_LUMINANCE))[..., None]
    mean = jnp.sum(light * alpha, axis=(1, 2), keepdims=True) / (
        jnp.sum(alpha, axis=(1, 2), keepdims=True) + 1e-3
    )
    target = jnp.asarray(_PALETTE)[colour_ids][:, None, None, :]
    tinted = jnp.clip(target * jnp.clip(light / (mean + 1e-3), 0.25, 1.6), 0.0, 1.0)
    return jnp.where((colour_ids >= 0)[:, None, None, None], tinted, colour)


def _grid(size: int) -> Array:
    """[s, s, 2]: x and y of the pixels' centres."""
    axis = (jnp.arange(size) + 0.5) * 2 / size - 1
    return jnp.stack(jnp.meshgrid(axis, axis), axis=-1)


def _places(key: Array, n: int, clutter: Array, size: int) -> Array:
    """[n, s, s, 2]: which place of its picture each pixel shows: turned, sheared, mirrored, far or near."""
    keys = jax.random.split(key, 8)
    scale = jnp.exp(uniform(keys[0], n, jnp.log(0.9 - 0.27 * clutter), jnp.log(0.95 + 0.25 * clutter)))
    angle = jnp.deg2rad(uniform(keys[1], n, -1.0, 1.0) * 22.0 * clutter)
    shear = uniform(keys[2], n, -0.2, 0.2) * clutter
    stretch = jnp.exp(uniform(keys[3], n, -0.15, 0.15) * clutter)
    mirror = 1.0 - 2.0 * some(keys[4], n, 0.5)
    room = 0.05 + jnp.maximum(1.0 - scale, 0.0) * 0.8
    shift = (jax.random.uniform(keys[5], (n, 2)) * 2 - 1) * (room * clutter)[:, None]
    tilt = (jax.random.uniform(keys[6], (n, 2)) * 2 - 1) * 0.15 * clutter
    grid = _grid(size) - shift[:, None, None, :]
    grid = grid / (1.0 + jnp.sum(grid * tilt[:, None, None, :], axis=-1, keepdims=True))
    x, y = grid[..., 0], grid[..., 1]
    cos, sin = (each[:, None, None] for each in (jnp.cos(angle), jnp.sin(angle)))
    x, y = cos * x + sin * y, cos * y - sin * x
    x = (x + shear[:, None, None] * y) * (mirror * stretch)[:, None, None]
    return jnp.stack([x, y / stretch[:, None, None]], axis=-1) / scale[:, None, None, None]


def sample(pictures: Array, places: Array) -> Array:
    """Bilinear reading; nothing outside.

    Args:
      pictures: [n, h, h, c].
      places: [n, s, s, 2], x and y on [-1, 1]^2.

    Returns:
      [n, s, s, c].
    """
    n, height, _, channels = pictures.shape
    padded = jnp.pad(pictures, ((0, 0), (1, 1), (1, 1), (0, 0)))
    width = height + 2
    at = jnp.clip((places + 1) * height / 2 + 0.5, 0.0, width - 1.001)
    low = jnp.floor(at).astype(jnp.int32)
    x, y = jnp.split(at - low, 2, axis=-1)
    index = (low[..., 1] * width + low[..., 0]).reshape(n, -1, 1)
    flat = padded.reshape(n, -1, channels)

    def read(offset: int) -> Array:
        values = jnp.take_along_axis(flat, index + offset, axis=1, mode="clip")
        return values.reshape(*places.shape[:3], channels)

    upper = read(0) * (1 - x) + read(1) * x
    lower = read(width) * (1 - x) + read(width + 1) * x
    return upper * (1 - y) + lower * y


def _backgrounds(key: Array, n: int, clutter: Array, size: int) -> Array:
    """[n, s, s, 3]: white, one colour, a smooth change of colours, or noise; calm ones without clutter."""
    keys = jax.random.split(key, 6)
    plain = jax.random.uniform(keys[0], (n, 1, 1, 3))
    plain = jnp.where(some(keys[1], n, 0.4)[:, None, None, None] > 0, 1.0, plain)
    corners = 0.5 * (jax.random.uniform(keys[2], (n, 4, 4, 3)) + jax.random.uniform(keys[5], (n, 1, 1, 3)))
    smooth = jax.image.resize(corners, (n, size, size, 3), "linear")
    coarse = jax.random.uniform(keys[3], (n, size // 4, size // 4, 3)) - 0.5
    fine = jnp.clip(smooth + 0.5 * jax.image.resize(coarse, (n, size, size, 3), "nearest"), 0.0, 1.0)
    kind = jax.random.uniform(keys[4], (n, 1, 1, 1))
    busy = jnp.where(kind < 0.25 * clutter, fine, smooth)
    return jnp.where(kind < 0.5 * clutter, busy, plain)


def _damage(key: Array, images: Array, clutter: Array) -> Array:
    """Saturation, cast, brightness, contrast, blur, grain and a square cut out."""
    n, size = images.shape[:2]
    keys = jax.random.split(key, 10)
    wide = lambda values: values[:, None, None, None]  # noqa: E731
    bright = wide(uniform(keys[0], n, -0.2, 0.2) * clutter)
    contrast = wide(jnp.exp(uniform(keys[1], n, -0.35, 0.3) * clutter))
    saturation = jnp.exp(wide(uniform(keys[8], n, -0.5, 0.3)) * clutter)
    gray = images.mean(axis=-1, keepdims=True)
    cast = jax.random.uniform(keys[9], (n, 1, 1, 3), minval=-0.12, maxval=0.12)
    images = (gray + (images - gray) * saturation) * jnp.exp(cast * clutter)
    mean = images.mean(axis=(1, 2), keepdims=True)
    images = (images - mean) * contrast + mean + bright
    blurred = _blur(images)
    images = images + wide(some(keys[2], n, 0.25 * clutter)) * (blurred - images)
    grain = wide(uniform(keys[3], n, 0.0, 0.05) * clutter)
    images = images + grain * jax.random.normal(keys[4], images.shape)
    side = uniform(keys[5], n, 0.15, 0.4) * some(keys[6], n, 0.3 * clutter)
    centre = jax.random.uniform(keys[7], (n, 1, 1, 2)) * 2 - 1
    cut = jnp.max(jnp.abs(_grid(size) - centre), axis=-1, keepdims=True) < wide(side)
    return jnp.clip(jnp.where(cut, mean, images), 0.0, 1.0)


def _blur(images: Array) -> Array:
    """The binomial filter of five pixels, (1, 4, 6, 4, 1) / 16, down and across."""
    for axis in (1, 2):
        pad = [(0, 0)] * 4
        pad[axis] = (2, 2)
        padded = jnp.pad(images, pad, mode="edge")
        n = images.shape[axis]
        parts = (jax.lax.slice_in_dim(padded, i, i + n, axis=axis) for i in range(5))
        images = sum((w * part for w, part in zip((1, 4, 6, 4, 1), parts, strict=True)), jnp.zeros(())) / 16
    return images
