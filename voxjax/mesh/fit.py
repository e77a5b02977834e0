"""The surface whose silhouettes are the field's.

Notation. The surface is where `min(raw - level, thin - margin)` crosses zero: `raw` is raw density, `thin`
the log extinction of the most transparent line through a point (`fog.thinnest`). Of a mask m and a
silhouette s, IoU is the area of both over the area of either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.cameras import camera_rays, near_far
from voxjax.fields.interpolate import trilinear
from voxjax.mesh.fog import FAINTEST
from voxjax.mesh.lattice import Lattice
from voxjax.mesh.views import Views
from voxjax.rendering.sampling import intersect_box
from voxjax.structs import Array, Rays

# Margins tried, from none that matters to lines that must be half opaque.
MARGINS = np.concatenate([[-np.inf], np.log(np.linspace(0.5, 1.0, 11))])
DENSEST = 0.9
"""Largest opacity of a voxel at the surface; the smallest is `fog.FAINTEST`."""
_N_LEVELS = 12
# Rays across a picture: more tell nothing new about a threshold.
_RAYS = 64
# How much worse than the best still counts as good: of those, the highest level and the loosest margin keep
# most of the field's own surface.
_TOLERANCE = 0.002


@dataclass(frozen=True)
class Cut:
    """Where the surface is.

    Attributes:
      level: raw density at the surface.
      margin: of the outline of fog.
    """

    level: float
    margin: float


def fit(lattice: Lattice, thin: np.ndarray, views: Views, *, radius: float) -> Cut | None:
    """Level and margin whose silhouettes fit best, one after the other, twice.

    Args:
      lattice: the sampled field.
      thin: [x, y, z], of `fog.thinnest`.
      views: of the field.
      radius: of the cameras, scene units.

    Returns:
      The cut; None where no pixel of any view is solid.
    """
    if not views.masks.any():
        return None
    stride = max(1, views.size_px // _RAYS)
    masks = views.masks[:, ::stride, ::stride].reshape(len(views.poses), -1)
    values = jnp.asarray(np.stack([lattice.raw, thin], axis=-1), jnp.float32)
    rays = [_rays(pose, views, stride) for pose in views.poses]
    box = lattice.scene.lower, lattice.scene.upper

    def iou(levels: np.ndarray, margins: np.ndarray) -> np.ndarray:
        cuts = [jnp.asarray(each, jnp.float32) for each in np.broadcast_arrays(levels, margins)]
        found = []
        for mask, ray in zip(masks, rays, strict=True):
            inside = _pierced(values, *box, ray, *near_far(radius), *cuts, n=max(lattice.raw.shape))
            both, either = np.asarray(inside) & mask[:, None], np.asarray(inside) | mask[:, None]
            found.append(both.sum(axis=0) / np.maximum(either.sum(axis=0), 1))
        return np.mean(found, axis=0)

    def good(values: np.ndarray) -> np.ndarray:
        return np.flatnonzero(values >= values.max() - _TOLERANCE)

    highest = min(lattice.level(DENSEST), float(lattice.raw.max()))
    levels = np.linspace(lattice.level(FAINTEST), highest, _N_LEVELS)
    margin = np.log(0.85)
    for _ in range(2):
        level = levels[good(iou(levels, margin)).max()]
        margin = MARGINS[good(iou(level, MARGINS)).min()]
        levels = level + (levels[1] - levels[0]) * np.linspace(-3.0, 3.0, _N_LEVELS)
    level = levels[good(iou(levels, margin)).max()]
    return Cut(float(level), float(margin))


def _rays(pose: np.ndarray, views: Views, stride: int) -> Rays:
    size = views.size_px
    rays = camera_rays(jnp.asarray(pose, jnp.float32), width_px=size, height_px=size, focal=views.focal)
    origins, directions = (
        each[::stride, ::stride].reshape(-1, 3) for each in (rays.origins, rays.directions)
    )
    return Rays(origins, directions)


@partial(jax.jit, static_argnames="n")
def _pierced(
    values: Array,
    lower: Array,
    upper: Array,
    rays: Rays,
    near: float,
    far: float,
    levels: Array,
    margins: Array,
    *,
    n: int,
) -> Array:
    """[n_rays, n_cuts] bool: whether a ray meets the inside of each of the cuts."""
    enter, leave = intersect_box(rays, lower, upper, near=near, far=far)

    def look(i: Array, most: Array) -> Array:
        distance = enter + (i + 0.5) / n * (leave - enter)
        found = trilinear(values, rays.origins + distance[:, None] * rays.directions, lower, upper)
        return jnp.maximum(most, jnp.minimum(found[:, :1] - levels, found[:, 1:] - margins))

    start = jnp.full((rays.origins.shape[0], levels.shape[0]), -jnp.inf)
    most = jax.lax.fori_loop(0, n, look, start)
    return (most > 0.0) & (leave > enter)[:, None]
