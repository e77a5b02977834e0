"""How much room a step needs: places for samples, and vertices that are evaluated.

Shapes are decided here, on the host. All of it is a function of the config and the occupancy alone, so that a
resumed run agrees with the first.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax import cameras
from voxjax.fields import grid
from voxjax.progressive import Plan, Stage
from voxjax.rendering import SampleBudget, budget_for
from voxjax.structs import Array, Rays, VoxelGrid
from voxjax.training.sizes import ray_parts
from voxjax.training.visibility import visible

_ELEVATION_GAP = 25.0  # degrees, at most, between the elevations from which room is asked for
_PART_SLACK = 1.1  # room to spare for views that see more of the occupied part than those that were asked


@dataclasses.dataclass(frozen=True)
class Room:
    """Static sizes of a step: another one is another program.

    Attributes:
      samples: of the renderer; None for fields without a grid, whose number of samples is fixed.
      vertices: that are evaluated; None for all.
      all_on: whether no sample of a training view can fall on a vertex that is off, on this grid, ever.
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
    # Where all that training can see is on and stays so, nothing has to be asked. Before a first test it is
    # asked all the same, for a few percent of a step: another program would take many steps to compile.
    all_on = not plan.occupancy_every and bool(np.all(on | ~np.asarray(first_occupancy(config, plan, stage))))
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
    # Near enough together that a cube's longest way, seen from 35 degrees, lies not far from one of them.
    n_elevations = max(3, 1 + math.ceil((highest - lowest) / _ELEVATION_GAP))
    elevations = np.unique(np.linspace(lowest, highest, n_elevations))
    # Seven: a number that does not repeat itself in a box of four sides.
    azimuths = np.linspace(first, last, 7, endpoint=False)
    azimuth, elevation = (a.ravel() for a in np.meshgrid(azimuths, elevations))
    focal = cameras.focal_px(c.width_px, multiplier=c.focal_multiplier)
    rays = _rays_of(azimuth, elevation, c.radius, focal, width_px=c.width_px)
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


@partial(jax.jit, static_argnames=("width_px",))
def _rays_of(azimuth: Array, elevation: Array, radius: float, focal: float, *, width_px: int) -> Rays:
    """Rays [n, width, width] of cameras at azimuths and elevations [n], degrees."""
    poses = cameras.orbit_pose(azimuth, elevation, radius)
    return cameras.camera_rays(poses, width_px=width_px, height_px=width_px, focal=focal)


def _halve(whole: int, need: int) -> int:
    while whole // 2 >= max(need, 8):
        whole //= 2
    return whole
