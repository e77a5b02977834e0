"""Where the pictures are taken from: poses on a sphere, their rays, and the box that all of them see.

Notation. World frame: z up, right-handed, lengths in scene units. A camera looks along its own -z, its x
points right and its y up (OpenGL). `camera_to_world` is [..., 3, 4]: columns right, up, backward, position.
Azimuth 0 stands on the +x axis and azimuth 90 on +y; elevation is counted from the horizon upwards.
Images are [height, width], row 0 at the top; the centre of pixel (row, column) lies at (column + 0.5,
row + 0.5) and the principal point at (width / 2, height / 2).
"""

from __future__ import annotations

import math

import chex
import jax
import jax.numpy as jnp
import numpy as np

from voxjax.structs import Array, Rays

# The camera of NeRF's "Blender" scenes, used by Dream Fields and by Pure CLIP guidance.
BLENDER_WIDTH_PX = 800.0
BLENDER_FOCAL_PX = 1111.1111


def focal_px(width_px: int, *, multiplier: float = 1.0) -> float:
    """Focal length of an image of a given width.

    Args:
      width_px: image width in pixels.
      multiplier: factor on the focal length; 1.0 in Pure CLIP guidance, 1.2 while Dream Fields trains.

    Returns:
      Focal length in pixels, 1111.1111 at 800 px (horizontal field of view 39.6 degrees).
    """
    return BLENDER_FOCAL_PX * width_px / BLENDER_WIDTH_PX * multiplier


def near_far(radius: float) -> tuple[float, float]:
    """Distances along the unit ray direction between which the scene lies.

    Args:
      radius: distance of the camera from the origin, scene units.

    Returns:
      (radius - sqrt(3), radius + sqrt(3)): the sphere around the cube of half-width 1.
    """
    return radius - math.sqrt(3.0), radius + math.sqrt(3.0)


def orbit_pose(azimuth_deg: chex.Numeric, elevation_deg: chex.Numeric, radius: chex.Numeric) -> Array:
    """Pose of a camera on a sphere that looks at the origin with the world's z upright.

    Written in closed form instead of from cross products, so that the poles are as good as any other place:
    there, the right-hand direction is the limit along the meridian of `azimuth_deg`.

    Args:
      azimuth_deg: [...], degrees.
      elevation_deg: [...], degrees above the horizon; broadcast against the azimuth.
      radius: [...], distance from the origin, scene units; broadcast likewise.

    Returns:
      camera_to_world, [..., 3, 4].
    """
    azimuth, elevation, distance = jnp.broadcast_arrays(
        jnp.deg2rad(jnp.asarray(azimuth_deg, jnp.float32)),
        jnp.deg2rad(jnp.asarray(elevation_deg, jnp.float32)),
        jnp.asarray(radius, jnp.float32),
    )
    sin_a, cos_a = jnp.sin(azimuth), jnp.cos(azimuth)
    sin_e, cos_e = jnp.sin(elevation), jnp.cos(elevation)
    right = jnp.stack([-sin_a, cos_a, jnp.zeros_like(sin_a)], axis=-1)
    up = jnp.stack([-sin_e * cos_a, -sin_e * sin_a, cos_e], axis=-1)
    backward = jnp.stack([cos_e * cos_a, cos_e * sin_a, sin_e], axis=-1)
    camera_to_world = jnp.stack([right, up, backward, distance[..., None] * backward], axis=-1)
    chex.assert_shape(camera_to_world, (*azimuth.shape, 3, 4))
    return camera_to_world


def camera_rays(camera_to_world: Array, *, width_px: int, height_px: int, focal: chex.Numeric) -> Rays:
    """One ray through every pixel centre.

    Args:
      camera_to_world: [..., 3, 4].
      width_px: image width in pixels (static).
      height_px: image height in pixels (static).
      focal: focal length in pixels, see `focal_px`.

    Returns:
      Rays with leading axes [..., height, width], unit directions in the world frame, and the radius at
      distance 1 of the cone that has a pixel's variance (mip-NeRF: 2 / sqrt(12) of the pixel's width).
    """
    columns = (jnp.arange(width_px, dtype=jnp.float32) + 0.5 - width_px / 2) / focal
    rows = (jnp.arange(height_px, dtype=jnp.float32) + 0.5 - height_px / 2) / focal
    x, y = jnp.meshgrid(columns, -rows)
    in_camera = jnp.stack([x, y, -jnp.ones_like(x)], axis=-1)
    length = jnp.linalg.norm(in_camera, axis=-1, keepdims=True)
    in_camera = in_camera / length
    # A product and a sum instead of a matrix product: on GPU the latter may round to TF32.
    rotation = camera_to_world[..., None, None, :, :3]
    directions = jnp.sum(rotation * in_camera[..., None, :], axis=-1)
    origins = jnp.broadcast_to(camera_to_world[..., None, None, :, 3], directions.shape)
    chex.assert_shape(directions, (*camera_to_world.shape[:-2], height_px, width_px, 3))
    radii = jnp.broadcast_to(2 / math.sqrt(12) / (focal * length[..., 0]), directions.shape[:-1])
    return Rays(origins=origins, directions=directions, radii=radii)


