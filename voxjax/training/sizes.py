"""How large a training step is, in numbers, reckoned on the host before anything is made or compiled."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from ml_collections import ConfigDict

from voxjax import cameras
from voxjax.progressive import Plan, Stage
from voxjax.rendering.budget import LONGEST_SLACK, WHOLE_SLACK, WORTH_A_LIST, round_up

_GRID = 16  # rays along a side of the picture that stand for all of them


@dataclasses.dataclass(frozen=True)
class StepSizes:
    """The sizes of one step on one device.

    Attributes:
      vertices: of the grid; 0 for a field without one.
      rays: of all views.
      slots: places for samples, those of all rays.
      entries: samples that the field is asked for: `slots`, or fewer where a list of the valid ones is made.
      images: augmented images.
      pixels: of one of them, before a CLIP's own size.
    """

    vertices: int
    rays: int
    slots: int
    entries: int
    images: int
    pixels: int


SLOT_BYTES = 80
"""What a place for a sample keeps for the backward pass: a fit to XLA's memory analysis of compiled steps."""

RAY_SHARE = 0.25
"""Of the free memory that the samples of a step may fill; the rest is for grid, images and CLIPs."""


def ray_parts(slots: int, *, wanted: int, free: int | None) -> int:
    """In how many parts the rays of a step are rendered, a power of two unless somebody says.

    Args:
      slots: places for samples.
      wanted: `cameras.ray_parts`; 0 to choose by memory.
      free: bytes for one object; None for no limit.
    """
    if wanted or free is None:
        return max(wanted, 1)
    parts = 1
    while SLOT_BYTES * slots / parts > RAY_SHARE * free and parts < 64:
        parts *= 2
    return parts


def step_sizes(config: ConfigDict, plan: Plan, stage: Stage) -> StepSizes:
    """Returns the sizes of a step on a grid whose every vertex is on.

    Args:
      config: the config.
      plan: of the grid.
      stage: of the plan.
    """
    c, a = config.cameras, config.augment
    rays = c.views_per_step * c.width_px**2
    images = c.views_per_step * a.n_diff * a.n_back
    vertices = math.prod(stage.shape)
    if not plan.n_voxels:
        slots = entries = rays * config.dream_fields.n_samples
    else:
        counts = np.floor(chords(config, plan) / stage.step_size) + 1
        near, far = cameras.near_far(c.radius)
        deepest = math.ceil((far - near) / stage.step_size) + 1
        slots = rays * min(round_up(math.ceil(counts.max() * LONGEST_SLACK) + 1), round_up(deepest))
        fullest = counts.mean(axis=1).max() * c.width_px**2
        entries = round_up(math.ceil(fullest * WHOLE_SLACK) * c.views_per_step)
        entries = entries if entries < WORTH_A_LIST * slots else slots
    return StepSizes(vertices, rays, slots, entries, images, c.width_px**2)


def chords(config: ConfigDict, plan: Plan) -> np.ndarray:
    """Lengths of ray inside the box, between near and far, for views that training may draw.

    Returns:
      [views, rays] float64, scene units; 0 where a ray misses the box.
    """
    c = config.cameras
    (first, last), (lowest, highest) = c.azimuth_deg, c.elevation_deg
    elevations = np.unique(np.linspace(lowest, highest, 3))
    azimuth, elevation = (
        np.deg2rad(each.ravel())
        for each in np.meshgrid(np.linspace(first, last, 7, endpoint=False), elevations)
    )
    half = c.width_px / 2 / cameras.focal_px(c.width_px, multiplier=c.focal_multiplier)
    offsets = (np.arange(_GRID) + 0.5) / _GRID * 2 - 1
    x, y = (each.ravel() * half for each in np.meshgrid(offsets, offsets))
    zero = np.zeros_like(azimuth)
    right = np.stack([-np.sin(azimuth), np.cos(azimuth), zero], axis=-1)
    backward = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    )
    up = np.cross(backward, right)
    direction = x[:, None] * right[:, None] + y[:, None] * up[:, None] - backward[:, None]
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    origin = c.radius * backward[:, None]
    with np.errstate(divide="ignore"):
        faces = [(np.asarray(corner) - origin) / direction for corner in (plan.lower, plan.upper)]
    near, far = cameras.near_far(c.radius)
    enter = np.maximum(np.minimum(*faces).max(axis=-1), near)
    leave = np.minimum(np.maximum(*faces).min(axis=-1), far)
    return np.maximum(leave - enter, 0.0)
