"""What stands in the scene beside the object: training cameras, the crop box, the camera path.

viser draws these itself; the depth of our picture decides what of them the object hides.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from voxjax.cameras import focal_px, orbit_pose
from voxjax.viewer.camera import Camera, wxyz_of
from voxjax.viewer.exhibit import Box
from voxjax.viewer.path import Key, cameras_on_path

_TRAINING_COLOUR = (45, 120, 130)
_PATH_COLOUR = (214, 110, 40)
_BOX_COLOUR = (120, 125, 135)
_WIDTH_PX = 1.5


def training_cameras(config: ConfigDict, n: int = 12) -> list[Camera]:
    """Cameras spread evenly over the range that training draws its own from.

    Args:
      config: of the run.
      n: azimuths; where the elevation has a range there are three rows of them.

    Returns:
      Cameras of square pictures.
    """
    c = config.cameras
    low, high = c.azimuth_deg
    whole = math.isclose(high - low, 360.0)
    azimuths = low + (high - low) * (np.arange(n) if whole else np.arange(n) + 0.5) / n
    elevations = sorted({c.elevation_deg[0], sum(c.elevation_deg) / 2.0, c.elevation_deg[1]})
    focal = focal_px(c.width_px, multiplier=c.focal_multiplier)
    fov = 2.0 * math.atan(c.width_px / 2.0 / focal)
    return [
        Camera(np.asarray(orbit_pose(float(azimuth), float(elevation), c.radius)), fov, 1.0)
        for elevation in elevations
        for azimuth in azimuths
    ]


class Overlay:
    """The things in one browser's scene.

    Args:
      scene: viser's `client.scene`.
    """

    def __init__(self, scene: Any):
        self._scene = scene
        self._things: dict[str, list[Any]] = {}

    def clear(self) -> None:
        """Removes all of them."""
        for group in list(self._things):
            self._remove(group)

    def show_cameras(self, cameras: Sequence[Camera]) -> None:
        """Shows the training cameras; none for an empty list."""
        self._remove("cameras")
        self._things["cameras"] = [
            self._frustum(f"/cameras/{i}", camera, _TRAINING_COLOUR, 0.22) for i, camera in enumerate(cameras)
        ]

    def show_box(self, box: Box | None) -> None:
        """Shows the edges of the crop box."""
        self._remove("box")
        if box is None:
            return
        corners = list(itertools.product((0, 1), repeat=3))
        edges = [(a, b) for a in corners for b in corners if a < b and sum(map(abs, np.subtract(a, b))) == 1]
        points = np.array(
            [[[box[end][axis] for axis, end in enumerate(corner)] for corner in edge] for edge in edges]
        )
        self._things["box"] = [
            self._scene.add_line_segments(
                "/crop", points.astype(np.float32), _BOX_COLOUR, thickness=_WIDTH_PX, thickness_units="screen"
            )
        ]

    def show_path(self, keys: Sequence[Key], *, closed: bool) -> None:
        """Shows key poses and the way between them."""
        self._remove("path")
        if not keys:
            return
        things = [self._frustum(f"/path/{i}", key.camera, _PATH_COLOUR, 0.3) for i, key in enumerate(keys)]
        way = np.stack([camera.position for camera in cameras_on_path(keys, 120, closed=closed)])
        if closed or len(keys) == 1:
            way = np.concatenate([way, way[:1]])
        segments = np.stack([way[:-1], way[1:]], axis=1).astype(np.float32)
        things.append(
            self._scene.add_line_segments(
                "/path/way", segments, _PATH_COLOUR, thickness=_WIDTH_PX, thickness_units="screen"
            )
        )
        self._things["path"] = things

    def _frustum(self, name: str, camera: Camera, colour: tuple[int, int, int], scale: float) -> Any:
        return self._scene.add_camera_frustum(
            name,
            camera.fov,
            camera.aspect,
            scale=scale,
            thickness=_WIDTH_PX,
            thickness_units="screen",
            color=colour,
            wxyz=wxyz_of(camera.pose),
            position=np.asarray(camera.position, np.float64),
            cast_shadow=False,
            receive_shadow=False,
        )

    def _remove(self, group: str) -> None:
        for thing in self._things.pop(group, []):
            thing.remove()
