"""Where the training cameras stand, and which points they can see at all.

Notation. rho: distance of a point from the z axis; phi: azimuth of a camera relative to the point. Cameras
stand on a circle (or a band of circles) around the z axis, so whether some camera sees a point depends on
(rho, z) alone. Computed on the host in float64.
"""

from __future__ import annotations

import numpy as np

_CELLS = 160  # of the table, in each of rho and z
_AZIMUTHS = 181  # over half a turn; the other half mirrors it


def visible(
    positions: np.ndarray,
    *,
    elevation_deg: tuple[float, float],
    radius: float,
    width_px: int,
    focal: float,
    near: float,
    far: float,
    margin: float = 0.0,
) -> np.ndarray:
    """Whether some training camera has a point, or one within `margin` of it, on a ray between near and far.

    Cameras at all azimuths count, whatever range training draws from: the answer may be True for points that
    no camera sees, and is never False for one that is seen.

    Args:
      positions: [..., 3], world frame, scene units.
      elevation_deg: (lowest, highest) elevation of the cameras, degrees.
      radius: their distance from the origin, scene units.
      width_px: width and height of their images.
      focal: focal length in pixels.
      near: smallest distance of a sample from the camera, scene units.
      far: largest distance.
      margin: by which the answer errs towards True, scene units.

    Returns:
      [...] bool.
    """
    positions = np.asarray(positions, np.float64)
    rho, z = np.hypot(positions[..., 0], positions[..., 1]), positions[..., 2]
    highest, bottom, top = float(rho.max()), float(z.min()), float(z.max())
    cell = max(highest, top - bottom, 1e-6) / _CELLS
    rho_axis = np.arange(int(highest / cell) + 2) * cell
    z_axis = bottom + np.arange(int((top - bottom) / cell) + 2) * cell
    lowest_deg, highest_deg = elevation_deg
    elevations = np.linspace(lowest_deg, highest_deg, 1 + int(np.ceil((highest_deg - lowest_deg) / 2.5)))
    # How far a point may be from the nearest one tried: half a cell each way, and half a step of each angle
    # at the distance of the farthest point.
    reach = float(np.hypot(highest, max(abs(bottom), abs(top))))
    slack = cell / np.sqrt(2) + reach * np.pi / (_AZIMUTHS - 1) / 2
    if len(elevations) > 1:
        slack += reach * np.deg2rad(elevations[1] - elevations[0]) / 2
    seen = np.zeros((len(rho_axis), len(z_axis)), bool)
    for elevation in np.deg2rad(elevations):
        seen |= _seen_at(
            elevation,
            rho_axis[:, None],
            z_axis,
            radius=radius,
            slope=width_px / 2 / focal,
            near=near,
            far=far,
            margin=margin + slack,
        )
    row = np.rint(rho / cell).astype(np.intp)
    column = np.rint((z - bottom) / cell).astype(np.intp)
    return seen[row, column]


def distance_to_cameras(
    positions: np.ndarray,
    *,
    azimuth_deg: tuple[float, float],
    elevation_deg: tuple[float, float],
    radius: float,
) -> np.ndarray:
    """Distance of points to the nearest place where a training camera may stand.

    Args:
      positions: [..., 3], world frame, scene units.
      azimuth_deg: (first, last) azimuth of the cameras, degrees.
      elevation_deg: (lowest, highest) elevation, degrees.
      radius: distance of the cameras from the origin, scene units.

    Returns:
      [...] float64, scene units.
    """
    positions = np.asarray(positions, np.float64)
    rho, z = np.hypot(positions[..., 0], positions[..., 1]), positions[..., 2]
    first, last = azimuth_deg
    middle, half = np.deg2rad((first + last) / 2), np.deg2rad(min(last - first, 360.0) / 2)
    away = np.arctan2(positions[..., 1], positions[..., 0]) - middle
    away = np.abs((away + np.pi) % (2 * np.pi) - np.pi)
    # Seen from the nearest azimuth of a camera, the point lies at (along, beside, z).
    along = rho * np.cos(np.maximum(away - half, 0.0))
    best = np.full(rho.shape, -np.inf)
    lowest, highest = np.deg2rad(elevation_deg)
    # What is to be largest is a sine of the elevation: at its crest if that lies between the bounds, else at
    # one of them.
    for elevation in (lowest, highest, np.clip(np.arctan2(z, along), lowest, highest)):
        best = np.maximum(best, along * np.cos(elevation) + z * np.sin(elevation))
    return np.sqrt(np.maximum(rho**2 + z**2 + radius**2 - 2 * radius * best, 0.0))


def _seen_at(
    elevation: float,
    rho: np.ndarray,
    z: np.ndarray,
    *,
    radius: float,
    slope: float,
    near: float,
    far: float,
    margin: float,
) -> np.ndarray:
    """Table [n_rho, n_z] for cameras at one elevation (radians); `slope` is that of the image's edge."""
    sin_e, cos_e = np.sin(elevation), np.cos(elevation)
    seen = np.zeros(np.broadcast_shapes(rho.shape, z.shape), bool)
    # Distance to the four side planes of the frustum is across / sqrt(1 + slope^2) of what stands below.
    allowance = margin * np.sqrt(1 + slope**2)
    for phi in np.linspace(0.0, np.pi, _AZIMUTHS):
        outward, right = rho * np.cos(phi), rho * np.sin(phi)
        depth = radius - outward * cos_e - z * sin_e
        up = z * cos_e - outward * sin_e
        edge = depth * slope + allowance
        distance = np.sqrt(depth**2 + right**2 + up**2)
        inside = (right <= edge) & (np.abs(up) <= edge)
        seen |= inside & (distance >= near - margin) & (distance <= far + margin)
    return seen
