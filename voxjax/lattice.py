"""A field of any kind, read onto the vertices of an even lattice over its box.

What surfaces are cut from, and what is shown of a network while the camera moves: asked once at every vertex,
any field turns as quickly as a voxel field.

Notation. Raw density is log(exp(density) - 1), raw colour the logit of colour, so that what lies between the
vertices follows the rule of the voxel fields.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.run import Run
from voxjax.structs import Array, Samples, VoxelGrid

FLOOR = -80.0
"""Raw density of nothing: exp of less is no normal float32."""
_CHUNK = 2**14
_EDGE = 1e-6  # of colour, kept away from 0 and 1 for its logit


def raw_of(density: np.ndarray | float) -> np.ndarray:
    """log(exp(density) - 1): what softplus makes `density` of, at least `FLOOR`; [...]."""
    density = np.asarray(density, np.float64)
    safe = np.maximum(density, np.exp(FLOOR))
    # expm1 of a large number overflows, where the answer is the number itself.
    return np.maximum(safe + np.log(-np.expm1(-safe)), FLOOR)


def read_lattice(run: Run, shape: tuple[int, ...]) -> VoxelGrid:
    """Asks the run's field at every vertex.

    Args:
      run: an opened run.
      shape: (nx, ny, nz) vertices; the outermost lie on the faces of the field's box.

    Returns:
      A grid with all vertices on and no shift; densities in the unit of the run. Values that are not finite
      are empty.
    """
    lower, upper = (np.asarray(each, np.float64) for each in (run.scene.lower, run.scene.upper))
    axes = [np.linspace(lower[i], upper[i], shape[i]) for i in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    spacing = (upper - lower) / (np.array(shape) - 1)
    # A Gaussian with the variance of a cell: waves that the lattice cannot hold are averaged away.
    variance = float(np.mean(spacing**2)) / 12.0
    density, colour = _ask_all(run.query, run.scene, points, variance=variance)
    share = np.clip(colour, _EDGE, 1.0 - _EDGE)
    values = np.concatenate([raw_of(density)[:, None], np.log(share / (1.0 - share))], axis=-1)
    values[~np.isfinite(values).all(axis=-1)] = (FLOOR, 0.0, 0.0, 0.0)
    return VoxelGrid(
        values=jnp.asarray(values.reshape(*shape, 4), jnp.float32),
        density_shift=jnp.zeros(()),
        occupancy=jnp.ones(shape, bool),
        lower=jnp.asarray(lower, jnp.float32),
        upper=jnp.asarray(upper, jnp.float32),
    )


def _ask_all(query: Any, scene: Any, points: np.ndarray, *, variance: float) -> tuple[np.ndarray, np.ndarray]:
    """Density and colour at any number of points, in chunks of one shape.

    Args:
      query: a field's query.
      scene: what it reads.
      points: [n, 3], world frame.
      variance: of the Gaussian around each, the same in all directions, squared scene units; fields that
        take points leave it alone.

    Returns:
      (density [n], colour [n, 3]) float32; density is zero outside the scene's box.
    """
    n = len(points)
    density, colour = np.zeros(n, np.float32), np.zeros((n, 3), np.float32)
    for start in range(0, n, _CHUNK):
        part = points[start : start + _CHUNK].astype(np.float32)
        # All chunks have one shape and share one program.
        padded = np.resize(part, (_CHUNK, 3))
        found = jax.device_get(_ask(query, scene, padded, np.float32(variance)))
        density[start : start + _CHUNK], colour[start : start + _CHUNK] = (f[: len(part)] for f in found)
    outside = (points < np.asarray(scene.lower) - 1e-5) | (points > np.asarray(scene.upper) + 1e-5)
    density[outside.any(axis=-1)] = 0.0
    return density, colour


@partial(jax.jit, static_argnames="query")
def _ask(query: Any, scene: Any, positions: Array, variance: Array) -> tuple[Array, Array]:
    along = jnp.full(positions.shape[0], variance)
    direction = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), positions.shape)
    return query(scene, Samples(positions, jnp.ones(()), direction, along, along))
