"""Trilinear interpolation on a grid of vertices, with a gradient written by hand.

Notation as in `grid`: axis order [x, y, z, channel], the outermost vertices on the faces of the box `lower`,
`upper` ([3], world frame). Grid coordinates run from 0 to shape - 1; a cell is named by its lowest corner,
and the fraction says where in the cell a position lies, 0 to 1 along each axis.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def grid_coordinates(positions: Array, lower: Array, upper: Array, shape: tuple[int, ...]) -> Array:
    """World positions [n, 3] to grid coordinates [n, 3]; not clipped."""
    last = jnp.asarray(shape, jnp.float32) - 1.0
    return (positions - lower) / (upper - lower) * last


def _cell_and_fraction(
    positions: Array, lower: Array, upper: Array, shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Flat index [n] of the lowest corner of the cell around each position, and the place in it [n, 3]."""
    last = jnp.asarray(shape, jnp.float32) - 1.0
    coordinates = jnp.clip(grid_coordinates(positions, lower, upper, shape), 0.0, last)
    # The last vertex belongs to the last cell (fraction 1), so that all eight corners exist.
    cell = jnp.minimum(jnp.floor(coordinates), last - 1.0)
    i, j, k = jnp.moveaxis(cell.astype(jnp.int32), -1, 0)
    return (i * shape[1] + j) * shape[2] + k, coordinates - cell


def _end_weight(fraction: Array, end: Array | int) -> Array:
    """Linear weight of the lower (`end` 0) or the upper (1) end of an edge, at `fraction` along it."""
    return jnp.where(end == 1, fraction, 1.0 - fraction)


@jax.custom_vjp
def trilinear(values: Array, positions: Array, lower: Array, upper: Array) -> Array:
    """Trilinear interpolation.

    Args:
      values: [x, y, z, c] on the vertices.
      positions: [n, 3], world frame; a position outside the box takes the value at the nearest face.
      lower: [3], smallest corner of the box.
      upper: [3], largest corner of the box.

    Returns:
      [n, c]. Differentiable in `values` only: the gradient to `positions`, `lower` and `upper` is zero by
      definition, since the method never moves its samples.
    """
    chex.assert_rank([values, positions], [4, 2])
    nx, ny, nz, channels = values.shape
    cell, fraction = _cell_and_fraction(positions, lower, upper, (nx, ny, nz))
    # Both z corners of a cell are neighbours in memory: one read fetches the two, four reads the whole cell.
    # A loop over x, because XLA would store every read when several consumers share an unrolled sum.
    flat = values.reshape(-1)
    pair = lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(), start_index_map=(0,))
    x, y, z = fraction[:, :1], fraction[:, 1:2], fraction[:, 2:]

    def add_side(dx: Array, total: Array) -> Array:
        side = jnp.zeros_like(total)
        for dy in (0, 1):
            start = (cell + (dx * ny + dy) * nz) * channels
            corners = lax.gather(flat, start[:, None], pair, (2 * channels,), mode="promise_in_bounds")
            edge = corners[:, :channels] * (1.0 - z) + corners[:, channels:] * z
            side = side + _end_weight(y, dy) * edge
        return total + _end_weight(x, dx) * side

    return lax.fori_loop(0, 2, add_side, jnp.zeros((positions.shape[0], channels), values.dtype))


def _trilinear_forward(values, positions, lower, upper):
    # Indices and weights are cheaper to compute again than to keep. An empty array carries the static shape.
    shape_carrier = jnp.zeros(values.shape + (0,), values.dtype)
    return trilinear(values, positions, lower, upper), (shape_carrier, positions, lower, upper)


def _trilinear_backward(residuals, gradient):
    shape_carrier, positions, lower, upper = residuals
    nx, ny, nz, channels = shape_carrier.shape[:4]
    cell, fraction = _cell_and_fraction(positions, lower, upper, (nx, ny, nz))
    # One f32 accumulator; one corner at a time, so that a single list of updates exists at any moment.

    def add_corner(corner: Array, total: Array) -> Array:
        dx, dy, dz = corner >> 2, (corner >> 1) & 1, corner & 1
        weight = _end_weight(fraction[:, 0], dx) * _end_weight(fraction[:, 1], dy)
        weight = weight * _end_weight(fraction[:, 2], dz)
        vertex = cell + (dx * ny + dy) * nz + dz
        return total.at[vertex].add(weight[:, None] * gradient, mode="promise_in_bounds")

    total = lax.fori_loop(0, 8, add_corner, jnp.zeros((nx * ny * nz, channels), jnp.float32))
    values_gradient = total.reshape(nx, ny, nz, channels).astype(shape_carrier.dtype)
    return values_gradient, jnp.zeros_like(positions), jnp.zeros_like(lower), jnp.zeros_like(upper)


trilinear.defvjp(_trilinear_forward, _trilinear_backward)
