"""Does the object have the shape of the primitive in its prompt? Silhouettes against silhouettes, no CLIP.

Notation. A mask is `[..., height, width]` bool, True where the object is (opacity above one half). A pose
is `camera_to_world [3, 4]`, columns x right, y up, z backwards, and the camera's place. The true primitive y
is compared after a similarity x = s R(yaw) y + t with one scale s > 0, one turn R about the vertical axis and
one shift t (scene units) for all views. Instead of moving the primitive, the cameras are moved the other way:
a camera at c sees the moved primitive exactly as a camera at R^-1 (c - t) / s, turned by R^-1, sees the
primitive where it was made. So all that is asked of the truth is a function from poses to masks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# camera_to_world [n, 3, 4] -> masks [n, height, width]; intrinsics and size are those of the masks compared.
TrueMasks = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class SilhouetteFit:
    """The best match found.

    Attributes:
      iou: mean over the views of intersection / union, in [0, 1].
      scale: of the primitive.
      yaw_deg: turn of the primitive about the vertical axis, counter-clockwise from above.
      shift: [3], scene units.
    """

    iou: float
    scale: float
    yaw_deg: float
    shift: tuple[float, float, float]


def mask_of(opacity: np.ndarray, *, threshold: float = 0.5) -> np.ndarray:
    """Where the object is.

    Args:
      opacity: [...], in [0, 1].
      threshold: a pixel above it belongs to the object.

    Returns:
      [...] bool.
    """
    return np.asarray(opacity) > threshold


def mean_iou(masks: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union, averaged over the views.

    Args:
      masks: [n, height, width] bool.
      truth: [n, height, width] bool.

    Returns:
      In [0, 1]; a view that is empty in both counts as 0, since an object that is not there matches nothing.

    Raises:
      ValueError: if the shapes differ.
    """
    if masks.shape != truth.shape or masks.ndim != 3:
        raise ValueError(f"masks {masks.shape} and truth {truth.shape} must be alike, [n, height, width]")
    both = np.logical_and(masks, truth).sum(axis=(1, 2))
    either = np.logical_or(masks, truth).sum(axis=(1, 2))
    return float(np.mean(both / np.maximum(either, 1)))


def moved_poses(camera_to_world: np.ndarray, scale: float, yaw_deg: float, shift: np.ndarray) -> np.ndarray:
    """Poses from which the unmoved primitive looks as the moved one does from the given poses.

    Args:
      camera_to_world: [n, 3, 4].
      scale: of the primitive, above 0.
      yaw_deg: turn of the primitive about the z axis.
      shift: [3], scene units.

    Returns:
      [n, 3, 4].
    """
    yaw = np.deg2rad(yaw_deg)
    cos, sin = np.cos(yaw), np.sin(yaw)
    unturn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    axes = unturn @ camera_to_world[:, :, :3]
    places = (camera_to_world[:, :, 3] - np.asarray(shift)) @ unturn.T / scale
    return np.concatenate([axes, places[:, :, None]], axis=-1)


def fit_silhouettes(
    masks: np.ndarray,
    camera_to_world: np.ndarray,
    truth: TrueMasks,
    *,
    focal: float,
    n_yaws: int = 12,
    yaw_period_deg: float = 360.0,
    n_refine: int = 2,
) -> SilhouetteFit:
    """The similarity under which the true primitive's silhouettes match best.

    The first guess of scale and shift comes from areas and centroids; then every yaw of a coarse comb is
    tried, and a pattern search with shrinking steps polishes the best few. It is a search, so the figure is a
    lower bound of the best IoU.

    Args:
      masks: [n, height, width] bool, of the object.
      camera_to_world: [n, 3, 4], the poses that the masks were seen from.
      truth: masks of the true primitive, as made, from any poses.
      focal: focal length of the masks in pixels.
      n_yaws: yaws tried at first, evenly over a period.
      yaw_period_deg: turn after which the primitive looks the same (90 for a cube); 0 if it is round.
      n_refine: how many of the best yaws are polished.

    Returns:
      The fit; iou 0 if the object cannot be seen at all.
    """
    camera_to_world = np.asarray(camera_to_world, dtype=np.float64)
    if not masks.any():
        return SilhouetteFit(0.0, 1.0, 0.0, (0.0, 0.0, 0.0))
    scale, shift = _first_guess(masks, truth(camera_to_world), camera_to_world, focal)
    yaws = np.arange(n_yaws) * yaw_period_deg / n_yaws if yaw_period_deg > 0 else np.zeros(1)

    def iou_at(p: np.ndarray) -> float:
        return mean_iou(masks, truth(moved_poses(camera_to_world, np.exp(p[0]), p[1], p[2:])))

    starts = [np.array([np.log(scale), yaw, *shift]) for yaw in yaws]
    ranked = sorted(((iou_at(p), k) for k, p in enumerate(starts)), reverse=True)
    steps = np.array([0.1, yaw_period_deg / n_yaws / 2, 0.06 * scale, 0.06 * scale, 0.06 * scale])
    polished = [_pattern_search(iou_at, starts[k], value, steps) for value, k in ranked[:n_refine]]
    best, value = max(polished, key=lambda found: found[1])
    return SilhouetteFit(
        iou=value,
        scale=float(np.exp(best[0])),
        yaw_deg=float(best[1] % 360.0),
        shift=(float(best[2]), float(best[3]), float(best[4])),
    )


