"""PerspAug: the composited image as seen from a random other side.

Notation. Positions are (x, y) in pixels with integers at pixel centres: the corners of a width x height image
are (0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1), in this order. A homography is a 3 x 3
matrix on (x, y, 1), up to scale.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from voxjax.structs import Array


def image_corners(size: tuple[int, int]) -> Array:
    """Corners [4, 2] of a (height, width) image: top left, top right, bottom right, bottom left."""
    right, bottom = size[1] - 1.0, size[0] - 1.0
    return jnp.array([[0.0, 0.0], [right, 0.0], [right, bottom], [0.0, bottom]])


def corners_from_uniform(u: Array, size: tuple[int, int], *, distortion: float = 0.6) -> Array:
    """Where the corners of the image go: each moves inwards, on its own.

    Args:
      u: [4, 2], in [0, 1].
      size: (height, width) in pixels, static.
      distortion: in [0, 1); a corner moves by u * distortion / 2 of each side.

    Returns:
      [4, 2], pixels, in the order of `image_corners`.

    Raises:
      ValueError: if the distortion is outside [0, 1).
    """
    if not 0 <= distortion < 1:
        raise ValueError(f"the distortion of a perspective must lie in [0, 1), got {distortion}")
    chex.assert_shape(u, (4, 2))
    corners = image_corners(size)
    # Towards the diagonally opposite corner: the same as inwards along each axis.
    return corners + u * (distortion / 2) * (jnp.roll(corners, 2, axis=0) - corners)


def sample_corners(key: Array, size: tuple[int, int], *, distortion: float = 0.6) -> Array:
    """As `corners_from_uniform`, from a PRNG key."""
    return corners_from_uniform(jax.random.uniform(key, (4, 2)), size, distortion=distortion)


def _from_unit_square(corners: Array) -> Array:
    """Homography of (0, 0), (1, 0), (1, 1), (0, 1) to `corners` [4, 2], in closed form."""
    to_right, to_left = corners[1] - corners[2], corners[3] - corners[2]
    skew = corners[0] - corners[1] + corners[2] - corners[3]
    determinant = to_right[0] * to_left[1] - to_left[0] * to_right[1]
    g = (skew[0] * to_left[1] - to_left[0] * skew[1]) / determinant
    h = (to_right[0] * skew[1] - skew[0] * to_right[1]) / determinant
    first = corners[1] - corners[0] + g * corners[1]
    second = corners[3] - corners[0] + h * corners[3]
    last = jnp.stack([g, h, jnp.ones_like(g)])
    return jnp.concatenate([jnp.stack([first, second, corners[0]], axis=-1), last[None]])


def _adjugate(matrix: Array) -> Array:
    """Inverse of a 3 x 3 matrix up to scale."""
    a, b, c = matrix
    return jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], axis=-1)


def homography(source: Array, target: Array) -> Array:
    """The projective map that takes four points to four others.

    Args:
      source: [4, 2], pixels, corners of a convex quadrilateral in order.
      target: [4, 2], likewise.

    Returns:
      [3, 3], scaled so that the last entry is 1.
    """
    chex.assert_shape([source, target], (4, 2))
    there = _from_unit_square(jnp.asarray(target, jnp.float32))
    back = _adjugate(_from_unit_square(jnp.asarray(source, jnp.float32)))
    matrix = jnp.matmul(there, back, precision=jax.lax.Precision.HIGHEST)
    return matrix / matrix[2, 2]


def warp(
    image: Array,
    output_to_input: Array,
    *,
    size: tuple[int, int] | None = None,
    offset: Array | tuple[int, int] = (0, 0),
) -> Array:
    """Resamples an image, bilinearly, zero beyond its border.

    Args:
      image: [height, width, c].
      output_to_input: [3, 3], homography from pixels of the output to pixels of the input.
      size: (height, width) of the part of the output that is computed, static; None for the image's own.
      offset: (row, column) at which that part starts.

    Returns:
      [*size, c]. The gradient flows to `image` only.
    """
    height, width, channels = image.shape
    size = (height, width) if size is None else size
    x, y = jnp.meshgrid(jnp.arange(size[1]) + offset[1], jnp.arange(size[0]) + offset[0])
    a, b, c = jax.lax.stop_gradient(output_to_input)
    scale = c[0] * x + c[1] * y + c[2]
    # On the horizon the position is infinitely far away, which any large number tells as well.
    scale = jnp.where(jnp.abs(scale) < 1e-9, 1e-9, scale)
    x_in, y_in = (a[0] * x + a[1] * y + a[2]) / scale, (b[0] * x + b[1] * y + b[2]) / scale

    x_in, y_in = jnp.clip(x_in, -1, width), jnp.clip(y_in, -1, height)
    column, row = jnp.clip(jnp.floor(x_in), -1, width - 1), jnp.clip(jnp.floor(y_in), -1, height - 1)
    right, down = x_in - column, y_in - row
    # One gather of 2 x 2 patches: its transpose is one scatter-add instead of four.
    start = jnp.stack([row, column], axis=-1).astype(jnp.int32) + 1
    patches = jax.lax.gather(
        jnp.pad(image, ((1, 1), (1, 1), (0, 0))),
        start,
        jax.lax.GatherDimensionNumbers(
            offset_dims=(2, 3, 4), collapsed_slice_dims=(), start_index_map=(0, 1)
        ),
        slice_sizes=(2, 2, channels),
        mode=jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS,
    )
    chex.assert_shape(patches, (*size, 2, 2, channels))
    across = jnp.stack([1 - right, right], axis=-1)
    along = jnp.stack([1 - down, down], axis=-1)
    weights = along[..., :, None] * across[..., None, :]
    return jnp.sum(patches * weights[..., None], axis=(2, 3))
