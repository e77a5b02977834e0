"""Room for samples: it follows the occupancy and nothing else, and asking for it again costs no compiling."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_training import ROOT, overrides

from voxjax import cameras
from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.training.room import choose_room


@pytest.fixture(scope="module")
def room(tiny_clip):
    """(plan, mask -> the room of a step on the final grid)."""
    config = load(f"{ROOT}/configs/base.py", overrides(tiny_clip))
    plan = make_plan(config)
    stage = plan.stage_at(5)

    def of(mask, *, plan=plan):
        occupancy = np.zeros(stage.shape, bool)
        occupancy[mask] = True
        return choose_room(config, plan, stage, {"occupancy": jnp.asarray(occupancy)})

    return plan, of


def test_it_shrinks_with_occupancy_and_depends_on_nothing_else(room):
    _, of = room
    few = np.s_[4:6, 4:6, 4:6]
    whole, part = of(np.s_[:]).samples, of(few).samples
    assert part.capacity * 4 <= whole.capacity and part.per_ray <= whole.per_ray
    assert whole.capacity % part.capacity == 0 or whole.capacity // part.capacity in (2, 4, 8, 16, 32, 64)
    again = of(few)
    assert again.samples == part and not again.all_on and again.vertices is None


def test_a_first_test_that_empties_little_asks_for_no_other_program(room):
    plan, of = room
    assert plan.occupancy_every and of(np.s_[:]) == of(np.s_[1:])
    never = dataclasses.replace(plan, occupancy_every=0)
    assert of(np.s_[:], plan=never).all_on and not of(np.s_[1:], plan=never).all_on


def test_a_wide_band_of_elevations_loses_no_corner():
    """The longest way through a cube is seen from 35 degrees: neither an end nor the middle of this band."""
    pairs = {"prompt": "a red sphere", "cameras.elevation_deg": "(-60, 60)"}
    config = load("demo", list(pairs.items()))
    plan = make_plan(config)
    stage = plan.stage_at(0)
    asked = choose_room(config, plan, stage, {"occupancy": jnp.ones(stage.shape, bool)}).samples.per_ray
    azimuth = np.arange(0.0, 90.0, 5.0)  # four sides are alike
    longest = max(_longest_way(plan, config, azimuth, each) for each in np.arange(-60.0, 61.0, 5.0))
    assert asked >= np.ceil(longest / stage.step_size - 0.5)


def _longest_way(plan, config, azimuth, elevation):
    """Of all rays of the views, through the box between near and far, scene units: slabs in float64."""
    poses = cameras.orbit_pose(
        jnp.asarray(azimuth), jnp.full(azimuth.shape, elevation), config.cameras.radius
    )
    width = config.cameras.width_px
    focal = cameras.focal_px(width, multiplier=config.cameras.focal_multiplier)
    rays = cameras.camera_rays(poses, width_px=width, height_px=width, focal=focal)
    origins, directions = np.asarray(rays.origins, np.float64), np.asarray(rays.directions, np.float64)
    with np.errstate(divide="ignore"):
        ends = np.sort(
            [(np.asarray(side) - origins) / directions for side in (plan.lower, plan.upper)], axis=0
        )
    enter, leave = np.clip((ends[0].max(-1), ends[1].min(-1)), *cameras.near_far(config.cameras.radius))
    return float((leave - enter).max())


def test_asking_again_compiles_nothing(room):
    _, of = room
    compiled = []

    def listen(name, seconds, **_):
        if name.endswith("backend_compile_duration"):
            compiled.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: x + len(compiled))(1.0)
        assert len(compiled) == 1, "compiling is heard of"
        of(np.s_[2:])
        before = len(compiled)
        of(np.s_[3:])
        assert len(compiled) == before
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