def _first_guess(
    masks: np.ndarray, truth: np.ndarray, camera_to_world: np.ndarray, focal: float
) -> tuple[float, np.ndarray]:
    """Scale from the areas; shift as the point nearest to all rays through the masks' centroids.

    The centroid ray of the unmoved primitive is subtracted, since a cone's centroid is not its origin.
    """
    seen = masks.any(axis=(1, 2)) & truth.any(axis=(1, 2))
    if not seen.any():
        return 1.0, np.zeros(3)
    areas = masks[seen].sum(axis=(1, 2)) / truth[seen].sum(axis=(1, 2))
    scale = float(np.sqrt(np.exp(np.mean(np.log(areas)))))
    poses = camera_to_world[seen]
    centre = _nearest_point(masks[seen], poses, focal)
    return scale, centre - scale * _nearest_point(truth[seen], poses, focal)


def _nearest_point(masks: np.ndarray, poses: np.ndarray, focal: float) -> np.ndarray:
    """The point [3] with the smallest summed squared distance to the rays through the centroids."""
    height, width = masks.shape[1:]
    weights = masks / masks.sum(axis=(1, 2), keepdims=True)
    x = (weights * (np.arange(width) + 0.5)).sum(axis=(1, 2)) - width / 2
    y = (weights * (np.arange(height) + 0.5)[:, None]).sum(axis=(1, 2)) - height / 2
    in_camera = np.stack([x / focal, -y / focal, -np.ones_like(x)], axis=-1)
    directions = np.einsum("nij,nj->ni", poses[:, :, :3], in_camera)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    matrix = across.sum(axis=0)
    # A single view leaves the distance open; the small pull towards the origin settles it.
    return np.linalg.solve(matrix + 1e-6 * np.eye(3), np.einsum("nij,nj->i", across, poses[:, :, 3]))


def _pattern_search(
    value_at: Callable[[np.ndarray], float], start: np.ndarray, value: float, steps: np.ndarray
) -> tuple[np.ndarray, float]:
    """Try a step up and down along each axis, keep what helps, halve the steps when nothing does."""
    point, steps = start.copy(), steps.copy()
    for _ in range(5):
        improved = True
        while improved:
            improved = False
            for axis in np.flatnonzero(steps):
                for sign in (1.0, -1.0):
                    trial = point.copy()
                    trial[axis] += sign * steps[axis]
                    found = value_at(trial)
                    if found > value + 1e-6:
                        point, value, improved = trial, found, True
                        break
        steps /= 2.0
    return point, value


def hole_fraction(mask: np.ndarray) -> float:
    """How much of an outline is a hole: background that the object surrounds.

    Args:
      mask: [height, width] bool.

    Returns:
      Area of background without a way to the picture's edge (steps to the four neighbours) divided by the
      area inside the outer outline, in [0, 1]; 0 for an empty mask.
    """
    free = np.pad(~np.asarray(mask, dtype=bool), 1, constant_values=True)
    outside = np.zeros_like(free)
    outside[0, 0] = True
    while True:
        grown = outside.copy()
        grown[1:] |= outside[:-1]
        grown[:-1] |= outside[1:]
        grown[:, 1:] |= outside[:, :-1]
        grown[:, :-1] |= outside[:, 1:]
        grown &= free
        if (grown == outside).all():
            break
        outside = grown
    inside = ~outside[1:-1, 1:-1]
    return float(np.sum(inside & ~mask) / max(1, np.sum(inside)))


def has_hole(masks: np.ndarray, *, min_fraction: float = 0.02) -> bool:
    """Whether the object can be looked through, as a torus can.

    Args:
      masks: [n, height, width] bool, views from several directions, best also from high above.
      min_fraction: smallest share of the outline that counts; a chink between two crumbs does not.

    Returns:
      True if one of the views shows a hole.
    """
    return max(hole_fraction(mask) for mask in masks) >= min_fraction
