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


def grid_coordinates(positions: Array, lower: Array, upper: Array, shape: tuple[int, ...]) -> list[Array]:
    """World positions [..., 3] to grid coordinates, one [...] per axis, not clipped.

    The axes stay apart because an array whose last axis has three entries is slow to compute with.
    """
    return [
        (positions[..., axis] - lower[axis]) * ((n - 1) / (upper[axis] - lower[axis]))
        for axis, n in enumerate(shape)
    ]


def _cell_and_fraction(
    positions: Array, lower: Array, upper: Array, shape: tuple[int, ...]
) -> tuple[Array, list[Array]]:
    """Flat index [n] of the cell (its lowest corner) around a position, and the place in it, [n] per axis."""
    flat, fractions = jnp.zeros((), jnp.int32), []
    for n, coordinate in zip(shape, grid_coordinates(positions, lower, upper, shape), strict=True):
        coordinate = jnp.clip(coordinate, 0.0, n - 1.0)
        # The last vertex belongs to the last cell (fraction 1), so that all eight corners exist.
        cell = jnp.minimum(jnp.floor(coordinate), n - 2.0)
        flat = flat * n + cell.astype(jnp.int32)
        fractions.append(coordinate - cell)
    return flat, fractions


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
      [n, c] float32. Differentiable in `values` only: the gradient to `positions`, `lower` and `upper` is
      zero by definition, since the method never moves its samples.
    """
    chex.assert_rank([values, positions], [4, 2])
    nx, ny, nz, channels = values.shape
    cell, (x, y, z) = _cell_and_fraction(positions, lower, upper, (nx, ny, nz))
    # Both z corners of a cell are neighbours in memory: one read fetches the two, four reads the whole cell.
    # A loop over x, because XLA would store every read when several consumers share an unrolled sum.
    flat = values.reshape(-1)
    pair = lax.GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(), start_index_map=(0,))

    def add_side(dx: Array, total: Array) -> Array:
        side = jnp.zeros_like(total)
        for dy in (0, 1):
            start = (cell + (dx * ny + dy) * nz) * channels
            corners = lax.gather(flat, start[:, None], pair, (2 * channels,), mode="promise_in_bounds")
            edge = corners[:, :channels] * (1.0 - z[:, None]) + corners[:, channels:] * z[:, None]
            side = side + _end_weight(y, dy)[:, None] * edge
        return total + _end_weight(x, dx)[:, None] * side

    return lax.fori_loop(0, 2, add_side, jnp.zeros((positions.shape[0], channels), jnp.float32))


def _trilinear_forward(values, positions, lower, upper):
    # Indices and weights are cheaper to compute again than to keep. An empty array carries the static shape.
    shape_carrier = jnp.zeros(values.shape + (0,), values.dtype)
    return trilinear(values, positions, lower, upper), (shape_carrier, positions, lower, upper)


def _trilinear_backward(residuals, gradient):
    shape_carrier, positions, lower, upper = residuals
    nx, ny, nz, channels = shape_carrier.shape[:4]
    cell, (x, y, z) = _cell_and_fraction(positions, lower, upper, (nx, ny, nz))
    # One f32 accumulator; one corner at a time, so that a single list of updates exists at any moment.

    def add_corner(corner: Array, total: Array) -> Array:
        dx, dy, dz = corner >> 2, (corner >> 1) & 1, corner & 1
        weight = _end_weight(x, dx) * _end_weight(y, dy) * _end_weight(z, dz)
        vertex = cell + (dx * ny + dy) * nz + dz
        return total.at[vertex].add(weight[:, None] * gradient, mode="promise_in_bounds")

    total = lax.fori_loop(0, 8, add_corner, jnp.zeros((nx * ny * nz, channels), jnp.float32))
    values_gradient = total.reshape(nx, ny, nz, channels).astype(shape_carrier.dtype)
    return values_gradient, jnp.zeros_like(positions), jnp.zeros_like(lower), jnp.zeros_like(upper)


trilinear.defvjp(_trilinear_forward, _trilinear_backward)
