"""A field of any kind, sampled on an even lattice that surfaces are cut from.

Notation. A lattice is a `VoxelGrid` with all vertices on and no shift: `values[..., 0]` is raw density,
log(exp(density) - 1), and `values[..., 1:]` raw colour, so that what lies between its vertices follows the
rule of the voxel fields. alpha is the opacity of one voxel length: of the field's own voxel, or, for a field
without a grid, of one step of its pictures. Lengths in scene units.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from voxjax.lattice import raw_of, read_lattice
from voxjax.run import Run
from voxjax.structs import VoxelGrid


@dataclasses.dataclass(frozen=True)
class Lattice:
    """A sampled field.

    Attributes:
      scene: see the notation of this file.
      spacing: [3], scene units between neighbours.
      voxel: the voxel length, scene units.
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


def voxel_length(run: Run) -> tuple[float, float]:
    """The length that alpha is the opacity of, as the occupancy test of training takes it.

    Args:
      run: an opened run.

    Returns:
      (scene units, unit of 1 / density): of the grid's voxel, or of a step of pictures where there is no
      grid.
    """
    stage = run.stage
    if not isinstance(run.scene, VoxelGrid):
        return stage.step_size, stage.interval
    return stage.ratio * stage.step_size / stage.interval, stage.ratio


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
    extent = np.asarray(run.scene.upper, np.float64) - np.asarray(run.scene.lower, np.float64)
    voxel, interval = voxel_length(run)
    return Lattice(
        scene=read_lattice(run, shape),
        spacing=extent / (np.array(shape) - 1),
        voxel=voxel,
        interval=interval,
        finer=_halving(run) if cells is None and isinstance(run.scene, VoxelGrid) else 1,
    )
