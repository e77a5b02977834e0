"""A run as something that can be looked at from anywhere: the bridge from `Run` to the pictures."""

from __future__ import annotations

from functools import partial

import jax
from ml_collections import ConfigDict

from voxjax.cameras import camera_rays, focal_px, near_far, orbit_pose
from voxjax.fields.grid import occupied_box, without_empty
from voxjax.pictures.outputs import PictureOptions, RenderView
from voxjax.pictures.shading import lit, untextured
from voxjax.rendering.marching import march_image
from voxjax.run import Run
from voxjax.structs import Array, Rays, Rendering, VoxelGrid

# Rays rendered at a time: small enough for any memory and for a core's cache. A GPU wants more at once.
CHUNK_RAYS = 2048
CHUNK_RAYS_GPU = 65536


def view_of(run: Run, *, chunk_rays: int | None = None, textured: bool = True) -> RenderView:
    """What draws views of a run's object, with the radius it was trained with and the plain camera.

    The focal multiplier of training is left out, as in both references: pictures of differently trained
    objects compare only under one camera.

    Args:
      run: an opened run.
      chunk_rays: rays rendered at a time, which bounds the memory; None chooses by the device.
      textured: False for the bare shape in grey (see `shading`), at five times the cost.

    Returns:
      (azimuth_deg, elevation_deg, size_px) -> Rendering [size_px, size_px] of NumPy arrays.
    """
    if chunk_rays is None:
        chunk_rays = CHUNK_RAYS if jax.default_backend() == "cpu" else CHUNK_RAYS_GPU
    radius = run.config.cameras.radius
    near, far = near_far(radius)
    lower, upper = run.scene.lower, run.scene.upper
    clip = visible_box(run)
    query = run.query if textured else untextured(run.query)
    # Half a voxel; a field without a grid is as fine as its samples.
    voxels = run.config.field.step_size_voxels if isinstance(run.scene, VoxelGrid) else 1.0
    reach = 0.5 * run.stage.step_size / voxels

    def render_view(azimuth_deg: float, elevation_deg: float, size_px: int) -> Rendering:
        pose = orbit_pose(azimuth_deg, elevation_deg, radius)
        return march_image(
            query,
            run.scene if textured else lit(run.scene, pose, reach),
            _rays(pose, focal_px(size_px), size_px),
            near=near,
            far=far,
            step_size=run.stage.step_size,
            interval=run.stage.interval,
            lower=lower,
            upper=upper,
            clip=clip,
            chunk_rays=chunk_rays,
            section=run.config.dream_fields.section,
        )

    return render_view


@partial(jax.jit, static_argnames=("size_px",))
def _rays(pose: Array, focal: float, size_px: int) -> Rays:
    return camera_rays(pose, width_px=size_px, height_px=size_px, focal=focal)


def visible_box(run: Run) -> tuple[Array, Array]:
    """Box around all of a run's object that can be seen.

    Args:
      run: an opened run.

    Returns:
      (lower [3], upper [3]), world frame, scene units: usually much smaller than a grid's box; the box of
      the field where it has no grid.
    """
    if isinstance(run.scene, VoxelGrid):
        return _occupied(run.scene, run.stage.interval)
    return run.scene.lower, run.scene.upper


@jax.jit
def _occupied(scene: VoxelGrid, interval: float) -> tuple[Array, Array]:
    return occupied_box(without_empty(scene, interval))


def picture_options(config: ConfigDict) -> PictureOptions:
    """Sizes and numbers of pictures as the config asks for them.

    Args:
      config: of a run.

    Returns:
      Plain numbers.
    """
    output = config.output
    return PictureOptions(
        preview_px=output.preview_width_px,
        eval_px=output.eval_width_px,
        turntable_px=output.turntable_width_px,
        n_frames=output.turntable_frames,
        fps=output.turntable_fps,
        fallback_range=near_far(config.cameras.radius),
    )
