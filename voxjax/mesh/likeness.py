"""How much a mesh looks like its field: both seen from the same eight sides."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from voxjax.mesh.model import ColouredMesh
from voxjax.mesh.raster import project, rasterise
from voxjax.mesh.views import N_VIEWS, Views
from voxjax.pictures.contact_sheet import labelled_rows
from voxjax.pictures.images import save_png, to_uint8

IOU, COLOUR_ERROR = 0.95, 0.06
"""What a mesh is expected to reach."""
_BOTH, _FIELD_ONLY, _MESH_ONLY = (0.75, 0.75, 0.75), (0.13, 0.4, 0.85), (0.85, 0.2, 0.13)


@dataclass(frozen=True)
class Likeness:
    """A mesh against its field.

    Attributes:
      silhouette_iou: area of both outlines over the area of either, mean over the views, in [0, 1].
      colour_error: mean absolute difference of the channels where both are, in [0, 1], between the mesh and
        the field's own colour (premultiplied colour over opacity); NaN where there is no such pixel.
      pictures: [n, size, size, 3], the mesh on white.
      masks: [n, size, size] bool, where the mesh is.
    """

    silhouette_iou: float
    colour_error: float
    pictures: np.ndarray
    masks: np.ndarray


def compare(mesh: ColouredMesh, views: Views) -> Likeness:
    """Renders a mesh from the views and holds it against them.

    Args:
      mesh: in the world frame.
      views: of the field.

    Returns:
      The likeness.
    """
    size = views.size_px
    iou, differences, pictures, masks = [], [], [], []
    for pose, mask, colour in zip(views.poses, views.masks, views.colour, strict=True):
        points = project(mesh.vertices, pose, focal=views.focal, size_px=size)
        seen = rasterise(points, mesh.faces, width_px=size, height_px=size)
        both = mask & seen.mask
        iou.append(both.sum() / max(1, (mask | seen.mask).sum()))
        picture = np.where(seen.mask[..., None], mesh.colours_at(seen), 1.0)
        differences.append(np.abs(picture - colour)[both])
        pictures.append(picture)
        masks.append(seen.mask)
    error = np.concatenate(differences)
    return Likeness(
        float(np.mean(iou)),
        float(error.mean()) if error.size else float("nan"),
        np.stack(pictures),
        np.stack(masks),
    )


def write_check(path: str | os.PathLike[str], likeness: Likeness, views: Views) -> None:
    """A picture of the likeness: the field, the mesh, and where only one of the two is.

    Args:
      path: final place, ending in `.png`.
      likeness: of `compare`.
      views: that it was made with.
    """
    field = views.colour * views.opacity[..., None] + (1.0 - views.opacity[..., None])
    outline = np.ones_like(field)
    outline[views.masks & likeness.masks] = _BOTH
    outline[views.masks & ~likeness.masks] = _FIELD_ONLY
    outline[~views.masks & likeness.masks] = _MESH_ONLY
    # Small pictures are shown in larger pixels.
    times = max(1, round(128 / views.size_px))
    rows = [
        (name, [to_uint8(each).repeat(times, axis=0).repeat(times, axis=1) for each in images])
        for name, images in (("field", field), ("mesh", likeness.pictures), ("outlines", outline))
    ]
    heads = [f"{360.0 * k / N_VIEWS:.0f}°" for k in range(N_VIEWS)]
    save_png(path, labelled_rows(rows, heads))
