"""DiffAug of one rendered image: colour jitter, a shift, a change of size, a hole.

Notation. `colour` is premultiplied colour [height, width, 3] over no background, `transmittance` T is
[height, width]; what a pixel finally shows is colour + T * background. Rows grow downwards, columns to the
right. All randomness sits in a `DiffAugDraw`; `apply_diffaugment` is a plain function of it.

The photometric part touches colour alone. The geometric part moves colour and opacity (1 - T) together, and
where nothing is left after a shift or a cut, the background shows: colour 0, T 1. The released code of Pure
CLIP guidance leaves T where it was, which `move_transmittance=False` repeats.
"""

from __future__ import annotations

import dataclasses

import chex
import dm_pix
import jax
import jax.numpy as jnp
from flax import struct

from voxjax.structs import Array


@dataclasses.dataclass(frozen=True)
class DiffAugRanges:
    """How far DiffAug goes; static. The defaults are the reference's.

    Attributes:
      brightness: half-width of the range of the value added to every channel.
      saturation: range of the factor on the distance from the pixel's mean over channels.
      contrast: range of the factor on the distance from the mean of the whole image.
      translation: largest shift, as a share of each side; 0 switches it off.
      cutout: side of the hole, as a share of each side; 0 switches it off.
      zoom: range of the change of size, one draw for all images of a step, or None for none (the paper's
        text has none; the released code uses (0.8, 1.2)).
    """

    brightness: float = 0.5
    saturation: tuple[float, float] = (0.0, 2.0)
    contrast: tuple[float, float] = (0.5, 1.5)
    translation: float = 0.125
    cutout: float = 0.25
    zoom: tuple[float, float] | None = None


@struct.dataclass
class DiffAugDraw:
    """The random numbers of one image.

    Attributes:
      brightness: [], added to colour.
      saturation: [], factor.
      contrast: [], factor.
      shift: [2] int32, (rows, columns) by which the picture moves down and to the right.
      zoom: [], factor on the size about the centre; ignored where the ranges have no zoom.
      hole: [2] int32, (row, column) of the centre of the cut-out square.
    """

    brightness: Array
    saturation: Array
    contrast: Array
    shift: Array
    zoom: Array
    hole: Array


def share_px(share: float, size_px: int) -> int:
    """A share of a side in whole pixels, halves up."""
    return int(size_px * share + 0.5)


def _between(u: Array, bounds: tuple[float, float]) -> Array:
    return bounds[0] + (bounds[1] - bounds[0]) * u


def draw_from_uniform(
    u: Array, size: tuple[int, int], *, ranges: DiffAugRanges = DiffAugRanges(), zoom: Array | None = None
) -> DiffAugDraw:
    """Turns uniform numbers into the draw of one image.

    Args:
      u: [8], in [0, 1).
      size: (height, width) in pixels, static.
      ranges: see `DiffAugRanges`.
      zoom: [], the change of size where it is shared between images; None takes it from `u`.

    Returns:
      A draw with uniform entries; shift and hole are uniform over whole pixels.
    """
    shift, hole = [], []
    for axis, side in enumerate(size):
        most, hole_px = share_px(ranges.translation, side), share_px(ranges.cutout, side)
        shift.append(jnp.floor(u[3 + axis] * (2 * most + 1)) - most)
        # An even hole has no middle pixel, so its centre may also lie on the far border (as in DiffAugment).
        hole.append(jnp.floor(u[5 + axis] * (side + 1 - hole_px % 2)))
    return DiffAugDraw(
        brightness=_between(u[0], (-ranges.brightness, ranges.brightness)),
        saturation=_between(u[1], ranges.saturation),
        contrast=_between(u[2], ranges.contrast),
        shift=jnp.stack(shift).astype(jnp.int32),
        zoom=_between(u[7], ranges.zoom or (1.0, 1.0)) if zoom is None else zoom,
        hole=jnp.stack(hole).astype(jnp.int32),
    )


def sample_diffaugment(
    key: Array, size: tuple[int, int], *, ranges: DiffAugRanges = DiffAugRanges(), zoom: Array | None = None
) -> DiffAugDraw:
    """As `draw_from_uniform`, from a PRNG key."""
    return draw_from_uniform(jax.random.uniform(key, (8,)), size, ranges=ranges, zoom=zoom)


