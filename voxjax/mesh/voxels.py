"""A mesh as blocks: which cells of an even grid lie inside it, and which its surface goes through.

Notation. Cell (i, j, k) of a grid has its centre at origin + (i + 0.5, j + 0.5, k + 0.5) * pitch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh

from voxjax.mesh.model import ColouredMesh, look_up
from voxjax.mesh.raster import covered

# Points per cell's face of area: enough that hardly a cell on the surface is missed.
_DENSITY = 12.0


@dataclass(frozen=True)
class Blocks:
    """Cells.

    Attributes:
      filled: [x, y, z] bool.
      origin: [3], smallest corner of the grid, world frame.
      pitch: edge of a cell, scene units.
    """

    filled: np.ndarray
    origin: np.ndarray
    pitch: float

    def centres(self) -> np.ndarray:
        """[n, 3], of the filled cells, in the order of `numpy.argwhere`."""
        return self.origin + (np.argwhere(self.filled) + 0.5) * self.pitch


def fill(mesh: ColouredMesh, *, pitch: float, most: int) -> Blocks:
    """The cells whose centres lie inside a closed mesh.

    A centre is inside when a line upwards from it leaves the mesh once more than it enters it.

    Args:
      mesh: closed.
      pitch: wanted edge of a cell, scene units.
      most: cells along the longest side; a pitch that would give more is enlarged.

    Returns:
      The cells, in a grid that just holds the mesh.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    pitch = max(pitch, float((high - low).max()) / most)
    shape = np.minimum(np.maximum(np.ceil((high - low) / pitch - 1e-9).astype(int), 1), most)
    origin = (low + high) / 2.0 - shape * pitch / 2.0
    # A hair aside, so that no line of centres runs along an edge, as those of marching cubes would.
    local = (mesh.vertices - origin) / pitch + (1.3e-5, 2.9e-5, 0.0)
    face, row, column, bary = covered(local, mesh.faces, width_px=int(shape[0]), height_px=int(shape[1]))
    corners = local[mesh.faces[face]]
    height = np.einsum("nk,nk->n", bary, corners[..., 2])
    edge = corners[:, 1:, :2] - corners[:, :1, :2]
    turn = np.sign(edge[:, 0, 0] * edge[:, 1, 1] - edge[:, 0, 1] * edge[:, 1, 0])
    # Every crossing changes the count of all centres below it.
    count = np.zeros((shape[0], shape[1], shape[2] + 1))
    below = np.clip(np.ceil(height - 0.5).astype(int), 0, shape[2])
    np.add.at(count, (column, row, below), turn)
    inside = np.cumsum(count[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    return Blocks(inside > 0.5, origin, pitch)


def surface_cells(
    mesh: ColouredMesh, *, pitch: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One point for each cell that the surface goes through.

    Args:
      mesh: any.
      pitch: edge of a cell, scene units.
      seed: of the points that are laid on the surface.

    Returns:
      (positions [n, 3], unit normals [n, 3], colours [n, 3] in [0, 1]): means over the surface in each cell.
    """
    shape = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    n_points = int(_DENSITY * shape.area / pitch**2) + 1
    points, face = trimesh.sample.sample_surface(shape, n_points, seed=seed)
    bary = trimesh.triangles.points_to_barycentric(shape.triangles[face], points)
    corners = mesh.faces[face]
    normals = np.einsum("nk,nkc->nc", bary, mesh.normals[corners])
    if mesh.uv is None or mesh.texture is None:
        colours = np.einsum("nk,nkc->nc", bary, mesh.colours[corners])
    else:
        colours = look_up(mesh.texture, np.einsum("nk,nkc->nc", bary, mesh.uv[corners]))
    cell = np.floor(points / pitch).astype(np.int64)
    flat = np.ravel_multi_index(tuple((cell - cell.min(axis=0)).T), tuple(np.ptp(cell, axis=0) + 1))
    _, owner, count = np.unique(flat, return_inverse=True, return_counts=True)

    def mean(values: np.ndarray) -> np.ndarray:
        sums = [np.bincount(owner, weights=values[:, k], minlength=len(count)) for k in range(3)]
        return np.stack(sums, axis=-1) / count[:, None]

    normal = mean(normals)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    normal = np.where(length > 1e-6, normal / np.maximum(length, 1e-6), [0.0, 0.0, 1.0])
    return mean(points), normal, np.clip(mean(colours), 0.0, 1.0)
