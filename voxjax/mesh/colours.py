"""The colour that a point of a surface shows to the outside.

A field has colours everywhere, also where nobody sees them, and the haze in front of a surface takes part in
what is seen. So each point is looked at along a short ray that comes down on it against its normal, and gets
the composited colour of that ray. Colours are display values (sRGB): a picture shows them as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from voxjax.mesh.lattice import Lattice, ask
from voxjax.run import Run

# A ray begins so many voxels outside the surface and ends so many inside it, in steps of that many.
OUTSIDE, INSIDE, STEP = 2.0, 4.0, 0.5
_BATCH = 2**16

# (points [n, 3], outward unit normals [n, 3]) -> colours [n, 3] in [0, 1].
ColoursOf = Callable[[np.ndarray, np.ndarray], np.ndarray]


def colours_of(run: Run, lattice: Lattice) -> ColoursOf:
    """What tells the colours of surface points.

    Args:
      run: an opened run.
      lattice: of its field.

    Returns:
      The function; where a ray meets nothing, the colour is that of its last sample.
    """
    step = STEP * lattice.voxel
    interval = STEP * lattice.interval
    offsets = np.arange(OUTSIDE, -INSIDE, -STEP) * lattice.voxel

    def look(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        positions = points[None] + offsets[:, None, None] * normals[None]
        density, colour = ask(run.query, run.scene, positions.reshape(-1, 3), variance=step**2 / 12.0)
        extinction = np.minimum(density.reshape(len(offsets), -1) * interval, 50.0).astype(np.float64)
        before = np.cumsum(extinction, axis=0) - extinction
        weight = np.exp(-before) * -np.expm1(-extinction)
        # What is left shows the innermost sample.
        weight[-1] += 1e-9 + np.exp(-before[-1] - extinction[-1]) * 1e-3
        colour = colour.reshape(len(offsets), -1, 3)
        return np.einsum("sn,snc->nc", weight, colour) / weight.sum(axis=0)[:, None]

    def all_of(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        parts = [look(points[i : i + _BATCH], normals[i : i + _BATCH]) for i in range(0, len(points), _BATCH)]
        return np.clip(np.concatenate(parts), 0.0, 1.0) if parts else np.zeros((0, 3))

    return all_of
