"""Sizes that are reckoned, against those that the training step is given."""

import numpy as np
import pytest

from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.training.room import choose_room, first_occupancy
from voxjax.training.sizes import SLOT_BYTES, chords, ray_parts, step_sizes

CONFIGS = [
    ("demo", {}),
    ("demo:vox_imp", {"cameras.elevation_deg": (0.0, 89.0)}),
    ("vox_exp", {"cameras.width_px": 56, "field.side": 70}),
    ("vox_exp", {"cameras.width_px": 40, "field.side": 60, "field.box": "cube", "cameras.views_per_step": 3}),
    ("vox_imp", {"cameras.width_px": 48, "field.side": 50, "cameras.focal_multiplier": 0.8}),
]


@pytest.mark.parametrize(("spec", "changes"), CONFIGS)
def test_slots_and_entries_are_those_of_the_step(spec, changes):
    pairs = [("prompt", "a red sphere"), *((key, str(value)) for key, value in changes.items())]
    config = load(spec, pairs)
    plan = make_plan(config)
    stage = plan.stage_at(0)
    budget = choose_room(config, plan, stage, {"occupancy": first_occupancy(config, plan, stage)}).samples
    sizes = step_sizes(config, plan, stage)
    assert sizes.rays == config.cameras.views_per_step * config.cameras.width_px**2
    # Few rays stand for all: a size may fall on the next step of the rounding.
    assert sizes.slots == pytest.approx(budget.per_ray * sizes.rays, rel=0.13)
    assert sizes.entries == pytest.approx(budget.capacity, rel=0.13)
    assert sizes.vertices == np.prod(stage.shape)


def test_a_field_without_a_grid():
    config = load("demo:dream_fields", [("prompt", "x")])
    plan = make_plan(config)
    sizes = step_sizes(config, plan, plan.stage_at(0))
    assert sizes.slots == sizes.entries == 3 * 32**2 * 32 and sizes.vertices == 0
    assert sizes.images == 12 and sizes.pixels == 32**2


def test_chords_against_samples_along_the_rays():
    """Lengths by counting points inside the box, one ray at a time."""
    config = load("demo", [("prompt", "x"), ("cameras.elevation_deg", "(-20.0,70.0)")])
    plan = make_plan(config)
    lengths = chords(config, plan)
    assert lengths.shape == (21, 256) and lengths.min() >= 0
    half, near, far = 1.2, 4 - 3**0.5, 4 + 3**0.5
    focal = 1111.1111 / 800
    for view, row, column in [(0, 3, 5), (7, 8, 8), (20, 15, 0), (13, 12, 2)]:
        azimuth = np.deg2rad(360 / 7 * (view % 7))
        elevation = np.deg2rad((-20.0, 25.0, 70.0)[view // 7])
        back = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
        up = np.cross(back, right)
        x, y = ((column + 0.5) / 16 - 0.5) / focal, ((row + 0.5) / 16 - 0.5) / focal
        direction = x * right + y * up - back
        direction /= np.linalg.norm(direction)
        t = np.arange(near, far, 1e-4)
        points = 4 * back + t[:, None] * direction
        inside = (np.abs(points) <= half).all(axis=-1).sum() * 1e-4
        assert lengths[view, row * 16 + column] == pytest.approx(inside, abs=3e-4)


@pytest.mark.parametrize(
    ("wanted", "free", "parts"),
    [(0, None, 1), (3, None, 3), (3, 10, 3), (0, 4 * SLOT_BYTES * 1000, 1), (0, 4 * SLOT_BYTES * 999, 2)],
)
def test_rays_are_rendered_in_parts_where_memory_is_scarce(wanted, free, parts):
    assert ray_parts(1000, wanted=wanted, free=free) == parts


def test_parts_end_somewhere():
    assert ray_parts(10**9, wanted=0, free=1) == 64
