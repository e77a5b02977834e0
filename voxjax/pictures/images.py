"""From renderings to eight-bit pictures.

Notation. Images are `[..., height, width, 3]`, row 0 at the top. A rendering holds premultiplied colour C,
transmittance T in [0, 1] and premultiplied depth D (scene units along the unit ray direction); opacity is
1 - T and the mean depth of a pixel is D / (1 - T). Eight-bit values are round(255 * value), no gamma: the
guidance model sees the very same values.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from PIL import Image

from voxjax.files import atomic_path
from voxjax.structs import Rendering

# Nine stops of the public-domain colour map "viridis": dark blue to yellow, evenly rising in lightness, so
# that it also reads in grey and for the colour-blind.
_STOPS = np.array(
    [
        [68, 1, 84],
        [71, 45, 123],
        [59, 82, 139],
        [44, 114, 142],
        [33, 145, 140],
        [40, 174, 128],
        [94, 201, 98],
        [173, 220, 48],
        [253, 231, 37],
    ],
    dtype=np.float64,
)
# A pixel has a depth worth counting when most of its light is stopped by the object.
_SOLID_OPACITY = 0.5


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Values in [0, 1] (clipped) to eight bits.

    Args:
      image: [...], any float type.

    Returns:
      [...] uint8.

    Raises:
      ValueError: if a value is not finite; casting one would give an arbitrary colour.
    """
    image = np.asarray(image, dtype=np.float32)
    if not np.isfinite(image).all():
        raise ValueError("the picture holds values that are not finite")
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def colour_image(rendering: Rendering, *, background: float = 1.0) -> np.ndarray:
    """The colour picture over an even background.

    Args:
      rendering: of shape [..., height, width].
      background: grey value in [0, 1]; 1 is white.

    Returns:
      [..., height, width, 3] uint8.
    """
    transmittance = np.asarray(rendering.transmittance)[..., None]
    return to_uint8(np.asarray(rendering.colour) + background * transmittance)


def opacity_image(rendering: Rendering) -> np.ndarray:
    """Opacity in grey: black is empty, white is solid.

    Args:
      rendering: of shape [..., height, width].

    Returns:
      [..., height, width, 3] uint8.
    """
    grey = to_uint8(1.0 - np.asarray(rendering.transmittance))
    return np.repeat(grey[..., None], 3, axis=-1)


def mean_depth(rendering: Rendering) -> np.ndarray:
    """Mean distance from the camera to what a pixel shows.

    Args:
      rendering: of shape [..., height, width].

    Returns:
      [..., height, width] float64, scene units; not a number where the pixel is empty.
    """
    opacity = 1.0 - np.asarray(rendering.transmittance, dtype=np.float64)
    depth = np.asarray(rendering.depth, dtype=np.float64)
    seen = opacity > 1e-6
    return np.where(seen, depth / np.where(seen, opacity, 1.0), np.nan)


def depth_range(renderings: Iterable[Rendering], *, fallback: tuple[float, float]) -> tuple[float, float]:
    """A common nearest and farthest depth for a set of views, so that their colours can be compared.

    Args:
      renderings: views of one scene, each [height, width].
      fallback: what to use when no pixel of any view is more than half opaque.

    Returns:
      (near, far), near < far, scene units: the 1st and 99th percentile over all solid pixels, widened by a
      tenth so that frames between the given views keep their colours apart.
    """
    solid = []
    for rendering in renderings:
        depth = mean_depth(rendering)
        solid.append(depth[1.0 - np.asarray(rendering.transmittance) > _SOLID_OPACITY])
    values = np.concatenate(solid) if solid else np.zeros(0)
    if values.size == 0:
        return fallback
    near, far = (float(value) for value in np.percentile(values, [1, 99]))
    margin = max(0.05 * (far - near), 1e-3)
    return near - margin, far + margin


def colour_map(values: np.ndarray) -> np.ndarray:
    """Map [0, 1] (clipped) from dark blue to yellow.

    Args:
      values: [...].

    Returns:
      [..., 3] in [0, 1].
    """
    position = np.clip(values, 0.0, 1.0) * (len(_STOPS) - 1)
    channels = [np.interp(position, np.arange(len(_STOPS)), _STOPS[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1) / 255.0


def depth_image(rendering: Rendering, near: float, far: float) -> np.ndarray:
    """Depth in colours, near yellow and far dark blue, fading to white where the pixel is see-through.

    Args:
      rendering: of shape [..., height, width].
      near: depth shown in yellow, scene units.
      far: depth shown in dark blue, scene units, above `near`.

    Returns:
      [..., height, width, 3] uint8.

    Raises:
      ValueError: unless near < far.
    """
    if not near < far:
        raise ValueError(f"near ({near}) must be below far ({far})")
    nearness = (far - mean_depth(rendering)) / (far - near)
    transmittance = np.asarray(rendering.transmittance)[..., None]
    return to_uint8(colour_map(np.nan_to_num(nearness)) * (1.0 - transmittance) + transmittance)


def save_png(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write a picture, atomically.

    Args:
      path: final place, ending in `.png`.
      image: [height, width, 3] uint8.
    """
    with atomic_path(path) as part:
        Image.fromarray(image).save(part)
