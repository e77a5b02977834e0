"""Values on the vertices of a regular grid: where the vertices lie, resizing, masking, reading a scene.

Notation. A grid has shape (nx, ny, nz) and axis order [x, y, z, channel]. The outermost vertices lie exactly
on the faces of the box `lower`, `upper` ([3], world frame, scene units), so vertex (i, j, k) is at
lower + (i, j, k) / (shape - 1) * (upper - lower). Grid coordinates run from 0 to shape - 1. Every axis has at
least two vertices.
"""

from __future__ import annotations

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax
from numpy.typing import ArrayLike

from voxjax.fields import activation
from voxjax.fields.interpolate import grid_coordinates, trilinear
from voxjax.structs import Samples, VoxelGrid

Array = jax.Array
Shape = tuple[int, int, int]

ALPHA_THRESHOLD = 1e-7
"""Opacity at or below which the method treats a vertex or a sample as empty."""


def voxel_size(lower: ArrayLike, upper: ArrayLike, n_voxels: int) -> float:
    """Edge of a cubic voxel if `n_voxels` fill the box: (volume / n_voxels) ** (1/3), scene units."""
    extent = np.asarray(upper, np.float64) - np.asarray(lower, np.float64)
    return float((extent.prod() / n_voxels) ** (1 / 3))


def grid_resolution(lower: ArrayLike, upper: ArrayLike, n_voxels: int) -> Shape:
    """Number of vertices along each axis for about `n_voxels` cubic voxels.

    Args:
      lower: [3], smallest corner of the box.
      upper: [3], largest corner of the box.
      n_voxels: wanted number of voxels, such as 160**3.

    Returns:
      (nx, ny, nz), box edge over voxel size rounded down, at least 2 each. In a cube that is mostly one less
      than the root of `n_voxels`, 47 for 48**3, since the quotient falls just short of it: left so, as saved
      grids and all published figures have it.

    Raises:
      ValueError: `n_voxels` is below 8, or the box is empty.
    """
    extent = np.asarray(upper, np.float64) - np.asarray(lower, np.float64)
    if n_voxels < 8 or not (extent > 0).all():
        raise ValueError(
            f"need at least 8 voxels in a box with volume, got {n_voxels} in {lower!r} .. {upper!r}"
        )
    nx, ny, nz = np.maximum(2, np.floor(extent / voxel_size(lower, upper, n_voxels))).astype(int)
    return int(nx), int(ny), int(nz)


def tracked_occupancy(module: nn.Module, shape: Shape) -> Array:
    """The occupancy [x, y, z] bool that a voxel field keeps beside its parameters, all on at the start.

    Args:
      module: the field, inside a compact method.
      shape: of its grid.

    Raises:
      ValueError: the occupancy that it was given has another shape.
    """
    occupancy = module.variable("tracked", "occupancy", jnp.ones, shape, bool).value
    if occupancy.shape != tuple(shape):
        raise ValueError(f"occupancy has shape {occupancy.shape}, the grid {tuple(shape)}")
    return occupancy


def density_shift(module: nn.Module, alpha_init: float, *, learn: bool) -> Array:
    """The bias inside the softplus []: a parameter of a voxel field (paper's text) or a constant (code)."""
    start = activation.density_shift_from_alpha(alpha_init)
    if not learn:
        return jnp.asarray(start, jnp.float32)
    return module.param("density_shift", nn.initializers.constant(start), (), jnp.float32)


def vertex_positions(lower: Array, upper: Array, shape: Shape) -> Array:
    """World positions of all vertices, [x, y, z, 3]."""
    lower, upper = jnp.asarray(lower, jnp.float32), jnp.asarray(upper, jnp.float32)
    axes = [jnp.linspace(lower[i], upper[i], shape[i]) for i in range(3)]
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1)


def inside_sphere(lower: Array, upper: Array, shape: Shape, *, radius: float = 1.0) -> Array:
    """[x, y, z] float: 1 where a vertex lies inside the sphere around the origin, else 0 (P of the KL)."""
    positions = vertex_positions(lower, upper, shape)
    return (jnp.sum(positions**2, axis=-1) <= radius**2).astype(jnp.float32)


def resize(values: Array, new_shape: Shape) -> Array:
    """Trilinear resampling onto another number of vertices in the same box (corners stay on corners).

    Args:
      values: [x, y, z, ...].
      new_shape: (nx, ny, nz) of the result.

    Returns:
      [new_x, new_y, new_z, ...].
    """
    for axis, new in enumerate(new_shape):
        old = values.shape[axis]
        coordinate = np.linspace(0.0, old - 1.0, new)
        base = np.minimum(np.floor(coordinate), old - 2).astype(np.int32)
        weight = (coordinate - base).astype(np.float32)
        weight = weight.reshape((-1,) + (1,) * (values.ndim - 1 - axis))
        values = (
            jnp.take(values, base, axis=axis) * (1.0 - weight)
            + jnp.take(values, base + 1, axis=axis) * weight
        )
    chex.assert_shape(values, tuple(new_shape) + values.shape[3:])
    return values


