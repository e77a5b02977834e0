"""How much a surface looks like its field: the level that fits, and the proof, from eight views.

Notation. A view is a square picture of `size_px` from the pictures' camera; its mask is where the field is
more than half opaque. Colours are the object's own, premultiplied colour over opacity.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.cameras import camera_rays, focal_px, near_far, orbit_pose
from voxjax.fields.interpolate import trilinear
from voxjax.mesh.lattice import Lattice
from voxjax.mesh.raster import project, rasterise
from voxjax.pictures.views import view_of
from voxjax.rendering.sampling import intersect_box
from voxjax.run import Run
from voxjax.structs import Array, Rays, VoxelGrid

N_VIEWS = 8
ELEVATIONS_DEG = (15.0, 45.0)
"""Of the views, in turn, around the 30 degrees from which most training looks."""
_SOLID = 0.5
_LEVELS = 512


@dataclass(frozen=True)
class Views:
    """The field's own pictures.

    Attributes:
      poses: [n, 3, 4] camera_to_world.
      focal: pixels.
      colour: [n, size, size, 3], the object's own colour in [0, 1]; 0 where there is nothing.
      opacity: [n, size, size] in [0, 1].
    """

    poses: np.ndarray
    focal: float
    colour: np.ndarray
    opacity: np.ndarray

    @property
    def size_px(self) -> int:
        """Side of a picture."""
        return self.opacity.shape[1]

    @property
    def masks(self) -> np.ndarray:
        """[n, size, size] bool, where the object is."""
        return self.opacity > _SOLID


@dataclass(frozen=True)
class Likeness:
    """A mesh against its field.

    Attributes:
      silhouette_iou: intersection over union of the outlines, mean over the views, in [0, 1].
      colour_error: mean absolute difference of the channels where both are, in [0, 1]; NaN where none is.
      pictures: [n, size, size, 3], the mesh in colour on white.
    """

    silhouette_iou: float
    colour_error: float
    pictures: np.ndarray


def render_views(run: Run, *, size_px: int | None = None) -> Views:
    """Renders the run's field from `N_VIEWS` sides.

    Args:
      run: an opened run.
      size_px: of a view; None for 128, or for 64 where every sample asks a network.

    Returns:
      The views.
    """
    if size_px is None:
        size_px = 128 if isinstance(run.scene, VoxelGrid) else 64
    angles = [(360.0 * k / N_VIEWS, ELEVATIONS_DEG[k % len(ELEVATIONS_DEG)]) for k in range(N_VIEWS)]
    render = view_of(run)
    views = [render(azimuth, elevation, size_px) for azimuth, elevation in angles]
    opacity = np.stack([1.0 - np.asarray(view.transmittance) for view in views])
    colour = np.stack([np.asarray(view.colour) for view in views])
    poses = [np.asarray(orbit_pose(a, e, run.config.cameras.radius), np.float64) for a, e in angles]
    own = np.where(opacity[..., None] > 1e-6, colour / np.maximum(opacity, 1e-6)[..., None], 0.0)
    return Views(np.stack(poses), focal_px(size_px), np.clip(own, 0.0, 1.0), opacity)


def best_level(lattice: Lattice, views: Views, *, radius: float) -> float | None:
    """The raw density whose surface has the silhouettes of the field.

    The silhouette of all that is denser than t is where the densest point of the pixel's ray is: one look
    along the rays answers for every t at once.

    Args:
      lattice: the sampled field.
      views: of it.
      radius: of the cameras, scene units.

    Returns:
      The middle of the levels whose mean IoU is within 0.002 of the best; None where no pixel of any view is
      solid.
    """
    masks = views.masks
    if not masks.any():
        return None
    near, far = near_far(radius)
    n = int(1.5 * max(lattice.raw.shape))
    size = views.size_px
    peaks = []
    for pose in views.poses:
        rays = camera_rays(jnp.asarray(pose, jnp.float32), width_px=size, height_px=size, focal=views.focal)
        flat = Rays(rays.origins.reshape(-1, 3), rays.directions.reshape(-1, 3))
        peaks.append(np.asarray(_peak(lattice.scene, flat, near, far, n=n)).reshape(size, size))
    inner = np.stack(peaks)[masks]
    levels = np.linspace(inner.min(), inner.max(), _LEVELS)
    iou = np.zeros(_LEVELS)
    for mask, peak in zip(masks, peaks, strict=True):
        inside, beside = (np.sort(peak[m]) for m in (mask, ~mask))
        both = len(inside) - np.searchsorted(inside, levels, side="right")
        more = len(beside) - np.searchsorted(beside, levels, side="right")
        iou += both / np.maximum(len(inside) + more, 1) / len(masks)
    good = np.flatnonzero(iou >= iou.max() - 0.002)
    # The run of good levels around the best one.
    best = int(np.argmax(iou))
    first = last = best
    while first - 1 in good:
        first -= 1
    while last + 1 in good:
        last += 1
    return float(levels[(first + last) // 2])


@partial(jax.jit, static_argnames="n")
def _peak(scene: VoxelGrid, rays: Rays, near: float, far: float, *, n: int) -> Array:
    """[n_rays]: the largest raw density on each ray inside the box; -inf for a miss."""
    enter, leave = intersect_box(rays, scene.lower, scene.upper, near=near, far=far)
    raw = scene.values[..., :1]

    def look(i: Array, most: Array) -> Array:
        distance = enter + (i + 0.5) / n * (leave - enter)
        positions = rays.origins + distance[:, None] * rays.directions
        return jnp.maximum(most, trilinear(raw, positions, scene.lower, scene.upper)[:, 0])

    most = jax.lax.fori_loop(0, n, look, jnp.full(rays.origins.shape[0], -jnp.inf))
    return jnp.where(leave > enter, most, -jnp.inf)


def compare(vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray, views: Views) -> Likeness:
    """Renders a mesh from the views and holds it against them.

    Args:
      vertices: [n, 3], world frame.
      faces: [m, 3].
      colours: [n, 3] in [0, 1], display values.
      views: of the field.

    Returns:
      The likeness.
    """
    size = views.size_px
    iou, differences, pictures = [], [], []
    for pose, mask, colour in zip(views.poses, views.masks, views.colour, strict=True):
        points = project(vertices, pose, focal=views.focal, size_px=size)
        seen = rasterise(points, faces, width_px=size, height_px=size)
        both, either = mask & seen.mask, mask | seen.mask
        iou.append(both.sum() / max(1, either.sum()))
        picture = np.where(seen.mask[..., None], seen.interpolate(colours, faces), 1.0)
        differences.append(np.abs(picture - colour)[both])
        pictures.append(picture)
    error = np.concatenate(differences)
    return Likeness(
        float(np.mean(iou)), float(error.mean()) if error.size else float("nan"), np.stack(pictures)
    )