def sample_poses(
    key: Array,
    n: int,
    *,
    azimuth_deg: tuple[float, float] = (0.0, 360.0),
    elevation_deg: tuple[float, float] = (30.0, 30.0),
    radius: float = 4.0,
) -> tuple[Array, Array, Array]:
    """Draws training cameras, uniform in azimuth and in elevation angle.

    Args:
      key: PRNG key.
      n: number of cameras (static).
      azimuth_deg: half-open range of the azimuth, degrees.
      elevation_deg: half-open range of the elevation, degrees; both references hold it at 30.
      radius: distance from the origin, scene units.

    Returns:
      camera_to_world [n, 3, 4], azimuth_deg [n], elevation_deg [n].
    """
    azimuth_key, elevation_key = jax.random.split(key)
    azimuths = jax.random.uniform(azimuth_key, (n,), minval=azimuth_deg[0], maxval=azimuth_deg[1])
    elevations = jax.random.uniform(elevation_key, (n,), minval=elevation_deg[0], maxval=elevation_deg[1])
    return orbit_pose(azimuths, elevations, radius), azimuths, elevations


def _distance_to_hull(points: np.ndarray) -> float:
    """Distance from the origin to the nearest edge of the convex hull of `points` [n, 2]."""
    half_hulls = []
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    for sweep in (ordered, ordered[::-1]):
        chain: list[np.ndarray] = []
        for point in sweep:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-1] - chain[-2], point - chain[-2]
                if ax * by - ay * bx > 0:
                    break
                chain.pop()
            chain.append(point)
        half_hulls += chain[:-1]
    start = np.stack(half_hulls)
    edge = np.roll(start, -1, axis=0) - start
    return float(np.min((start[:, 0] * edge[:, 1] - start[:, 1] * edge[:, 0]) / np.hypot(*edge.T)))


def frustum_box(
    *,
    elevation_deg: float | tuple[float, float] = 30.0,
    radius: float = 4.0,
    width_px: int,
    height_px: int,
    focal: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Box of the voxel grid: what every training camera has within its own axis-aligned box.

    Each camera's box bounds the points that lie on its pixels' rays at the near and at the far distance; the
    grid takes the intersection of these boxes over the training cameras (Pure CLIP guidance draws 200 of
    them; here every azimuth takes part). Turning a camera about z turns the outline of its points as seen
    from above, so the sides of the intersection are as far off as the nearest edge of that outline's convex
    hull, the same on all four sides. Computed on the host in float64.

    Args:
      elevation_deg: elevation of the training cameras, or its (lowest, highest) value, degrees.
      radius: distance of the cameras from the origin, scene units.
      width_px: image width in pixels.
      height_px: image height in pixels.
      focal: focal length in pixels.

    Returns:
      (lower [3], upper [3]), float64, world frame, scene units. z is not symmetric for raised cameras.
    """
    # 65 pixels a side, the outermost included, bound the smooth shells at near and far closely enough.
    columns = np.unique(np.linspace(0, width_px - 1, min(width_px, 65)).round())
    rows = np.unique(np.linspace(0, height_px - 1, min(height_px, 65)).round())
    x, y = np.meshgrid((columns + 0.5 - width_px / 2) / focal, -(rows + 0.5 - height_px / 2) / focal)
    in_camera = np.stack([x, y, -np.ones_like(x)], axis=-1).reshape(-1, 3)
    in_camera /= np.linalg.norm(in_camera, axis=-1, keepdims=True)
    points = np.concatenate([distance * in_camera for distance in near_far(radius)])

    lowest, highest = np.broadcast_to(np.asarray(elevation_deg, np.float64), (2,))
    side, bottom, top = np.inf, -np.inf, np.inf
    for elevation in np.unique(np.linspace(np.deg2rad(lowest), np.deg2rad(highest), 9)):
        sin_e, cos_e = np.sin(elevation), np.cos(elevation)
        # The camera at azimuth 0; the others are this one turned about z.
        outward = points @ np.array([0.0, -sin_e, cos_e]) + radius * cos_e
        height = points @ np.array([0.0, cos_e, sin_e]) + radius * sin_e
        side = min(side, _distance_to_hull(np.stack([outward, points[:, 0]], axis=-1)))
        bottom, top = max(bottom, height.min()), min(top, height.max())
    return np.array([-side, -side, bottom]), np.array([side, side, top])
