"""What the training cameras see: rendering a step's views, and the room that this takes.

Shapes are decided here, on the host: how many samples a step may have, and how many vertices are evaluated.
All of it is a function of the config and the occupancy alone, so that a resumed run agrees with the first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax import cameras
from voxjax.fields import grid, has_grid
from voxjax.guidance.prompts import kind_of_view
from voxjax.progressive import Plan, Stage
from voxjax.rendering import SampleBudget, budget_for, place_in_cones, render_placed, render_rays
from voxjax.rendering.sampling import flatten
from voxjax.rendering.volume import with_shape
from voxjax.structs import Array, Rays, Rendering, VoxelGrid
from voxjax.training.sharing import Share
from voxjax.training.sizes import ray_parts
from voxjax.training.visibility import visible

_PART_SLACK = 1.1  # room to spare for views that see more of the occupied part than those that were asked


@dataclasses.dataclass(frozen=True)
class Room:
    """Static sizes of a step: another one is another program.

    Attributes:
      samples: of the renderer; None for fields without a grid, whose number of samples is fixed.
      vertices: that are evaluated; None for all.
      all_on: whether no sample of a training view can fall on a vertex that is off.
    """

    samples: SampleBudget | None = None
    vertices: int | None = None
    all_on: bool = True


def first_occupancy(config: ConfigDict, plan: Plan, stage: Stage) -> Array | None:
    """[x, y, z] bool at the first step; None for a field without a grid.

    All on; for Vox_Imp only what a training camera may see, a voxel's diagonal more to every side.
    """
    if not plan.n_voxels:
        return None
    if not (config.field.name == "vox_imp" and config.vox_imp.skip):
        return jnp.ones(stage.shape, bool)
    c = config.cameras
    near, far = cameras.near_far(c.radius)
    lower, upper = np.asarray(plan.lower), np.asarray(plan.upper)
    axes = [np.linspace(low, high, n) for low, high, n in zip(lower, upper, stage.shape, strict=True)]
    positions = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    seen = visible(
        positions,
        elevation_deg=c.elevation_deg,
        radius=c.radius,
        width_px=c.width_px,
        focal=cameras.focal_px(c.width_px, multiplier=c.focal_multiplier),
        near=near,
        far=far,
        margin=float(np.linalg.norm((upper - lower) / (np.asarray(stage.shape) - 1))),
    )
    return jnp.asarray(seen)


def choose_room(
    config: ConfigDict, plan: Plan, stage: Stage, tracked: Any, *, free: int | None = None
) -> Room:
    """Returns the sizes of a step for what is tracked at present.

    Args:
      config: the config.
      plan: schedule of the grid.
      stage: the grid.
      tracked: of the state.
      free: bytes of memory by which rays are rendered in parts; None for no limit.
    """
    if not plan.n_voxels:
        return Room()
    occupancy = tracked["occupancy"]
    on = np.asarray(occupancy)
    # Where all that training can see is on, nothing has to be asked.
    all_on = bool(np.all(on | ~np.asarray(first_occupancy(config, plan, stage))))
    samples = _choose_budget(config, plan, stage, occupancy, all_on=all_on)
    n_slots = samples.per_ray * config.cameras.views_per_step * config.cameras.width_px**2
    parts = ray_parts(n_slots, wanted=config.cameras.ray_parts, free=free)
    samples = dataclasses.replace(samples, parts=parts)
    vertices = None
    if config.field.name == "vox_imp" and config.vox_imp.skip:
        vertices = _bucket(on.size, int(np.sum(on)))
    return Room(samples, vertices, all_on)


def room_for_all(rooms: Iterable[Room]) -> Room:
    """Returns the room in which each of several objects has its own."""
    rooms = list(rooms)
    samples = [room.samples for room in rooms if room.samples is not None]
    vertices = [room.vertices for room in rooms if room.vertices is not None]
    return Room(
        SampleBudget(*(max(sizes) for sizes in zip(*map(dataclasses.astuple, samples), strict=True)))
        if samples
        else None,
        max(vertices) if vertices else None,
        all(room.all_on for room in rooms),
    )


def _bucket(whole: int, need: int) -> int:
    """The smallest of whole, 3/4, 1/2, 3/8, 1/4, ... of it that holds `need`: few sizes to compile for."""
    best = whole
    for k in range(1, 12):
        for size in (-(-3 * whole // 2 ** (k + 1)), -(-whole // 2**k)):
            best = size if size >= max(need, 1) else best
    return best


def _choose_budget(
    config: ConfigDict, plan: Plan, stage: Stage, occupancy: Array, *, all_on: bool
) -> SampleBudget:
    """Room for the samples of a step.

    The whole box's need is halved as often as the occupied part allows: every other number would be a new
    program to compile for little gain.
    """
    c = config.cameras
    near, far = cameras.near_far(c.radius)
    (first, last), (lowest, highest) = c.azimuth_deg, c.elevation_deg
    elevations = np.unique(np.linspace(lowest, highest, 3))
    # Seven: a number that does not repeat itself in a box of four sides.
    azimuths = np.linspace(first, last, 7, endpoint=False)
    azimuth, elevation = (a.ravel() for a in np.meshgrid(azimuths, elevations))
    focal = cameras.focal_px(c.width_px, multiplier=c.focal_multiplier)

    @jax.jit  # one small program instead of dozens of tiny ones
    def rays_of(azimuth: Array, elevation: Array) -> Rays:
        poses = cameras.orbit_pose(azimuth, elevation, c.radius)
        return cameras.camera_rays(poses, width_px=c.width_px, height_px=c.width_px, focal=focal)

    rays = rays_of(azimuth, elevation)
    lower, upper = jnp.asarray(plan.lower, jnp.float32), jnp.asarray(plan.upper, jnp.float32)
    # Only the occupancy is asked, so the values need not be there.
    scene = VoxelGrid(jnp.zeros((2, 2, 2, 4)), jnp.zeros(()), occupancy, lower, upper)
    geometry = {
        "lower": lower,
        "upper": upper,
        "near": near,
        "far": far,
        "step_size": stage.step_size,
        "views_per_step": c.views_per_step,
    }
    whole = budget_for(scene, rays, **geometry)
    if all_on:
        return whole
    part = budget_for(
        scene, rays, **geometry, clip=grid.occupied_box(scene), occupied=grid.is_occupied, slack=_PART_SLACK
    )
    return SampleBudget(_halve(whole.per_ray, part.per_ray), _halve(whole.capacity, part.capacity))


def _halve(whole: int, need: int) -> int:
    while whole // 2 >= max(need, 8):
        whole //= 2
    return whole


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
