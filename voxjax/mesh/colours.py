"""The colour that a point of a surface shows to those who look at it.

A field has colours everywhere, also where nobody sees them, and the haze in front of a surface takes part in
what is seen, differently from each side. A mesh has one colour for a point. So each point is looked at along
short rays from the directions of an orbit around the object, and gets the mean of what they composite, each
by the cosine to its normal to the power of 1.5: what is seen face on is seen large. Directions from all
around, with little weight, answer for points that the orbit does not see.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from voxjax.fields.grid import query_voxels
from voxjax.mesh.lattice import Lattice, ask
from voxjax.mesh.views import ELEVATIONS_DEG

N_ORBIT, N_AROUND, AROUND_WEIGHT = 12, 12, 0.01
_POWER = 1.5
_GRAZING = 0.05
# Samples of a ray, in voxels outside the surface: dense where most end, sparse where only fog goes on.
_OFFSETS = np.array([4, 3, 2, 1.5, 1, 0.5, 0, -0.5, -1, -1.5, -2, -3, -4, -6, -8, -11, -14, -18, -24])
_BATCH = 2**15

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

    def mean(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        total, weight_sum = np.zeros((len(points), 3)), np.zeros(len(points))
        for direction, weight in zip(directions, weights, strict=True):
            facing = normals @ direction
            seen = np.flatnonzero(facing > _GRAZING)
            share = weight * facing[seen] ** _POWER
            total[seen] += share[:, None] * composite(lattice, points[seen], direction)
            weight_sum[seen] += share
        return total / np.maximum(weight_sum, 1e-12)[:, None]

    def all_of(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        starts = range(0, len(points), _BATCH)
        parts = [mean(points[i : i + _BATCH], normals[i : i + _BATCH]) for i in starts]
        return np.clip(np.concatenate(parts), 0.0, 1.0) if parts else np.zeros((0, 3))

    return all_of


def composite(lattice: Lattice, points: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """What an eye sees at points of a surface.

    Args:
      lattice: the sampled field.
      points: [n, 3], world frame.
      direction: [3] unit, towards the eye.

    Returns:
      [n, 3], the composited colour over the composited opacity, in [0, 1].
    """
    n_samples = len(_OFFSETS)
    lengths = -np.gradient(_OFFSETS)[:, None] * lattice.interval
    positions = points[None] + (_OFFSETS * lattice.voxel)[:, None, None] * direction
    density, colour = ask(query_voxels, lattice.scene, positions.reshape(-1, 3), variance=0.0)
    extinction = np.minimum(density.reshape(n_samples, -1) * lengths, 50.0)
    before = np.cumsum(extinction, axis=0) - extinction
    weight = np.exp(-before) * -np.expm1(-extinction)
    weight[-1] += 1e-9
    mixed = np.einsum("sn,snc->nc", weight, colour.reshape(n_samples, -1, 3))
    return mixed / weight.sum(axis=0)[:, None]
