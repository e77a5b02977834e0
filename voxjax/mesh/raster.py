"""Triangles to pixels: a small z-buffer in NumPy, for pictures of a mesh without a graphics card.

Notation. Pixel (row, column) is seen along the ray through (column + 0.5, row + 0.5), the principal point is
at (size / 2, size / 2) and row 0 at the top, as in `cameras`. Of a triangle with corners i the barycentric
weights w_i sum to 1; `bary` are those of the point seen, on the triangle itself (perspective-correct).
"""

from __future__ import annotations

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


def rasterise(points: np.ndarray, faces: np.ndarray, *, width_px: int, height_px: int) -> Fragments:
    """The nearest triangle in every pixel; both sides of a triangle are drawn.

    Args:
      points: [n, 3], from `project`; the larger the third value, the nearer.
      faces: [m, 3], indices of points.
      width_px: of the picture.
      height_px: of the picture.

    Returns:
      Fragments [height_px, width_px]; a pixel belongs to a triangle when its centre lies inside or on the rim.
    """
    corners = points[faces]
    first = np.maximum(np.ceil(corners[..., :2].min(axis=1) - 0.5), 0).astype(np.int64)
    last = np.floor(corners[..., :2].max(axis=1) - 0.5).astype(np.int64)
    count = np.maximum(np.minimum(last, (width_px - 1, height_px - 1)) - first + 1, 0)
    n_pixels = count.prod(axis=-1)
    face = np.full(height_px * width_px, -1, np.int32)
    nearest = np.full(height_px * width_px, -np.inf)
    weights = np.zeros((height_px * width_px, 3))
    alive = np.flatnonzero(n_pixels)
    ends = np.cumsum(n_pixels[alive])
    start = 0
    while start < len(alive):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + _CHUNK)))
        chosen = alive[start:stop]
        owner = np.repeat(chosen, n_pixels[chosen])
        within = np.arange(len(owner)) - np.repeat(
            np.cumsum(n_pixels[chosen]) - n_pixels[chosen], n_pixels[chosen]
        )
        column = first[owner, 0] + within % count[owner, 0]
        row = first[owner, 1] + within // count[owner, 0]
        flat = _weights(corners[owner], column + 0.5, row + 0.5)
        inside = (flat >= 0).all(axis=-1)
        owner, pixel, flat = owner[inside], (row * width_px + column)[inside], flat[inside]
        on_face = flat * corners[owner, :, 2]
        nearness = on_face.sum(axis=-1)
        # In the order of nearness, so that of several writers to a pixel the nearest is the last.
        order = np.argsort(nearness, kind="stable")
        order = order[nearness[order] > nearest[pixel[order]]]
        at = pixel[order]
        nearest[at], face[at] = nearness[order], owner[order]
        weights[at] = on_face[order] / nearness[order, None]
        start = stop
    shape = (height_px, width_px)
    return Fragments(face.reshape(shape), weights.reshape(*shape, 3).astype(np.float32))


def _weights(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Barycentric weights in the picture's plane, [n, 3]; negative outside, and -1 for a triangle without area."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k, :2].T for k in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    some = np.where(area == 0.0, 1.0, area)
    a = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / some
    b = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / some
    return np.where(area[:, None] != 0.0, np.stack([a, b, 1.0 - a - b], axis=-1), -1.0)
