"""Do the silhouettes of an object agree with one solid? Fog and view-dependent haze do not.

Notation. v views with masks `[v, height, width]` bool, True where the object is (opacity above one half),
and poses `camera_to_world [v, 3, 4]`. The visual hull is the largest solid inside all the cones that the
masks cut out of space (Laurentini 1994). Any solid lies inside its hull, so that the hull's own silhouette in
a view is exactly that view's mask. Where masks belong to no solid the hull is too small for some of them:
silhouette coherence (Hernandez, Schmitt and Cipolla, PAMI 2007) is the share of a mask that the hull covers.
"""

from __future__ import annotations

import numpy as np

# Space between the points of a ray, in pixels of a view.
_SPACING_PX = 0.5


def silhouette_coherence(
    masks: np.ndarray, camera_to_world: np.ndarray, *, focal: float, near: float, far: float
) -> np.ndarray:
    """For each view the intersection over union of its mask with the silhouette of all views' hull.

    The hull lies inside every mask's cone, so the union is the mask itself. A pixel's centre counts as
    covered if a point of its ray lies in all other masks grown by one pixel, which forgives the raster: a
    solid scores 1 up to details smaller than a pixel.

    Args:
      masks: [v, height, width] bool, at least two views.
      camera_to_world: [v, 3, 4], the poses that they were seen from; world frame, scene units.
      focal: focal length of the masks, pixels.
      near: smallest distance from a camera at which the object may lie, scene units.
      far: largest distance.

    Returns:
      [v] in [0, 1]; 0 where a mask is empty, since nothing is no object.

    Raises:
      ValueError: for fewer than two views, or shapes that do not fit.
    """
    masks, poses = np.asarray(masks, bool), np.asarray(camera_to_world, np.float64)
    if masks.ndim != 3 or len(masks) < 2 or poses.shape != (len(masks), 3, 4):
        raise ValueError(
            f"masks {masks.shape} and poses {poses.shape} must be [v, h, w] and [v, 3, 4], v > 1"
        )
    grown = np.stack([_grow(mask) for mask in masks])
    distances = np.arange(near, far, _SPACING_PX * near / focal)
    return np.array([_covered(v, masks, grown, poses, focal, distances) for v in range(len(masks))])


def _covered(
    v: int, masks: np.ndarray, grown: np.ndarray, poses: np.ndarray, focal: float, distances: np.ndarray
) -> float:
    """The share of view v's mask whose rays meet the hull."""
    height, width = masks.shape[1:]
    rows, columns = np.nonzero(masks[v])
    if not len(rows):
        return 0.0
    x, y = (columns + 0.5 - width / 2) / focal, -(rows + 0.5 - height / 2) / focal
    in_camera = np.stack([x, y, -np.ones_like(x)], axis=-1)
    in_camera /= np.linalg.norm(in_camera, axis=-1, keepdims=True)
    directions = in_camera @ poses[v, :, :3].T
    points = poses[v, :, 3] + distances[:, None, None] * directions  # [n, pixels, 3]
    inside = np.ones(points.shape[:2], bool)
    for other in range(len(masks)):
        if other != v:
            inside &= _seen_in(grown[other], poses[other], points, focal)
    return float(np.mean(inside.any(axis=0)))


def _seen_in(mask: np.ndarray, pose: np.ndarray, points: np.ndarray, focal: float) -> np.ndarray:
    """Whether points [..., 3] fall on the mask [height, width] in one view."""
    height, width = mask.shape
    in_camera = (points - pose[:, 3]) @ pose[:, :3]
    depth = -in_camera[..., 2]
    ahead = depth > 1e-6
    scale = focal / np.where(ahead, depth, 1.0)
    column = np.floor(in_camera[..., 0] * scale + width / 2).astype(int)
    row = np.floor(-in_camera[..., 1] * scale + height / 2).astype(int)
    framed = ahead & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return framed & mask[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]


def _grow(mask: np.ndarray) -> np.ndarray:
    """The mask and the eight neighbours of each of its pixels."""
    padded = np.pad(mask, 1)
    height, width = mask.shape
    shifts = [(i, j) for i in range(3) for j in range(3)]
    return np.any([padded[i : i + height, j : j + width] for i, j in shifts], axis=0)
