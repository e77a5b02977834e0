"""Lights, colours, textures, backgrounds: from unlit photographs to training images, afresh in every batch.

Notation. Images are `[n, height, width, 3]` in [0, 1], row 0 at the top; every draw is independent per image.
Two styles keep guide and judge apart: `plain` (one light, Lambert, any ambient) for `pocket`, `studio` (two
lights, a highlight, often a dark outline, warmer or cooler light) for `pocket-eval`.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from voxjax.pocket.captions import COLOURS

Array = jax.Array
STYLES = ("plain", "studio")


@struct.dataclass
class Photographs:
    """A batch taken from the bank, as floats.

    Attributes:
      alpha: [n, h, w] in [0, 1]; normal: [n, h, w, 3]; top: [n, h, w] in {0, 1}.
      up: [n, 3], the world's up direction in the camera frame.
    """

    alpha: Array | np.ndarray
    normal: Array | np.ndarray
    top: Array | np.ndarray
    up: Array | np.ndarray


def _uniform(key: Array, low: float, high: float, shape=()) -> Array:
    return jax.random.uniform(key, shape, minval=low, maxval=high)


def _maybe(key: Array, probability: float) -> Array:
    return jax.random.bernoulli(key, probability).astype(jnp.float32)


def smooth_noise(key: Array, size: int, cells: int, channels: int) -> Array:
    """Random values on a `cells` x `cells` lattice, enlarged to [size, size, channels], in [0, 1]."""
    lattice = jax.random.uniform(key, (cells, cells, channels))
    return jnp.clip(jax.image.resize(lattice, (size, size, channels), "cubic"), 0.0, 1.0)


def _blur_matrix(sd: Array, size: int) -> Array:
    offset = jnp.arange(size)[:, None] - jnp.arange(size)[None, :]
    weight = jnp.exp(-0.5 * (offset / jnp.maximum(sd, 0.05)) ** 2)
    return weight / jnp.sum(weight, axis=1, keepdims=True)


def blur(image: Array, sd: Array) -> Array:
    """Gaussian blur of [h, w, c] by two matrix products; `sd` in pixels."""
    matrix = _blur_matrix(sd, image.shape[0])
    return jnp.einsum("ij,jkc,lk->ilc", matrix, image, matrix)


def background(key: Array, size: int, clutter: Array) -> Array:
    """White, black, grey, one colour, a checkerboard, noise, blotches or a ramp, [size, size, 3].

    With `clutter` at 0 only the even ones are drawn, with 1 all.
    """
    keys = jax.random.split(key, 8)
    two = jax.random.uniform(keys[1], (2, 3))
    grey = jax.random.uniform(keys[2])
    row, column = jnp.mgrid[:size, :size]
    cells = jax.random.randint(keys[3], (), 2, 12)
    checker = ((row * cells // size + column * cells // size) % 2)[..., None]
    ramp = (row / size)[..., None]
    choices = jnp.stack(
        [
            jnp.ones((size, size, 3)),
            jnp.zeros((size, size, 3)),
            jnp.full((size, size, 3), grey),
            jnp.broadcast_to(two[0], (size, size, 3)),
            jnp.where(checker > 0, two[0], two[1]),
            jax.random.uniform(keys[4], (size, size, 3)),
            smooth_noise(keys[5], size, 5, 3),
            two[0] * ramp + two[1] * (1 - ramp),
        ]
    )
    weight = jnp.asarray([0.26, 0.06, 0.1, 0.12, 0.14, 0.1, 0.14, 0.08])
    weight = weight * jnp.where(jnp.arange(len(weight)) < 4, 1.0, clutter)
    picked = choices[jax.random.choice(keys[0], len(weight), p=weight / jnp.sum(weight))]
    sd = _uniform(keys[6], 0.3, 5.0) * _maybe(keys[7], 0.5) * (jnp.ptp(picked) > 0)
    return blur(picked, sd)


def _light(key: Array, up: Array) -> Array:
    """A direction towards the light in the camera frame: before the object and mostly from above."""
    direction = jax.random.normal(key, (3,)) + 0.9 * up + jnp.asarray([0.0, 0.0, 0.8])
    return direction / jnp.linalg.norm(direction)


def shade(key: Array, normal: Array, up: Array, *, style: str) -> tuple[Array, Array]:
    """Light on one photograph.

    Returns:
      ([h, w, 3] factor on the object's colour, [h, w, 1] highlight to add).
    """
    keys = jax.random.split(key, 8)
    lambert = jnp.maximum(normal @ _light(keys[0], up), 0.0)[..., None]
    if style == "plain":
        ambient = _uniform(keys[1], 0.25, 1.0)
        return jnp.repeat(ambient + (1 - ambient) * lambert, 3, axis=-1), jnp.zeros_like(lambert)
    ambient = _uniform(keys[1], 0.3, 0.95)
    second = jnp.maximum(normal @ _light(keys[2], -up), 0.0)[..., None]
    sky = 0.5 + 0.5 * (normal @ up)[..., None]
    warmth = 1 + _uniform(keys[3], -0.12, 0.12) * jnp.asarray([1.0, 0.0, -1.0])
    light = ambient * (0.7 + 0.3 * sky) + (1 - ambient) * (0.75 * lambert + 0.35 * second)
    half = _light(keys[4], up) + jnp.asarray([0.0, 0.0, 1.0])
    half = half / jnp.linalg.norm(half)
    shine = jnp.maximum(normal @ half, 0.0)[..., None] ** _uniform(keys[5], 8.0, 60.0)
    facing = normal[..., 2:]
    outline = 1 - _maybe(keys[6], 0.5) * jnp.clip(1 - facing / 0.35, 0.0, 1.0) * 0.85
    return light * warmth * outline, shine * _uniform(keys[7], 0.0, 0.5)


def _colour(key: Array, index: Array) -> Array:
    """A named colour, varied a little in brightness and hue, [3]."""
    k1, k2 = jax.random.split(key)
    base = jnp.asarray(tuple(COLOURS.values()))[index]
    varied = base * _uniform(k1, 0.82, 1.12) + _uniform(k2, -0.05, 0.05, (3,))
    return jnp.clip(varied, 0.0, 1.0)


def place(key: Array, image: Array, out_size: int) -> tuple[Array, Array]:
    """Zooms [h, w, c] by 0.8 to 1.25, shifts it by up to 8 % and mirrors it left-right half of the time.

    Returns:
      The placed image [out_size, out_size, c], zero outside, and -1 if it was mirrored, else 1.
    """
    size = image.shape[0]
    k_zoom, k_shift, k_flip = jax.random.split(key, 3)
    zoom = jnp.exp(_uniform(k_zoom, math.log(0.8), math.log(1.25))) * out_size / size
    shift = _uniform(k_shift, -0.08, 0.08, (2,)) * out_size
    sign = jnp.where(jax.random.bernoulli(k_flip), -1.0, 1.0)
    target = jnp.arange(out_size) + 0.5 - out_size / 2

    def matrix(offset: Array, direction: Array) -> Array:
        source = direction * (target - offset) / zoom + size / 2 - 0.5
        return jnp.maximum(1 - jnp.abs(source[:, None] - jnp.arange(size)[None, :]), 0.0)

    rows, columns = matrix(shift[0], jnp.ones(())), matrix(shift[1], sign)
    return jnp.einsum("ij,jkc,lk->ilc", rows, image, columns), sign


def _tune(key: Array, image: Array, clutter: Array) -> Array:
    """Mild brightness, contrast, saturation, then blur and grain; [h, w, 3] to [0, 1]."""
    keys = jax.random.split(key, 7)
    image = image + _uniform(keys[0], -0.12, 0.12)
    mean = jnp.mean(image)
    image = mean + (image - mean) * _uniform(keys[1], 0.75, 1.3)
    grey = jnp.mean(image, axis=-1, keepdims=True)
    image = grey + (image - grey) * _uniform(keys[2], 0.7, 1.4)
    image = blur(image, _uniform(keys[3], 0.2, 1.6) * _maybe(keys[4], 0.5) * clutter)
    grain = clutter * _uniform(keys[5], 0.0, 0.07) * jax.random.normal(keys[6], image.shape)
    return jnp.clip(image + grain, 0.0, 1.0)


def _one_scene(
    key: Array, photograph: Photographs, colours: Array, *, clutter: Array, style: str, out_size: int
) -> tuple[Array, Array]:
    keys = jax.random.split(key, 10)
    size = photograph.alpha.shape[0]
    normal = photograph.normal / (jnp.linalg.norm(photograph.normal, axis=-1, keepdims=True) + 1e-6)
    light, highlight = shade(keys[0], normal, jnp.asarray(photograph.up), style=style)
    low, high = _colour(keys[1], colours[0]), _colour(keys[2], colours[1])
    base = jnp.where(photograph.top[..., None] > 0, high, low)
    texture = 1 + clutter * _uniform(keys[3], 0.0, 0.35) * (smooth_noise(keys[4], size, 9, 1) - 0.5)
    colour = jnp.clip(base * texture * light + highlight, 0.0, 1.0)
    alpha = photograph.alpha[..., None]
    layers = jnp.concatenate([colour, jnp.ones_like(alpha), photograph.top[..., None], normal], axis=-1)
    layers, sign = place(keys[5], layers * alpha, out_size)
    geometry = layers[..., 3:] * jnp.stack([1.0, 1.0, sign, 1.0, 1.0])
    thin = 1 - clutter * _maybe(keys[6], 0.25) * _uniform(keys[7], 0.0, 0.5)
    image = thin * layers[..., :3] + (1 - thin * layers[..., 3:4]) * background(keys[8], out_size, clutter)
    return _tune(keys[9], image, clutter), geometry


@functools.partial(jax.jit, static_argnames=("style", "out_size"))
def draw_scenes(
    key: Array, photographs: Photographs, colours: Array, *, clutter: Array, style: str, out_size: int
) -> tuple[Array, Array]:
    """Colours, lights and places a batch of photographs.

    Args:
      key: PRNG key.
      photographs: n photographs.
      colours: [n, 2] int32, places in COLOURS of the lower (or only) and the upper object.
      clutter: [], from 0 (even backgrounds, sharp, solid) to 1 (everything).
      style: one of STYLES.
      out_size: side of the images in pixels.

    Returns:
      The images [n, out_size, out_size, 3] in [0, 1], and what lies in each pixel [n, out_size, out_size, 5]:
      coverage, coverage by the upper object, normal times coverage.
    """
    draw = functools.partial(_one_scene, clutter=clutter, style=style, out_size=out_size)
    return jax.vmap(draw)(jax.random.split(key, colours.shape[0]), photographs, colours)


def no_objects(key: Array, n: int, size: int, *, kinds: Array) -> Photographs:
    """Things that are no object: 0 a soft cloud, 1 many crumbs, 2 nothing at all.

    Args:
      key: PRNG key.
      n: how many.
      size: side in pixels.
      kinds: [n] int32.

    Returns:
      Photographs with invented coverage and normals.
    """

    def one(key: Array, kind: Array) -> Photographs:
        keys = jax.random.split(key, 6)
        y, x = jnp.mgrid[:size, :size] / size - 0.5
        offset = _uniform(keys[0], -0.15, 0.15, (2,))
        radius = jnp.hypot(y - offset[0], x - offset[1]) / _uniform(keys[1], 0.22, 0.5)
        cloud = jax.nn.sigmoid(6 * (smooth_noise(keys[2], size, 6, 1)[..., 0] + 0.45 - radius)) * 0.9
        crumbs = smooth_noise(keys[3], size, 18, 1)[..., 0] - 0.45 * radius
        crumbs = jax.nn.sigmoid(40 * (crumbs - 0.33))
        alpha = jnp.stack([cloud, crumbs, jnp.zeros_like(cloud)])[kind]
        bumps = smooth_noise(keys[4], size, 10, 3) - 0.5
        normal = bumps + jnp.asarray([0.0, 0.0, 0.6])
        return Photographs(alpha, normal, jnp.zeros_like(alpha), jnp.asarray([0.0, 0.8, 0.6]))

    return jax.vmap(one)(jax.random.split(key, n), kinds)
