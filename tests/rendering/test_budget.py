"""Room for samples: enough for the views between those that were tried, in few sizes."""

import jax
import numpy as np
from helpers.voxel_scenes import FIELD, GEOMETRY, INTERVAL, look_at_origin, make_scene, render

from voxjax.fields import grid
from voxjax.rendering import budget as budgets


def test_rounding_up_wastes_little_and_gives_few_sizes():
    rounded = [budgets.round_up(n) for n in range(1, 5000)]
    assert all(n <= r <= max(8, n * 1.032 + 1) for n, r in enumerate(rounded, start=1))
    assert len(set(rounded)) < 330
    assert budgets.round_up(1024) == 1024


def test_a_budget_holds_for_the_views_between_those_it_was_made_from():
    scene = make_scene(seed=11, on=0.3)
    known, others = look_at_origin(np.linspace(0, 2 * np.pi, 8)[:-1]), look_at_origin([0.3, 1.7, 4.0])
    whole = budgets.budget_for(scene, known, **GEOMETRY)
    part = budgets.budget_for(
        scene, known, **GEOMETRY, occupied=FIELD.occupied, clip=grid.occupied_box(scene)
    )
    assert part.capacity < 0.7 * whole.capacity and part.per_ray <= whole.per_ray
    two = budgets.budget_for(scene, known, **GEOMETRY, views_per_step=2)
    assert two.per_ray == whole.per_ray and whole.capacity < two.capacity <= 2 * whole.per_ray * 36
    for i in range(3):
        view = jax.tree.map(lambda leaf, i=i: leaf[i], others)
        out = render(FIELD.query, scene, view, **GEOMETRY, interval=INTERVAL, budget=whole)
        assert int(out.overflow) == 0
