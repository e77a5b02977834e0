"""From config to objects. ConfigDict stops here: what these functions return holds plain numbers only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ml_collections import ConfigDict

from voxjax import cameras
from voxjax.errors import UserError
from voxjax.fields import FIELDS, has_grid, make_field
from voxjax.progressive import Plan, Stage
from voxjax.schedules import step_number

Corner = tuple[float, float, float]
# Keys of the group `dream_fields` that the field itself has; the others are of rendering and of tracking.
_OF_MIPNERF = (
    "width",
    "hidden",
    "n_blocks",
    "encoding",
    "n_features",
    "max_exponent",
    "integrate",
    "chunk",
)


def make_box(config: ConfigDict) -> tuple[Corner, Corner]:
    """Returns (lower, upper), the corners of the grid's box in scene units.

    Raises:
      UserError: the training cameras share no region.
    """
    if config.field.box == "cube":
        half = config.field.half_width
        return (-half, -half, -half), (half, half, half)
    c = config.cameras
    box = _frustum(tuple(c.elevation_deg), c.radius, c.width_px, c.focal_multiplier)
    if box is None:
        raise UserError(
            "--config.field.box=frustum: the cameras share no region; use --config.field.box=cube"
        )
    return box


@functools.cache  # a quarter of a second, and a run asks for it several times
def _frustum(
    elevation_deg: tuple[float, float], radius: float, width: int, multiplier: float
) -> tuple[Corner, Corner] | None:
    lower, upper = cameras.frustum_box(
        elevation_deg=elevation_deg,
        radius=radius,
        width_px=width,
        height_px=width,
        focal=cameras.focal_px(width, multiplier=multiplier),
    )
    if not (lower < upper).all():
        return None
    return tuple(map(float, lower)), tuple(map(float, upper))  # type: ignore[return-value]


def step_of(config: ConfigDict, fraction: float) -> int:
    """Step at which a fraction of the config's schedule is over, see `schedules.step_number`."""
    return step_number(fraction, steps=config.steps, of=config.schedule_steps)


def make_plan(config: ConfigDict) -> Plan:
    """Returns when which grid is trained, with the fractions of the config turned into steps."""
    lower, upper = make_box(config)
    if config.field.name in FIELDS and not has_grid(FIELDS[config.field.name]):
        # Pictures take steps of one length everywhere, so the box's edge stands for all rays.
        return Plan.without_grid(lower, upper, (upper[0] - lower[0]) / config.dream_fields.n_test_samples)
    p = config.progressive
    every = step_of(config, p.occupancy_every)
    return Plan(
        lower=lower,
        upper=upper,
        n_voxels=config.field.side**3,
        # In very short runs boundaries fall on one step, or before the first: then the grid starts finer.
        boundaries=tuple(sorted({step_of(config, f) for f in p.boundaries} - {0})),
        step_size_voxels=config.field.step_size_voxels,
        occupancy_every=max(every, 1) if p.occupancy_every > 0 else 0,
        occupancy_offset=step_of(config, p.occupancy_offset),
        occupancy_threshold=p.occupancy_threshold,
        density_drop=p.density_drop,
    )


def make_stage_field(
    config: ConfigDict,
    plan: Plan,
    stage: Stage,
    *,
    capacity: int | None = None,
    in_parts: Callable[..., Any] | None = None,
    training: bool = False,
) -> Any:
    """Returns the field (a linen module) at one grid size.

    Args:
      config: the config.
      plan: from `make_plan`.
      stage: of the plan.
      capacity: room for vertices that are evaluated, for fields that can leave some out; None for all.
      in_parts: how several devices share those vertices, see `fields.implicit.VoxImp`; None for one device.
      training: whether it is rendered to be trained, and not for pictures.

    Raises:
      UserError: unknown field name.
    """
    name = config.field.name
    grid_options = {
        "shape": stage.shape,
        "lower": plan.lower,
        "upper": plan.upper,
        "alpha_init": config.field.alpha_init,
        "learn_shift": config.field.learn_shift,
    }
    # Functions, as the config of an older run lacks the groups of later fields.
    options: dict[str, Callable[[], dict[str, Any]]] = {
        "vox_exp": lambda: grid_options,
        "vox_imp": lambda: {**grid_options, **config.vox_imp, "capacity": capacity, "in_parts": in_parts},
        "dream_fields": lambda: {
            "lower": plan.lower,
            "upper": plan.upper,
            **{each: config.dream_fields[each] for each in _OF_MIPNERF},
            # Pictures always show Gaussians of their own size.
            "widen_steps": step_of(config, config.dream_fields.widen) if training else 0,
            "moved": config.dream_fields.origin == "follow" or not training,
        },
    }
    try:
        return make_field(name, **options.get(name, dict)())
    except ValueError as error:
        raise UserError(f"--config.field.name={config.field.name}: {error}") from error
