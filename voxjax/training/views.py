"""What the training cameras see: rendering a step's views, in the room that `room` chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from voxjax import cameras
from voxjax.fields import has_grid
from voxjax.guidance.prompts import kind_of_view
from voxjax.progressive import Stage
from voxjax.rendering import place_in_cones, render_placed, render_rays
from voxjax.rendering.sampling import flatten
from voxjax.rendering.volume import with_shape
from voxjax.structs import Array, Rays, Rendering
from voxjax.training.room import Room
from voxjax.training.sharing import Share


def make_render(
    config: ConfigDict, field: Any, stage: Stage, room: Room, share: Share | None = None
) -> Callable[[Array, Any], tuple[Rendering, Array]]:
    """Returns `(key, scene) -> (Rendering [v, height, width], kind of view [v])`, cameras drawn afresh.

    Args:
      config: the config.
      field: from `make_stage_field`.
      stage: of the plan.
      room: from `choose_room`, for all rays.
      share: how devices share the rays, each of which then has the whole rendering; None for one device.
    """
    c = config.cameras
    n_rays = c.views_per_step * c.width_px**2
    budget = room.samples
    if budget is not None and share is not None:
        budget = budget.part(n_rays, share.count)
    near, far = cameras.near_far(c.radius)
    focal = cameras.focal_px(c.width_px, multiplier=c.focal_multiplier)

    def in_steps(key: Array, scene: Any, rays: Rays) -> Rendering:
        del key
        assert budget is not None
        return render_rays(
            field.query,
            scene,
            rays if share is None else share.take(rays),
            near=near,
            far=far,
            step_size=stage.step_size,
            interval=stage.interval,
            lower=scene.lower,
            upper=scene.upper,
            budget=budget,
            clip=None if room.all_on else field.occupied_box(scene),
            occupied=None if room.all_on else field.occupied,
        )

    def in_cones(key: Array, scene: Any, rays: Rays) -> Rendering:
        placement = place_in_cones(
            rays,
            lower=scene.lower,
            upper=scene.upper,
            near=near,
            far=far,
            n_samples=config.dream_fields.n_samples,
            key=key,
            section=config.dream_fields.section,
            jitter_ends=config.dream_fields.jitter_ends,
        )
        if share is not None:  # after the draws, so that every ray has the samples that it always has
            rays = share.take(rays)
            placement = share.take_columns(placement, n_rays)
        return render_placed(field.query, scene, rays, placement)

    draw = in_steps if has_grid(field) else in_cones

    def render(key: Array, scene: Any) -> tuple[Rendering, Array]:
        camera_key, sample_key = (key, key) if has_grid(field) else jax.random.split(key)
        camera_to_world, azimuth_deg, elevation_deg = cameras.sample_poses(
            camera_key,
            c.views_per_step,
            azimuth_deg=c.azimuth_deg,
            elevation_deg=c.elevation_deg,
            radius=c.radius,
        )
        rays = cameras.camera_rays(camera_to_world, width_px=c.width_px, height_px=c.width_px, focal=focal)
        out = draw(sample_key, scene, flatten(rays))
        out = out if share is None else _joined(out, share, n_rays)
        return with_shape(out, rays.origins.shape[:-1]), kind_of_view(azimuth_deg, elevation_deg)

    return render


def _joined(out: Rendering, share: Share, n_rays: int) -> Rendering:
    """The rendering of all rays, of which each device has its own."""
    assert out.centroid is not None and out.mass is not None
    mass = share.sum(out.mass)
    moment = share.sum(jnp.where(out.mass > 0, out.centroid * out.mass, 0.0))
    return Rendering(
        colour=share.join(out.colour, n_rays),
        transmittance=share.join(out.transmittance, n_rays),
        depth=share.join(out.depth, n_rays),
        overflow=share.sum(out.overflow),
        centroid=moment / mass,
        mass=mass,
    )
