"""A field of any kind, sampled on an even lattice that surfaces are cut from.

Notation. A lattice is a `VoxelGrid` with all vertices on and no shift: `values[..., 0]` is raw density,
log(exp(density) - 1), and `values[..., 1:]` raw colour, so that what lies between its vertices follows the
rule of the voxel fields. alpha is the opacity of one voxel length: of the edge of the field's own voxel, or,
for a field without a grid, of one step of its pictures. Lengths in scene units.
"""

from __future__ import annotations

import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Lattice:
    """A sampled field.

    Attributes:
      scene: see the notation of this file.
      spacing: [3], scene units between neighbours.
      voxel: edge of the field's own voxel, scene units.
      interval: what a voxel length stands for, in the unit of 1 / density.
      finer: cells for one of the field's own grid; 1 where they are its own or there is none.
    """

    scene: VoxelGrid
    spacing: np.ndarray
    voxel: float
    interval: float
    finer: int = 1

    @property
    def raw(self) -> np.ndarray:
        """[x, y, z] raw density."""
        return np.asarray(self.scene.values[..., 0])

    @property
    def lower(self) -> np.ndarray:
        """[3], place of the first vertex, world frame."""
        return np.asarray(self.scene.lower, np.float64)

    @property
    def upper(self) -> np.ndarray:
        """[3], place of the last vertex."""
        return np.asarray(self.scene.upper, np.float64)

    def own(self) -> Lattice:
        """The part of the vertices that are the field's own, or all."""
        step = slice(None, None, self.finer)
        values, on = self.scene.values[step, step, step], self.scene.occupancy[step, step, step]
        scene = dataclasses.replace(self.scene, values=values, occupancy=on)
        return dataclasses.replace(self, scene=scene, spacing=self.spacing * self.finer, finer=1)

    def level(self, alpha: float) -> float:
        """The raw density at which a voxel length has the opacity `alpha`, in (0, 1)."""
        return float(raw_of(-np.log1p(-alpha) / self.interval))

    def alpha(self, level: float) -> float:
        """The opacity of a voxel length at a raw density; the inverse of `level`."""
        return float(-np.expm1(-np.logaddexp(0.0, level) * self.interval))


def raw_of(density: np.ndarray | float) -> np.ndarray:
    """log(exp(density) - 1): what softplus makes `density` of, at least `FLOOR`; [...]."""
    density = np.asarray(density, np.float64)
    safe = np.maximum(density, np.exp(FLOOR))
    # expm1 of a large number overflows, where the answer is the number itself.
    return np.maximum(safe + np.log(-np.expm1(-safe)), FLOOR)


def voxel_edge(run: Run) -> float:
    """Edge of the run's voxel, scene units; the step between a picture's samples where there is no grid."""
    if not isinstance(run.scene, VoxelGrid):
        return run.stage.step_size
    extent = np.asarray(run.scene.upper, np.float64) - np.asarray(run.scene.lower)
    return float(np.mean(extent / (np.array(run.scene.occupancy.shape) - 1)))


def lattice_shape(run: Run, cells: int | None = None) -> tuple[int, ...]:
    """Vertices along each axis.

    Args:
      run: an opened run.
      cells: along the longest edge of the box; None for the field's own grid with its cells halved where that
        makes at most 128 of them, and for the steps of pictures, at most 128, where there is none.

    Returns:
      (nx, ny, nz), at least 3 each.
    """
    extent = np.asarray(run.scene.upper, np.float64) - np.asarray(run.scene.lower)
    if cells is None and isinstance(run.scene, VoxelGrid):
        return tuple((n - 1) * _halving(run) + 1 for n in run.scene.occupancy.shape)
    if cells is None:
        cells = min(128, round(float(extent.max()) / run.stage.step_size))
    return tuple(max(2, round(cells * each / extent.max())) + 1 for each in extent.tolist())


def _halving(run: Run) -> int:
    """2 for a grid whose cells are halved, 1 for one that is fine enough."""
    return 2 if max(run.scene.occupancy.shape) - 1 <= 64 else 1


def sample_lattice(run: Run, *, cells: int | None = None) -> Lattice:
    """Asks the run's field at every vertex of a lattice over its box.

    Args:
      run: an opened run.
      cells: see `lattice_shape`.

    Returns:
      The lattice; the outermost vertices lie on the faces of the box. Values that are not finite are empty.
    """
    shape = lattice_shape(run, cells)
    lower, upper = (np.asarray(each, np.float64) for each in (run.scene.lower, run.scene.upper))
    axes = [np.linspace(lower[i], upper[i], shape[i]) for i in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    spacing = (upper - lower) / (np.array(shape) - 1)
    # A Gaussian with the variance of a cell: waves that the lattice cannot hold are averaged away.
    variance = float(np.mean(spacing**2)) / 12.0
    density, colour = ask(run.query, run.scene, points, variance=variance)
    share = np.clip(colour, _EDGE, 1.0 - _EDGE)
    values = np.concatenate([raw_of(density)[:, None], np.log(share / (1.0 - share))], axis=-1)
    values[~np.isfinite(values).all(axis=-1)] = (FLOOR, 0.0, 0.0, 0.0)
    voxel = voxel_edge(run)
    return Lattice(
        scene=VoxelGrid(
            values=jnp.asarray(values.reshape(*shape, 4), jnp.float32),
            density_shift=jnp.zeros(()),
            occupancy=jnp.ones(shape, bool),
            lower=jnp.asarray(lower, jnp.float32),
            upper=jnp.asarray(upper, jnp.float32),
        ),
        spacing=spacing,
        voxel=voxel,
        interval=voxel * run.stage.interval / run.stage.step_size,
        finer=_halving(run) if cells is None and isinstance(run.scene, VoxelGrid) else 1,
    )


def ask(query: Any, scene: Any, points: np.ndarray, *, variance: float) -> tuple[np.ndarray, np.ndarray]:
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
