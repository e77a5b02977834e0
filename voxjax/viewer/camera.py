"""The browser's camera in our conventions, and its rays.

Notation. viser's cameras are OpenCV's: x right, y down, z forward, and a quaternion (w, x, y, z) that turns
them into the world. Ours are OpenGL's, see `cameras`: columns right, up, backward, position. The world is the
same, z up. Computed on the host in NumPy, so that no picture size compiles a program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from viser.transforms import SO3

from voxjax.cameras import BLENDER_FOCAL_PX, BLENDER_WIDTH_PX, orbit_pose
from voxjax.structs import Rays

FOV = 2.0 * math.atan(BLENDER_WIDTH_PX / 2.0 / BLENDER_FOCAL_PX)
"""Field of view of all other pictures of an object, radians, across and down."""

# From where an object is seen first.
_AZIMUTH_DEG, _ELEVATION_DEG = 30.0, 30.0


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with its principal point in the middle.

    Attributes:
      pose: [3, 4] camera_to_world: right, up, backward, position.
      fov: vertical field of view, radians.
      aspect: width over height of its picture.
    """

    pose: np.ndarray
    fov: float
    aspect: float

    @property
    def position(self) -> np.ndarray:
        """[3], scene units."""
        return self.pose[:, 3]

    @property
    def forward(self) -> np.ndarray:
        """[3], unit vector along which it looks."""
        return -self.pose[:, 2]

    def same_as(self, other: Camera) -> bool:
        """Whether both show the same picture."""
        return (
            np.allclose(self.pose, other.pose, atol=1e-6)
            and math.isclose(self.fov, other.fov, abs_tol=1e-6)
            and math.isclose(self.aspect, other.aspect, abs_tol=1e-4)
        )


def of_client(handle: Any) -> Camera:
    """The camera of a browser.

    Args:
      handle: viser's `client.camera`, after its first message.
    """
    rotation = SO3(np.asarray(handle.wxyz, np.float64)).as_matrix()
    pose = np.column_stack([rotation[:, 0], -rotation[:, 1], -rotation[:, 2], np.asarray(handle.position)])
    height = max(int(handle.image_height), 1)
    return Camera(pose.astype(np.float32), float(handle.fov), max(int(handle.image_width), 1) / height)


def look_from_the_front(client: Any, radius: float) -> None:
    """Puts a browser's camera where objects are first seen from, so that they fit its window.

    Args:
      client: viser's handle of the browser.
      radius: distance from the origin, scene units.
    """
    camera = client.camera
    with client.atomic():
        camera.position = front_position(radius)
        camera.look_at = np.zeros(3)
        camera.up_direction = np.array([0.0, 0.0, 1.0])
        camera.fov = fitting_fov(camera.aspect)


def front_position(radius: float) -> np.ndarray:
    """[3]: where that is."""
    return np.asarray(orbit_pose(_AZIMUTH_DEG, _ELEVATION_DEG, radius), np.float64)[:, 3]


def wxyz_of(pose: np.ndarray) -> np.ndarray:
    """viser's quaternion [4] for a pose [3, 4] of ours."""
    opencv = np.column_stack([pose[:, 0], -pose[:, 1], -pose[:, 2]]).astype(np.float64)
    return SO3.from_matrix(opencv).wxyz


def fitting_fov(aspect: float) -> float:
    """Vertical field of view, radians, at which `FOV` fits into the shorter side of a picture.

    Args:
      aspect: width over height.
    """
    return FOV if aspect >= 1.0 else 2.0 * math.atan(math.tan(FOV / 2.0) / aspect)


def tile_camera(camera: Camera, aspect: float) -> Camera:
    """The same camera for a part of the picture: what fits into the whole fits into the part.

    Args:
      camera: of the whole picture.
      aspect: width over height of the part.
    """
    shorter = math.tan(camera.fov / 2.0) * min(camera.aspect, 1.0)
    return Camera(camera.pose, 2.0 * math.atan(shorter / min(aspect, 1.0)), aspect)


def pixel_rays(camera: Camera, width: int, height: int) -> Rays:
    """One ray through every pixel centre; pixels need not be square, the picture always fills the view.

    Args:
      camera: from which it is seen.
      width: of the picture in pixels.
      height: of the picture in pixels.

    Returns:
      Rays [height, width] of NumPy arrays, with radii as in `cameras.camera_rays`.
    """
    half = math.tan(camera.fov / 2.0)
    x = ((np.arange(width) + 0.5) / width * 2.0 - 1.0) * half * camera.aspect
    y = (1.0 - (np.arange(height) + 0.5) / height * 2.0) * half
    in_camera = np.empty((height, width, 3), np.float32)
    in_camera[..., 0], in_camera[..., 1], in_camera[..., 2] = x, y[:, None], -1.0
    length = np.linalg.norm(in_camera, axis=-1, keepdims=True)
    directions = (in_camera / length) @ camera.pose[:, :3].T.astype(np.float32)
    origins = np.broadcast_to(camera.position.astype(np.float32), directions.shape)
    pixel = 2.0 * half * math.sqrt(camera.aspect / (width * height))  # side of one of the same area
    radii = (2.0 / math.sqrt(12.0) * pixel / length[..., 0]).astype(np.float32)
    return Rays(origins=origins, directions=directions, radii=radii)  # type: ignore[arg-type]
