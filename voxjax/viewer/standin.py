"""A grid in the place of a network: what is shown of Dream Fields while the camera moves.

A picture of a network asks it some hundred thousand times. Read onto vertices once, the same object turns as
quickly as a voxel field; once the camera rests, the field itself is drawn again.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.fields.activation import density_to_raw
from voxjax.fields.grid import query_voxels, vertex_positions
from voxjax.rendering.volume import Query
from voxjax.run import Run
from voxjax.structs import Array, Samples, VoxelGrid

SIDE = 64
"""Vertices along each edge of the box."""

_CHUNK = 16384


def grid_of(run: Run, *, side: int = SIDE) -> tuple[VoxelGrid, Query, float]:
    """Reads a field onto the vertices of a grid.

    Args:
      run: an opened run of any field.
      side: vertices along each edge of the field's box.

    Returns:
      (scene, its query, distance between samples in scene units); densities stay in the unit of the run.
    """
    lower, upper = run.scene.lower, run.scene.upper
    edge = np.asarray(upper - lower) / (side - 1)
    positions = np.asarray(vertex_positions(lower, upper, (side, side, side))).reshape(-1, 3)
    padded = np.resize(positions, (-(-len(positions) // _CHUNK) * _CHUNK, 3))
    spread = jnp.float32((edge**2).mean() / 12.0)  # variance of a voxel, over which a mean is shown
    values = [
        np.asarray(_raw(run.query, run.scene, jnp.asarray(chunk), spread, run.stage.interval))
        for chunk in np.split(padded, len(padded) // _CHUNK)
    ]
    grid = np.concatenate(values)[: len(positions)].reshape(side, side, side, 4)
    scene = VoxelGrid(
        values=jnp.asarray(grid),
        density_shift=jnp.zeros(()),
        occupancy=jnp.ones((side, side, side), bool),
        lower=jnp.asarray(lower),
        upper=jnp.asarray(upper),
    )
    return scene, query_voxels, float(edge.mean())


@functools.partial(jax.jit, static_argnames=("query",))
def _raw(query: Query, scene: Any, positions: Array, spread: Array, interval: float) -> Array:
    """[n, 4]: raw density (before softplus) and raw colours (before sigmoid) of points of a voxel's size."""
    n = positions.shape[0]
    variance = jnp.broadcast_to(spread, (n,))
    along = jnp.broadcast_to(jnp.array([0.0, 0.0, 1.0]), (n, 3))
    samples = Samples(
        positions,
        jnp.full(n, interval, jnp.float32),
        direction=along,
        variance_along=variance,
        variance_across=variance,
    )
    density, colour = query(scene, samples)
    raw_colour = jax.scipy.special.logit(jnp.clip(colour, 1e-6, 1 - 1e-6))
    return jnp.concatenate([density_to_raw(density)[:, None], raw_colour], axis=-1)
