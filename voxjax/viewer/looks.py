"""From a rendering to what is seen: colour, depth, opacity or normals over a background, and viser's depth.

Notation. Images are [height, width, ...], row 0 at the top; opacity is 1 - transmittance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voxjax.pictures.images import colour_map, mean_depth, to_uint8
from voxjax.structs import Rendering
from voxjax.viewer.camera import Camera, pixel_rays
from voxjax.viewer.exhibit import Exhibit, surface_of

MODES = ("colour", "depth", "opacity", "normals")

# What lies behind everything that viser draws; beyond 167.7 its depth pictures cannot count.
_NOTHING = 160.0
# A pixel hides what is behind it when most of its light is stopped.
_SOLID_OPACITY = 0.5
# Below this a pixel has no surface worth a normal.
_SEEN_OPACITY = 0.02


@dataclass(frozen=True)
class Look:
    """How a rendering is shown.

    Attributes:
      mode: one of `MODES`.
      background: red, green, blue in [0, 1] of what shines through.
    """

    mode: str = "colour"
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)


def picture_of(rendering: Rendering, look: Look, exhibit: Exhibit, camera: Camera) -> np.ndarray:
    """The picture that one looks at.

    Args:
      rendering: [height, width].
      look: how it is shown.
      exhibit: what was rendered.
      camera: from which it was rendered.

    Returns:
      [height, width, 3] uint8.
    """
    transmittance = np.asarray(rendering.transmittance)[..., None]
    background = np.asarray(look.background, np.float32)
    opacity = 1.0 - transmittance
    if look.mode == "colour":
        inside = np.asarray(rendering.colour)
    elif look.mode == "depth":
        near, far = depth_limits(exhibit, camera)
        nearness = (far - mean_depth(rendering)) / (far - near)
        inside = colour_map(np.nan_to_num(nearness)) * opacity
    elif look.mode == "opacity":
        # Black to white, whatever the background: that is what opacity pictures look like everywhere.
        return to_uint8(np.repeat(opacity, 3, axis=-1))
    else:
        inside = _normal_colours(rendering, exhibit, camera) * opacity
    return to_uint8(inside + background * transmittance)


def depth_limits(exhibit: Exhibit, camera: Camera) -> tuple[float, float]:
    """(depth shown in yellow, depth shown in dark blue), scene units: those of the sphere around the object.

    They follow the camera's distance alone, so that colours stay while it turns.
    """
    distance = float(np.linalg.norm(camera.position - exhibit.centre))
    near = max(distance - exhibit.radius, 0.0)
    return near, max(distance + exhibit.radius, near + 1e-3)


def planar_depth(rendering: Rendering, camera: Camera) -> np.ndarray:
    """What viser compares with the depth of other things in the scene.

    Args:
      rendering: [height, width].
      camera: from which it was rendered.

    Returns:
      [height, width] float32, distance along the camera's axis, scene units; far away where there is nothing.
    """
    height, width = np.shape(rendering.transmittance)
    along = np.asarray(pixel_rays(camera, width, height).directions) @ camera.forward
    solid = 1.0 - np.asarray(rendering.transmittance) > _SOLID_OPACITY
    return np.where(solid, mean_depth(rendering) * along, _NOTHING).astype(np.float32)


def _normal_colours(rendering: Rendering, exhibit: Exhibit, camera: Camera) -> np.ndarray:
    """[height, width, 3] in [0, 1]: x, y, z of the surface's direction in the world as red, green, blue."""
    seen = 1.0 - np.asarray(rendering.transmittance) > _SEEN_OPACITY
    colours = np.full((*seen.shape, 3), 0.5, np.float32)
    colours[seen] = 0.5 + 0.5 * exhibit.normals(surface_of(rendering, camera)[seen])
    return colours
