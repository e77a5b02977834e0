"""The field's own pictures that a mesh is fitted to and judged by: eight sides, two heights.

Notation. A view is a square picture of `size_px` from the pictures' camera; its mask is where the field is
more than half opaque.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from voxjax.cameras import focal_px, orbit_pose
from voxjax.pictures.views import view_of
from voxjax.run import Run
from voxjax.structs import VoxelGrid

N_VIEWS = 8
ELEVATIONS_DEG = (15.0, 45.0)
"""Of the views, in turn, around the 30 degrees from which most training looks."""
_SOLID = 0.5


@dataclass(frozen=True)
class Views:
    """Pictures of a field.

    Attributes:
      poses: [n, 3, 4] float64, camera_to_world.
      focal: pixels.
      colour: [n, size, size, 3] in [0, 1], the object's own colour: premultiplied colour over opacity; 0
        where there is nothing.
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
    # A network is quicker on few samples at a time, a grid takes what the other pictures' programs take.
    few = not isinstance(run.scene, VoxelGrid) and jax.default_backend() == "cpu"
    render = view_of(run, chunk_rays=512 if few else None)
    views = [render(azimuth, elevation, size_px) for azimuth, elevation in angles]
    opacity = np.stack([1.0 - np.asarray(view.transmittance) for view in views])
    colour = np.stack([np.asarray(view.colour) for view in views])
    own = np.where(opacity[..., None] > 1e-6, colour / np.maximum(opacity, 1e-6)[..., None], 0.0)
    poses = [np.asarray(orbit_pose(a, e, run.config.cameras.radius), np.float64) for a, e in angles]
    return Views(np.stack(poses), focal_px(size_px), np.clip(own, 0.0, 1.0), opacity)