def jitter_colour(draw: DiffAugDraw, colour: Array) -> Array:
    """Brightness, then saturation, then contrast.

    Args:
      draw: the random numbers.
      colour: [height, width, 3].

    Returns:
      [height, width, 3]; may leave [0, 1], as in the reference.
    """
    colour = dm_pix.adjust_brightness(colour, draw.brightness)
    grey = jnp.mean(colour, axis=-1, keepdims=True)
    colour = (colour - grey) * draw.saturation + grey
    mean = jnp.mean(colour)
    return (colour - mean) * draw.contrast + mean


def translate(shift: Array, image: Array, *, most_px: tuple[int, int]) -> Array:
    """Moves an image and fills with zero.

    Args:
      shift: [2] int, (rows, columns) down and to the right; |shift| <= most_px.
      image: [height, width, c].
      most_px: largest shift per axis, static.

    Returns:
      [height, width, c].
    """
    rows, columns = most_px
    padded = jnp.pad(image, ((rows, rows), (columns, columns), (0, 0)))
    start = (rows - shift[0], columns - shift[1], jnp.zeros((), shift.dtype))
    return jax.lax.dynamic_slice(padded, start, image.shape)


def zoom_matrix(zoom: chex.Numeric, size_px: int) -> Array:
    """Bilinear change of size about the centre along one axis, as a matrix.

    The resized side has floor(zoom * size) pixels, pixel centres as in `align_corners=False`, no antialias;
    it is padded with zeros, or cropped, about the centre to the old size.

    Args:
      zoom: [], factor, positive.
      size_px: pixels along the axis, static.

    Returns:
      [size, size], to be multiplied from the left.
    """
    resized = jnp.floor(jnp.asarray(zoom, jnp.float32) * size_px)
    margin = jnp.where(resized < size_px, 1, -1) * jnp.floor(jnp.abs(size_px - resized) / 2)
    target = jnp.arange(size_px) - margin
    source = jnp.clip((target + 0.5) * (size_px / resized) - 0.5, 0, size_px - 1)
    weights = jnp.maximum(0.0, 1.0 - jnp.abs(source[:, None] - jnp.arange(size_px)))
    return jnp.where(((target >= 0) & (target < resized))[:, None], weights, 0.0)


def move(draw: DiffAugDraw, image: Array, *, ranges: DiffAugRanges) -> Array:
    """Shift, then change of size, then cut; zero fill.

    Args:
      draw: the random numbers.
      image: [height, width, c].
      ranges: see `DiffAugRanges`; what it switches off costs nothing.

    Returns:
      [height, width, c].
    """
    height, width, _ = image.shape
    if ranges.translation > 0:
        most = (share_px(ranges.translation, height), share_px(ranges.translation, width))
        image = translate(draw.shift, image, most_px=most)
    if ranges.zoom is not None:
        rows, columns = zoom_matrix(draw.zoom, height), zoom_matrix(draw.zoom, width)
        image = jnp.einsum("ij,kl,jlc->ikc", rows, columns, image, precision=jax.lax.Precision.HIGHEST)
    if ranges.cutout > 0:
        cut = []
        for side, centre in ((height, draw.hole[0]), (width, draw.hole[1])):
            hole_px = share_px(ranges.cutout, side)
            first = centre - hole_px // 2
            cut.append((jnp.arange(side) >= first) & (jnp.arange(side) < first + hole_px))
        image = jnp.where((cut[0][:, None] & cut[1])[..., None], 0.0, image)
    return image


def apply_diffaugment(
    draw: DiffAugDraw,
    colour: Array,
    transmittance: Array,
    *,
    ranges: DiffAugRanges = DiffAugRanges(),
    move_transmittance: bool = True,
) -> tuple[Array, Array]:
    """DiffAug of one image, in the reference's order.

    Args:
      draw: the random numbers, see `sample_diffaugment`.
      colour: [height, width, 3], premultiplied.
      transmittance: [height, width], in [0, 1].
      ranges: the ranges that the draw was made with.
      move_transmittance: move opacity with colour (default), or leave T where it was (released code).

    Returns:
      (colour [height, width, 3], transmittance [height, width]).
    """
    chex.assert_equal_shape_prefix([colour, transmittance], 2)
    colour = jitter_colour(draw, colour)
    if not move_transmittance:
        return move(draw, colour, ranges=ranges), transmittance
    moved = move(draw, jnp.concatenate([colour, 1 - transmittance[..., None]], axis=-1), ranges=ranges)
    chex.assert_shape(moved, (*transmittance.shape, 4))
    return moved[..., :3], 1 - moved[..., 3]
