"""The mesh that is handed from the field to the files, with its colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voxjax.mesh.raster import Fragments


@dataclass(frozen=True)
class ColouredMesh:
    """Triangles in colour. Colours are display values (sRGB) in [0, 1]: a picture shows them as they are.

    Attributes:
      vertices: [n, 3] float64, world frame (z up), scene units.
      faces: [m, 3] int64, counter-clockwise from outside.
      normals: [n, 3], unit, outward.
      colours: [n, 3], of the vertices.
      uv: [n, 2] in [0, 1], place in the texture, v upwards; None without one. Vertices at seams are there
        once for each side.
      texture: [size, size, 3] uint8, row 0 at the top (v = 1).
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    uv: np.ndarray | None = None
    texture: np.ndarray | None = None

    def colours_at(self, seen: Fragments) -> np.ndarray:
        """Colours of the points seen in a picture: [height, width, 3]; arbitrary where there is none."""
        if self.uv is None or self.texture is None:
            return seen.interpolate(self.colours, self.faces)
        return look_up(self.texture, seen.interpolate(self.uv, self.faces))


def look_up(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear reading of a texture at [..., 2]: [..., 3] in [0, 1]."""
    size = texture.shape[0]
    column = np.clip(uv[..., 0] * size - 0.5, 0.0, size - 1.001)
    row = np.clip((1.0 - uv[..., 1]) * size - 0.5, 0.0, size - 1.001)
    left, top = column.astype(int), row.astype(int)
    x, y = (column - left)[..., None], (row - top)[..., None]
    upper = texture[top, left] * (1.0 - x) + texture[top, left + 1] * x
    lower = texture[top + 1, left] * (1.0 - x) + texture[top + 1, left + 1] * x
    return (upper * (1.0 - y) + lower * y) / 255.0