def resize_occupancy(occupancy: Array, new_shape: Shape) -> Array:
    """[x, y, z] bool onto `new_shape` vertices of the same box: each new vertex asks its nearest old one."""
    for axis, new in enumerate(new_shape):
        nearest = np.floor(np.linspace(0.0, occupancy.shape[axis] - 1.0, new) + 0.5).astype(np.int32)
        occupancy = jnp.take(occupancy, nearest, axis=axis)
    return occupancy


def occupied_vertices(alpha: Array, threshold: float = ALPHA_THRESHOLD) -> Array:
    """Which vertices are worth sampling.

    Args:
      alpha: [x, y, z], opacity at the vertices.
      threshold: a vertex is empty when no vertex of its 3 x 3 x 3 neighbourhood is above this.

    Returns:
      [x, y, z] bool.
    """
    chex.assert_rank(alpha, 3)
    return lax.reduce_window(alpha, -jnp.inf, lax.max, (3, 3, 3), (1, 1, 1), "SAME") > threshold


def nearest_occupied(occupancy: Array, positions: Array, lower: Array, upper: Array) -> Array:
    """Whether the vertex nearest to each position is switched on.

    Args:
      occupancy: [x, y, z] bool.
      positions: [..., 3], world frame.
      lower: [3], smallest corner of the box.
      upper: [3], largest corner of the box.

    Returns:
      [...] bool; False for positions more than half a voxel outside the box.
    """
    shape = occupancy.shape
    flat, inside = jnp.zeros((), jnp.int32), jnp.ones((), bool)
    for n, coordinate in zip(shape, grid_coordinates(positions, lower, upper, shape), strict=True):
        nearest = jnp.floor(coordinate + 0.5)
        inside = inside & (nearest >= 0.0) & (nearest <= n - 1.0)
        flat = flat * n + nearest.astype(jnp.int32)
    # One entry more, for outside: the answer is then a read and nothing else, which XLA does not repeat in
    # every consumer as it would a test.
    padded = jnp.concatenate([occupancy.reshape(-1), jnp.zeros(1, bool)])
    return padded.at[jnp.where(inside, flat, occupancy.size)].get(mode="promise_in_bounds")


def occupied_box(scene: VoxelGrid) -> tuple[Array, Array]:
    """Smallest box around all positions whose nearest vertex is switched on.

    Returns:
      (lower [3], upper [3]), world frame, inside the box of the scene; a box of no volume when all is off.
    """
    lower, upper = [], []
    for axis, n in enumerate(scene.occupancy.shape):
        on = jnp.any(scene.occupancy, axis=tuple(a for a in range(3) if a != axis))
        # Half a voxel more on both sides: that is how far a vertex is the nearest one.
        first = jnp.clip(jnp.argmax(on) - 0.5, 0.0, n - 1.0)
        last = jnp.clip(n - 1.0 - jnp.argmax(on[::-1]) + 0.5, 0.0, n - 1.0)
        spacing = (scene.upper[axis] - scene.lower[axis]) / (n - 1)
        lower.append(scene.lower[axis] + first * spacing)
        upper.append(jnp.where(jnp.any(on), scene.lower[axis] + last * spacing, lower[-1]))
    return jnp.stack(lower), jnp.stack(upper)


def without_empty(scene: VoxelGrid, interval: Array | float, threshold: float = ALPHA_THRESHOLD) -> VoxelGrid:
    """The scene with its empty vertices switched off, which saves the renderer samples.

    Args:
      scene: any.
      interval: what a sample stands for in the renderings to come, in the unit of 1 / density.
      threshold: opacity at or below which a vertex is empty. No cell interpolates to more than its corners
        hold, so at the renderer's own threshold (the default) every picture stays exactly the same.
    """
    kept = scene.occupancy & occupied_vertices(vertex_alpha(scene, interval), threshold)
    return dataclasses.replace(scene, occupancy=kept)


def vertex_alpha(scene: VoxelGrid, interval: Array | float) -> Array:
    """Opacity of every vertex over `interval` (unit of 1 / density), [x, y, z]; switched-off vertices too."""
    density = activation.raw_to_density(_raw(scene)[..., 0], scene.density_shift)
    return activation.density_to_alpha(density, interval)


def vertex_colour(scene: VoxelGrid) -> Array:
    """Colour of every vertex, [x, y, z, 3] in (0, 1)."""
    return activation.raw_to_colour(_raw(scene)[..., 1:])


def _raw(scene: VoxelGrid) -> Array:
    return scene.values if scene.raw is None else scene.raw


def is_occupied(scene: VoxelGrid, positions: Array) -> Array:
    """`nearest_occupied` for a scene: [..., 3] world positions to [...] bool; the renderer's `occupied`."""
    return nearest_occupied(scene.occupancy, positions, scene.lower, scene.upper)


def query_voxels(scene: VoxelGrid, samples: Samples) -> tuple[Array, Array]:
    """Density and colour at sample points: interpolate the raw values, then activate.

    Returns:
      (density [...], colour [..., 3]); density is zero where the nearest vertex is switched off.
    """
    leading = samples.positions.shape[:-1]
    positions = samples.positions.reshape(-1, 3)
    raw = trilinear(scene.values, positions, scene.lower, scene.upper)
    density = activation.raw_to_density(raw[:, 0], scene.density_shift)
    density = jnp.where(is_occupied(scene, positions), density, 0.0)
    colour = activation.raw_to_colour(raw[:, 1:])
    return density.reshape(leading), colour.reshape(leading + (3,))
