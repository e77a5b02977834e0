"""Crumbs of density away from the object: solid parts of a scene that do not touch its largest one.

Notation. The scene's box is asked on a lattice of side^3 points, one cell apart; a point counts where a
cell's length of its density stops more than a tenth of the light, which is what the eye finds in an empty
place. Parts are connected through the six faces of a cell.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from voxjax.run import Run
from voxjax.structs import Array, Samples

SIDE = 64
SOLID = 0.1
_CHUNK = 2**15


@partial(jax.jit, static_argnames="query")
def _density(query: Any, scene: Any, positions: Array) -> Array:
    return query(scene, Samples(positions, jnp.ones(positions.shape[0])))[0]


def solid_points(run: Run, *, side: int = SIDE) -> np.ndarray:
    """Which points of a lattice over the scene's box are solid.

    Args:
      run: an opened run.
      side: points along each axis of the box.

    Returns:
      [side, side, side] bool.
    """
    lower, upper = np.asarray(run.scene.lower), np.asarray(run.scene.upper)
    axes = [lower[i] + (np.arange(side) + 0.5) / side * (upper[i] - lower[i]) for i in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    chunks = [points[i : i + _CHUNK] for i in range(0, len(points), _CHUNK)]
    density = np.concatenate([np.asarray(_density(run.query, run.scene, jnp.asarray(c))) for c in chunks])
    # A step stands for `interval` in the unit of 1 / density and is `step_size` long.
    cell = float(np.mean(upper - lower)) / side * run.stage.interval / run.stage.step_size
    return (density * cell > -np.log(1 - SOLID)).reshape(side, side, side)


def floaters(solid: np.ndarray) -> tuple[int, float]:
    """Parts away from the largest one.

    Args:
      solid: [x, y, z] bool.

    Returns:
      (their number, their share of the solid points in [0, 1]).
    """
    labels, n_parts = ndimage.label(solid)
    if n_parts < 2:
        return 0, 0.0
    sizes = np.bincount(labels.reshape(-1))[1:]
    return n_parts - 1, float(1 - sizes.max() / sizes.sum())
