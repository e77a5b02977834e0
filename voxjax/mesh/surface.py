"""Where a lattice crosses a level: marching cubes, and what it takes to make the result fit for use.

Notation. A surface is a set of triangles [m, 3] on vertices [n, 3] in the world frame, seen from outside
counter-clockwise. Parts are connected through edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from skimage.measure import label, marching_cubes

from voxjax.lattice import FLOOR
from voxjax.mesh.lattice import Lattice

CRUMB = 0.01
"""Share of the largest part's volume below which a part is a crumb."""
# Of the decimation, in the order tried: the hasty first, which now and then folds a thin place onto itself.
_AGGRESSIONS = (7, 5, 3)


@dataclass(frozen=True)
class Surface:
    """Triangles.

    Attributes:
      vertices: [n, 3] float64, world frame, scene units.
      faces: [m, 3] int64.
    """

    vertices: np.ndarray
    faces: np.ndarray

    def as_trimesh(self) -> trimesh.Trimesh:
        """The same triangles, untouched, as trimesh has them."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)


def cut(lattice: Lattice, level: float, outline: np.ndarray | None = None) -> Surface:
    """The surface around all that is denser than a level, closed at the box's faces, hollows filled.

    Args:
      lattice: the sampled field.
      level: raw density.
      outline: [x, y, z], what is below 0 there is outside too; None for nothing.

    Returns:
      The surface; without triangles where nothing is inside. Hollows that cannot be reached from outside
      through the lattice's faces are taken as solid.
    """
    inside = lattice.raw - np.float32(level)
    if outline is not None:
        inside = np.minimum(inside, outline)
    # A vertex exactly on the surface would make triangles without area.
    inside = np.where(np.abs(inside) < 1e-4, np.float32(1e-4), inside)
    inside = np.pad(inside, 1, constant_values=FLOOR)
    outside = label(inside < 0, connectivity=1)
    inside[(outside > 0) & (outside != outside[0, 0, 0])] = 10.0
    if not (inside > 0).any():
        return Surface(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    vertices, faces, _, _ = marching_cubes(inside, 0.0, gradient_direction="ascent")
    places = lattice.lower + (vertices.astype(np.float64) - 1.0) * lattice.spacing
    return Surface(np.clip(places, lattice.lower, lattice.upper), faces.astype(np.int64))


def drop_parts(surface: Surface, *, smallest: float) -> tuple[Surface, float, int]:
    """Leaves floaters away.

    Args:
      surface: any.
      smallest: share of the largest part's volume that a part must have to stay; 1 for the largest alone.

    Returns:
      (what stays, the removed share of the volume of all parts in [0, 1], number of parts removed).
    """
    if not len(surface.faces):
        return surface, 0.0, 0
    mesh = surface.as_trimesh()
    part = trimesh.graph.connected_component_labels(mesh.face_adjacency, node_count=len(mesh.faces))
    corners = surface.vertices[surface.faces]
    signed = np.einsum("ni,ni->n", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6.0
    volume = np.abs(np.bincount(part, weights=signed))
    stays = volume >= smallest * volume.max()
    if smallest >= 1.0:
        stays = np.arange(len(volume)) == np.argmax(volume)
    removed = float(volume[~stays].sum() / volume.sum())
    return compact(surface.vertices, surface.faces[stays[part]]), removed, int((~stays).sum())


def compact(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """Leaves vertices away that no triangle has."""
    used, faces = np.unique(faces, return_inverse=True)
    return Surface(vertices[used], faces.reshape(-1, 3).astype(np.int64))


def smooth(surface: Surface, iterations: int) -> Surface:
    """Taubin's filter (1995): shrinks and grows in turn, which takes bumps away and leaves the volume.

    Args:
      surface: any.
      iterations: steps, half of them shrinking; 0 for the surface as it is.

    Returns:
      The same triangles on moved vertices.
    """
    if not iterations or not len(surface.faces):
        return surface
    mesh = surface.as_trimesh()
    trimesh.smoothing.filter_taubin(mesh, lamb=0.5, nu=0.53, iterations=iterations)
    return Surface(np.asarray(mesh.vertices), surface.faces)


def decimate(surface: Surface, n_faces: int) -> Surface:
    """Fewer triangles, by collapsing the edges that matter least (quadric error).

    Args:
      surface: any.
      n_faces: wanted at most; one that has no more stays as it is.

    Returns:
      About `n_faces` triangles; closed if the surface was, unless no order of collapses leaves it so.
    """
    if len(surface.faces) <= n_faces:
        return surface
    mesh = surface.as_trimesh()
    closed = mesh.is_watertight
    for aggression in _AGGRESSIONS:
        fewer = mesh.simplify_quadric_decimation(face_count=n_faces, aggression=aggression)
        if fewer.is_watertight or not closed:
            break
    return compact(np.asarray(fewer.vertices), np.asarray(fewer.faces))
