"""From a run to files that other programs open: `export_run` is all that the rest of the house needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxjax.errors import UserError
from voxjax.mesh import fog, likeness, surface
from voxjax.mesh.colours import colours_of
from voxjax.mesh.fit import Cut, fit
from voxjax.mesh.formats import Content, ending_of, write
from voxjax.mesh.lattice import Lattice, sample_lattice
from voxjax.mesh.model import ColouredMesh
from voxjax.mesh.texture import textured
from voxjax.mesh.views import N_VIEWS, Views, render_views
from voxjax.run import Run

TEXTURED_FACES = 20_000
"""Triangles of a textured mesh where nothing else is asked for: the texture holds what is finer."""


@dataclass(frozen=True)
class ExportOptions:
    """What the mesh should be like.

    Attributes:
      threshold: opacity of one voxel length at the surface, in (0, 1); None for the surface whose
        silhouettes are the field's.
      keep_largest: keep the largest part alone; else only crumbs go, parts under a hundredth of it.
      smooth: steps of Taubin's filter.
      faces: triangles, about and at most; None for all of them, or `TEXTURED_FACES` with a texture.
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
      bounds: [2, 3], lowest and highest corner, metres, z up.
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
        corners = " to ".join(f"({', '.join(f'{c:.3f}' for c in corner)})" for corner in self.bounds)
        parts = "1 part" if self.n_removed == 1 else f"{self.n_removed} parts"
        lines = [
            f"faces       {self.n_faces}, {'' if self.watertight else 'not '}watertight",
            f"size        {size} m, volume {self.volume:.4g} m3, bounds {corners}, z up",
            f"threshold   {self.threshold:.3g} (opacity of a voxel at the surface)",
            f"floaters    {100 * self.removed:.2f} % of the volume removed, {parts}",
            f"likeness    silhouette IoU {self.silhouette_iou:.3f}, colour error {self.colour_error:.3f} "
            f"over {N_VIEWS} views",
        ]
        if self.silhouette_iou < likeness.IOU:
            lines.append(
                f"            below {likeness.IOU}: no surface has the outlines of fog, or of what was "
                "removed; --check=check.png shows where they differ"
            )
        return lines


def export_run(
    run: Run, paths: Sequence[Path], *, options: ExportOptions = ExportOptions(), check: Path | None = None
) -> Exported:
    """Makes a mesh of a run's object and writes it.

    Args:
      run: an opened run.
      paths: of the files to be; their endings say the formats (`formats.ENDINGS`).
      options: see there.
      check: a picture that shows field and mesh one above the other, ending in `.png`; None for none.

    Returns:
      The mesh with its figures.

    Raises:
      UserError: an ending is unknown (before any work), or the surface is empty.
    """
    for path in paths:
        ending_of(path)
    lattice = sample_lattice(run, cells=options.cells)
    views = render_views(run)
    solid, threshold = _cut(lattice, views, run.config.cameras.radius, options.threshold)
    smallest = 1.0 if options.keep_largest else surface.CRUMB
    solid, removed, n_removed = surface.drop_parts(solid, smallest=smallest)
    solid = surface.smooth(solid, options.smooth)
    n_faces = options.faces or (TEXTURED_FACES if options.texture_px else None)
    if n_faces is not None:
        solid = surface.decimate(solid, n_faces)
    shape = solid.as_trimesh()
    tell = colours_of(lattice)
    normals = np.array(shape.vertex_normals)
    mesh = ColouredMesh(solid.vertices, solid.faces, normals, tell(solid.vertices, normals))
    if options.texture_px is not None:
        mesh = textured(mesh, tell, size_px=options.texture_px)
    alike = likeness.compare(mesh, views)
    for path in paths:
        write(path, Content(mesh, lattice, threshold))
    if check is not None:
        likeness.write_check(check, alike, views)
    return Exported(
        mesh=mesh,
        paths=tuple(Path(path) for path in paths),
        threshold=threshold,
        silhouette_iou=alike.silhouette_iou,
        colour_error=alike.colour_error,
        n_faces=len(mesh.faces),
        watertight=bool(shape.is_watertight),
        volume=float(shape.volume),
        bounds=np.array(shape.bounds),
        removed=removed,
        n_removed=n_removed,
    )


def _cut(
    lattice: Lattice, views: Views, radius: float, threshold: float | None
) -> tuple[surface.Surface, float]:
    """The surface and its threshold.

    Raises:
      UserError: it is empty.
    """
    if threshold is not None:
        solid = surface.cut(lattice, lattice.level(threshold))
    else:
        thin = fog.thinnest(lattice)
        found: Cut | None = fit(lattice, thin, views, radius=radius)
        if found is None:
            raise UserError(empty(lattice, None))
        solid = surface.cut(lattice, found.level, thin - found.margin)
        threshold = lattice.alpha(found.level)
    if not len(solid.faces):
        raise UserError(empty(lattice, threshold))
    return solid, threshold


def empty(lattice: Lattice, threshold: float | None) -> str:
    """The message for a surface without triangles: the largest opacity, and a threshold to try."""
    largest = lattice.alpha(float(lattice.raw.max()))
    why = "no view of the field is anywhere half opaque"
    if threshold is not None:
        why = f"--threshold={threshold:g} lies above all of the field"
    advice = (
        f"try --threshold={largest / 2:.2g}" if largest > 1e-6 else "there is nothing in it; train it further"
    )
    return f"the surface is empty: {why}; the largest opacity of a voxel is {largest:.3g}, {advice}"
