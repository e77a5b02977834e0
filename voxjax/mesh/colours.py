"""The colour that a point of a surface shows to those who look at it.

A field has colours everywhere, also where nobody sees them, and the haze in front of a surface takes part in
what is seen, differently from each side. A mesh has one colour for a point. So each point is looked at along
short rays from the directions of an orbit around the object, and gets the mean of what they composite, each
by the cosine to its normal to the power of 1.5: what is seen face on is seen large. Directions from all
around, with little weight, answer for points that the orbit does not see.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.fields.grid import query_voxels
from voxjax.mesh.lattice import Lattice
from voxjax.mesh.views import ELEVATIONS_DEG
from voxjax.structs import Array, Samples, VoxelGrid

N_ORBIT, N_AROUND, AROUND_WEIGHT = 12, 12, 0.01
_POWER = 1.5
_GRAZING = 0.05
# Samples of a ray, in voxels outside the surface: dense where most end, sparse where only fog goes on.
_OFFSETS = np.array([4, 3, 2, 1.5, 1, 0.5, 0, -0.5, -1, -1.5, -2, -3, -4, -6, -8, -11, -14, -18, -24])
_CHUNK = 2**14

# (points [n, 3], outward unit normals [n, 3]) -> colours [n, 3] in [0, 1].
ColoursOf = Callable[[np.ndarray, np.ndarray], np.ndarray]


def orbit_directions() -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors towards the eyes [n, 3] and their weights [n]."""
    k = np.arange(N_ORBIT)
    turn = 2.0 * np.pi * ((5.0**0.5 - 1.0) / 2.0 * k)
    low, high = min(ELEVATIONS_DEG), max(ELEVATIONS_DEG)
    rise = np.deg2rad(low + (high - low) * (k + 0.5) / N_ORBIT)
    orbit = np.stack([np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)], axis=-1)
    middle = np.arange(N_AROUND) + 0.5
    turn, height = np.pi * (1.0 + 5.0**0.5) * middle, 1.0 - 2.0 * middle / N_AROUND
    flat = np.sqrt(1.0 - height**2)
    around = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=-1)
    weights = np.concatenate([np.ones(N_ORBIT), np.full(N_AROUND, AROUND_WEIGHT)])
    return np.concatenate([orbit, around]), weights


def colours_of(lattice: Lattice) -> ColoursOf:
    """What tells the colours of surface points.

    Args:
      lattice: the sampled field.

    Returns:
      The function; where a ray meets nothing, its colour is that of its last sample.
    """
    directions, weights = orbit_directions()

    def tell(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        total, weight_sum = np.zeros((len(points), 3)), np.zeros(len(points))
        for direction, weight in zip(directions, weights, strict=True):
            facing = normals @ direction
            seen = np.flatnonzero(facing > _GRAZING)
            share = weight * facing[seen] ** _POWER
            total[seen] += share[:, None] * composite(lattice, points[seen], direction)
            weight_sum[seen] += share
        return np.clip(total / np.maximum(weight_sum, 1e-12)[:, None], 0.0, 1.0)

    return tell


def composite(lattice: Lattice, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """What an eye sees at points of a surface.

    Args:
      lattice: the sampled field.
      points: [n, 3], world frame.
      direction: [3] unit, towards the eye.

    Returns:
      [n, 3], the composited colour over the composited opacity, in [0, 1].
    """
    n = len(points)
    # Few shapes, few programs.
    size = _CHUNK if n > _CHUNK // 8 else _CHUNK // 8
    offsets = jnp.asarray(_OFFSETS * lattice.voxel, jnp.float32)
    lengths = jnp.asarray(-np.gradient(_OFFSETS) * lattice.interval, jnp.float32)
    colours = np.zeros((n, 3))
    for start in range(0, n, size):
        part = np.resize(points[start : start + size].astype(np.float32), (size, 3))
        found = _composite(lattice.scene, part, direction.astype(np.float32), offsets, lengths)
        colours[start : start + size] = np.asarray(found)[: n - start]
    return colours


@jax.jit
def _composite(scene: VoxelGrid, points: Array, direction: Array, offsets: Array, lengths: Array) -> Array:
    def pass_by(i: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        through, colour_sum, weight_sum = sums
        positions = points + offsets[i] * direction
        density, colour = query_voxels(scene, Samples(positions, lengths[i]))
        alpha = -jnp.expm1(-density * lengths[i])
        # The last sample shows where nothing else does.
        weight = through * alpha + jnp.where(i == len(_OFFSETS) - 1, 1e-9, 0.0)
        return through * (1.0 - alpha), colour_sum + weight[:, None] * colour, weight_sum + weight

    nothing = jnp.zeros(points.shape[0])
    start = (nothing + 1.0, jnp.zeros_like(points), nothing)
    _, colour_sum, weight_sum = jax.lax.fori_loop(0, len(_OFFSETS), pass_by, start)
    return colour_sum / weight_sum[:, None]
