"""A camera path through key poses, and the turn around the object where there is only one.

Notation. A key pose is where a camera stands as seen from the point that it looks at: azimuth and elevation
in radians (as in `cameras`) and the logarithm of the distance. These are interpolated, not positions: a path
through four poses around an object is round, and never cuts through it. Between the keys runs a uniform
Catmull-Rom spline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from voxjax.cameras import orbit_pose
from voxjax.viewer.camera import Camera


@dataclass(frozen=True)
class Key:
    """A key pose.

    Attributes:
      camera: as it was taken.
      target: [3], point that it looks at, scene units.
    """

    camera: Camera
    target: np.ndarray

    @property
    def coordinates(self) -> np.ndarray:
        """[6]: azimuth, elevation, log of the distance, target."""
        outward = np.asarray(self.camera.position, np.float64) - self.target
        distance = max(float(np.linalg.norm(outward)), 1e-6)
        azimuth = math.atan2(outward[1], outward[0])
        elevation = math.asin(min(max(outward[2] / distance, -1.0), 1.0))
        return np.array([azimuth, elevation, math.log(distance), *self.target])


def cameras_on_path(keys: Sequence[Key], n: int, *, closed: bool) -> list[Camera]:
    """Cameras at even times along a path.

    Args:
      keys: at least one; one alone stands for the whole turn around its target at its height.
      n: cameras, at least 1.
      closed: the path leads back to its first key, and the last camera is the one before that.

    Returns:
      Cameras with the field of view and the aspect of the first key, upright.
    """
    coordinates = np.stack([key.coordinates for key in keys])
    if len(keys) == 1:
        values = np.repeat(coordinates, n, axis=0)
        values[:, 0] += np.arange(n) * (2.0 * math.pi / n)
    else:
        values = _spline(coordinates, n, closed=closed)
    first = keys[0].camera
    return [Camera(_pose(row), first.fov, first.aspect) for row in values]


def _spline(points: np.ndarray, n: int, *, closed: bool) -> np.ndarray:
    """[n, d] on the spline through `points` [k, d], whose first column is an angle in radians."""
    k = len(points)
    # Each azimuth is the one nearest to its predecessor's, on a closed path also across its end.
    turns = np.diff(np.append(points[:, 0], points[0, 0]))
    turns = (turns + math.pi) % (2.0 * math.pi) - math.pi
    points = points.copy()
    points[1:, 0] = points[0, 0] + np.cumsum(turns[:-1])
    period = np.zeros(points.shape[1])
    period[0] = turns.sum()

    def at(index: np.ndarray) -> np.ndarray:
        if closed:
            return points[index % k] + (index // k)[:, None] * period
        # Beyond an end lies the end itself, mirrored: the path goes on as it came.
        mirrored = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
        return mirrored[index + 1]

    time = np.arange(n) * (k / n) if closed else np.linspace(0.0, k - 1.0, n)
    start = np.floor(time).astype(int)
    if not closed:
        start = np.minimum(start, k - 2)
    t = (time - start)[:, None]
    before, a, b, after = at(start - 1), at(start), at(start + 1), at(start + 2)
    slope_a, slope_b = (b - before) / 2.0, (after - a) / 2.0
    return (
        (2 * t**3 - 3 * t**2 + 1) * a
        + (t**3 - 2 * t**2 + t) * slope_a
        + (3 * t**2 - 2 * t**3) * b
        + (t**3 - t**2) * slope_b
    )


def _pose(row: np.ndarray) -> np.ndarray:
    pose = np.array(orbit_pose(math.degrees(row[0]), math.degrees(row[1]), math.exp(row[2])))
    pose[:, 3] += row[3:]
    return pose
