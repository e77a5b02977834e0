"""From a run to files that other programs open: `export_run` is all that the rest of the house needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxjax.errors import UserError
from voxjax.mesh import surface as surfaces
from voxjax.mesh.colours import colours_of
from voxjax.mesh.formats import ColouredMesh, suffix_of, write
from voxjax.mesh.lattice import Lattice, sample_lattice
from voxjax.mesh.likeness import best_level, compare, render_views
from voxjax.run import Run


@dataclass(frozen=True)
class ExportOptions:
    """What the mesh should be like.

    Attributes:
      threshold: opacity of one voxel length at the surface, in (0, 1); None for the one whose silhouettes
        fit the field's.
      keep_largest: keep the largest part alone; else only crumbs are removed, parts under a hundredth of it.
      smooth: steps of Taubin's filter.
      faces: triangles at most; None for all of them.
      texture_px: side of a texture; None for colours on the vertices.
      cells: of the lattice along the longest edge of the box; None for what fits the field.
    """

    threshold: float | None = None
    keep_largest: bool = False
    smooth: int = 0
    faces: int | None = None
    texture_px: int | None = None
    cells: int | None = None


@dataclass(frozen=True)
class Exported:
    """What was made, and how much it looks like its field.

    Attributes:
      mesh: as it was written.
      paths: of the files, in the order asked for.
      threshold: opacity of one voxel length at the surface.
      silhouette_iou: mean over eight views of the overlap of mesh's and field's outlines, in [0, 1].
      colour_error: mean absolute difference of the channels inside both, in [0, 1]; NaN where none is.
      n_faces: triangles.
      watertight: whether every edge has exactly two triangles.
      volume: cubic metres.
      bounds: (lowest corner, highest corner) in metres, z up.
      removed: share of the volume that was removed as floaters, in [0, 1].
      n_removed: number of parts removed.
    """

    mesh: ColouredMesh
    paths: tuple[Path, ...]
    threshold: float
    silhouette_iou: float
    colour_error: float
    n_faces: int
    watertight: bool
    volume: float
    bounds: np.ndarray
    removed: float
    n_removed: int

    def lines(self) -> list[str]:
        """What a user wants to know, a line each."""
        size = " x ".join(f"{edge:.3f}" for edge in self.bounds[1] - self.bounds[0])
        closed = "watertight" if self.watertight else "not watertight"
        parts = "1 part" if self.n_removed == 1 else f"{self.n_removed} parts"
        return [
            f"{self.n_faces} faces, {closed}, volume {self.volume:.4g} m3, {size} m (x, y, z; z up)",
            f"threshold {self.threshold:.3g}; removed as floaters: {100 * self.removed:.2f} % of the volume, {parts}",
            f"likeness over 8 views: silhouette IoU {self.silhouette_iou:.3f}, colour error {self.colour_error:.3f}",
        ]


def export_run(
    run: Run, paths: Sequence[Path], *, options: ExportOptions = ExportOptions(), check: Path | None = None
) -> Exported:
    """Makes a mesh of a run's object and writes it.

    Args:
      run: an opened run.
      paths: of the files to be; their suffixes say the formats.
      options: see there.
      check: a picture that shows mesh and field side by side; None for none.

    Returns:
      The mesh with its figures.

    Raises:
      UserError: a suffix is unknown (before any work), or the surface is empty.
    """
    for path in paths:
        suffix_of(path)
    lattice = sample_lattice(run, cells=options.cells)
    views = render_views(run)
    if options.threshold is None:
        level = best_level(lattice, views, radius=run.config.cameras.radius)
    else:
        level = lattice.level(options.threshold)
    if level is None:
        raise UserError(empty(lattice, options))
    surface = surfaces.cut(lattice, level)
    if not len(surface.faces):
        raise UserError(empty(lattice, options))
    smallest = 1.0 if options.keep_largest else surfaces.CRUMB
    surface, removed, n_removed = surfaces.drop_parts(surface, smallest=smallest)
    surface = surfaces.smooth(surface, options.smooth)
    if options.faces is not None:
        surface = surfaces.decimate(surface, options.faces)
    solid = surface.as_trimesh()
    normals = np.asarray(solid.vertex_normals)
    colours = colours_of(run, lattice)(surface.vertices, normals)
    mesh = ColouredMesh(surface.vertices, surface.faces, normals, colours)
    likeness = compare(mesh.vertices, mesh.faces, mesh.colours, views)
    for path in paths:
        write(path, mesh)
    return Exported(
        mesh=mesh,
        paths=tuple(map(Path, paths)),
        threshold=lattice.alpha(level),
        silhouette_iou=likeness.silhouette_iou,
        colour_error=likeness.colour_error,
        n_faces=len(mesh.faces),
        watertight=bool(solid.is_watertight),
        volume=float(solid.volume),
        bounds=np.asarray(solid.bounds),
        removed=removed,
        n_removed=n_removed,
    )


def empty(lattice: Lattice, options: ExportOptions) -> str:
    """The message for a surface without triangles: the largest opacity, and a threshold to try."""
    largest = lattice.alpha(float(lattice.raw.max()))
    asked = "" if options.threshold is None else f"--threshold={options.threshold:g}: "
    return (
        f"{asked}the surface is empty; the largest opacity of a voxel is {largest:.3g}, "
        f"try --threshold={largest / 2:.2g}"
    )
