"""Triangles to pixels: a small z-buffer in NumPy, for pictures of a mesh without a graphics card.

Notation. Pixel (row, column) is seen along the ray through (column + 0.5, row + 0.5), the principal point is
at (size / 2, size / 2) and row 0 at the top, as in `cameras`. Of a triangle with corners i the barycentric
weights w_i sum to 1; `bary` are those of the point seen, on the triangle itself (perspective-correct).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Pixels that are tested for triangles at a time.
_CHUNK = 2**20


@dataclass(frozen=True)
class Fragments:
    """What is seen in each pixel.

    Attributes:
      face: [height, width] int32, index of the nearest triangle; -1 where there is none.
      bary: [height, width, 3] float32, weights of its corners; 0 where there is none.
    """

    face: np.ndarray
    bary: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """[height, width] bool, where a triangle is seen."""
        return self.face >= 0

    def interpolate(self, values: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Values of vertices, [n, c], at the points seen: [height, width, c]; 0 where there is none."""
        corners = values[faces[np.maximum(self.face, 0)]]
        return np.einsum("hwk,hwkc->hwc", self.bary, corners)


def project(vertices: np.ndarray, pose: np.ndarray, *, focal: float, size_px: int) -> np.ndarray:
    """World positions to pixels.

    Args:
      vertices: [n, 3], world frame, in front of the camera.
      pose: camera_to_world [3, 4].
      focal: pixels.
      size_px: of the square picture.

    Returns:
      [n, 3] float64: column, row (pixels, the first pixel's centre at 0.5), and 1 / distance along the axis.
    """
    pose = np.asarray(pose, np.float64)
    local = (np.asarray(vertices, np.float64) - pose[:, 3]) @ pose[:, :3]
    inverse = -1.0 / local[:, 2]
    column = local[:, 0] * inverse * focal + size_px / 2
    row = -local[:, 1] * inverse * focal + size_px / 2
    return np.stack([column, row, inverse], axis=-1)


def rasterise(
    points: np.ndarray,
    faces: np.ndarray,
    *,
    width_px: int,
    height_px: int,
    visible: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> Fragments:
    """The nearest triangle in every pixel; both sides of a triangle are drawn.

    Args:
      points: [n, 3], from `project`; the larger the third value, the nearer.
      faces: [m, 3], indices of points.
      width_px: of the picture.
      height_px: of the picture.
      visible: (face [k], bary [k, 3]) -> [k] bool, the points on triangles that hide what is behind them, for
        textures with holes; None: all.

    Returns:
      Fragments [height_px, width_px].
    """
    owner, row, column, flat = covered(points, faces, width_px=width_px, height_px=height_px)
    on_face = flat * points[faces[owner], 2]
    nearness = on_face.sum(axis=-1)
    if visible is not None:
        seen = visible(owner, on_face / nearness[:, None])
        owner, row, column, on_face, nearness = (x[seen] for x in (owner, row, column, on_face, nearness))
    # In the order of nearness, so that of several writers to a pixel the nearest is the last.
    order = np.argsort(nearness, kind="stable")
    face = np.full((height_px, width_px), -1, np.int32)
    bary = np.zeros((height_px, width_px, 3), np.float32)
    at = row[order], column[order]
    face[at], bary[at] = owner[order], on_face[order] / nearness[order, None]
    return Fragments(face, bary)


def covered(
    points: np.ndarray, faces: np.ndarray, *, width_px: int, height_px: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All pixels whose centres lie inside triangles or on their rims, for all triangles.

    Args:
      points: [n, 2 or more]: column, row.
      faces: [m, 3], indices of points.
      width_px: of the picture.
      height_px: of the picture.

    Returns:
      (face [k], row [k], column [k], weights of its corners in the picture's plane [k, 3]).
    """
    corners = points[faces][..., :2]
    first = np.maximum(np.ceil(corners.min(axis=1) - 0.5), 0).astype(np.int64)
    last = np.floor(corners.max(axis=1) - 0.5).astype(np.int64)
    count = np.maximum(np.minimum(last, (width_px - 1, height_px - 1)) - first + 1, 0)
    alive = np.flatnonzero(count.prod(axis=-1))
    ends = np.cumsum(count[alive].prod(axis=-1))
    found = []
    for part in np.split(
        alive, np.searchsorted(ends, np.arange(_CHUNK, ends[-1] if len(ends) else 0, _CHUNK))
    ):
        n_pixels = count[part].prod(axis=-1)
        owner = np.repeat(part, n_pixels)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(n_pixels) - n_pixels, n_pixels)
        column = first[owner, 0] + within % np.maximum(count[owner, 0], 1)
        row = first[owner, 1] + within // np.maximum(count[owner, 0], 1)
        weights = _weights(corners[owner], column + 0.5, row + 0.5)
        inside = (weights >= 0).all(axis=-1)
        found.append((owner[inside], row[inside], column[inside], weights[inside]))
    return tuple(np.concatenate(each) for each in zip(*found, strict=True))  # type: ignore[return-value]


def _weights(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Barycentric weights in the picture's plane, [n, 3]; negative outside and without area."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k, :2].T for k in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    some = np.where(area == 0.0, 1.0, area)
    a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / some
    b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / some
    return np.where(area[:, None] != 0.0, np.stack([a, b, 1.0 - a - b], axis=-1), -1.0)
