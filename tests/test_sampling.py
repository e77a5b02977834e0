"""Where samples lie on a ray, and how much room they are given, against float64 loops."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import voxel_oracles as oracle
from voxel_scenes import (
    FIELD,
    GEOMETRY,
    INTERVAL,
    LOWER,
    MARCH,
    UPPER,
    as_pairs,
    look_at_origin,
    make_rays,
    make_scene,
    render,
)

from voxjax.fields import grid
from voxjax.render import sampling
from voxjax.structs import Rays


def test_rays_meet_the_box_where_the_loop_says():
    rays = make_rays(200, seed=1)
    axis_parallel = Rays(  # through the box, along a face's plane outside it, and away from it
        jnp.array([[4.0, 0.0, 0.0], [4.0, 3.0, 0.0], [4.0, 0.0, 0.0]]),
        jnp.array([[-1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]),
    )
    rays = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), rays, axis_parallel)
    enter, leave = sampling.intersect_box(rays, LOWER, UPPER, near=2.9, far=4.6)
    hits = 0
    for i, (origin, direction) in enumerate(as_pairs(rays)):
        expected = oracle.clip_ray(origin, direction, LOWER, UPPER, 2.9, 4.6)
        if expected is None:
            assert leave[i] <= enter[i]
        else:
            hits += 1
            np.testing.assert_allclose([enter[i], leave[i]], expected, atol=1e-5)
    assert 50 < hits < len(enter) - 10
    assert leave[-3] > enter[-3] and leave[-2] <= enter[-2] and leave[-1] <= enter[-1]


def test_samples_are_placed_at_equal_steps_and_the_rest_is_counted():
    rays = make_rays()
    expected = [oracle.distances_in_box(o, d, LOWER, UPPER, **MARCH) for o, d in as_pairs(rays)]
    counts = np.array([len(e) for e in expected])
    assert counts.max() > 8 and counts.min() == 0
    placed = sampling.place_in_box(rays, **GEOMETRY, interval=INTERVAL, per_ray=16)
    assert int(placed.overflow) == 0
    for r, distances in enumerate(expected):
        np.testing.assert_array_equal(placed.valid[:, r], np.arange(16) < len(distances))
        np.testing.assert_allclose(placed.distance[: len(distances), r], distances, atol=1e-5)
    tight = sampling.place_in_box(rays, **GEOMETRY, interval=INTERVAL, per_ray=8)
    assert int(tight.overflow) == np.maximum(counts - 8, 0).sum() > 0
    np.testing.assert_allclose(tight.distance, placed.distance[:8] * 1.0)


def test_a_clip_box_drops_slots_outside_it_and_moves_no_sample():
    rays = make_rays(40, seed=2)
    clip = (jnp.array([-0.5, -0.2, -1.0]), jnp.array([0.6, 1.0, 0.4]))
    whole = sampling.place_in_box(rays, **GEOMETRY, interval=INTERVAL, per_ray=16)
    part = sampling.place_in_box(rays, **GEOMETRY, interval=INTERVAL, per_ray=16, clip=clip)
    for r in range(40):
        kept = np.asarray(part.distance[:, r])[np.asarray(part.valid[:, r])]
        all_of_them = np.asarray(whole.distance[:, r])[np.asarray(whole.valid[:, r])]
        assert np.isin(np.round(kept, 4), np.round(all_of_them, 4)).all()
        positions = np.asarray(rays.origins[r]) + all_of_them[:, None] * np.asarray(rays.directions[r])
        inside = ((positions > clip[0]) & (positions < clip[1])).all(axis=-1)
        assert np.isin(np.round(all_of_them[inside], 4), np.round(kept, 4)).all()
    assert 0 < int(part.valid.sum()) < 0.7 * int(whole.valid.sum())


def test_rounding_up_wastes_little_and_gives_few_sizes():
    rounded = [sampling.round_up(n) for n in range(1, 5000)]
    assert all(n <= r <= max(8, n * 1.125 + 1) for n, r in enumerate(rounded, start=1))
    assert len(set(rounded)) < 90
    assert sampling.round_up(1024) == 1024


def test_a_budget_holds_for_the_views_between_those_it_was_made_from():
    scene = make_scene(seed=11, on=0.3)
    known, others = look_at_origin(np.linspace(0, 2 * np.pi, 8)[:-1]), look_at_origin([0.3, 1.7, 4.0])
    whole = sampling.budget_for(scene, known, **GEOMETRY)
    part = sampling.budget_for(
        scene, known, **GEOMETRY, occupied=FIELD.occupied, clip=grid.occupied_box(scene)
    )
    assert part.capacity < 0.7 * whole.capacity and part.per_ray <= whole.per_ray
    two = sampling.budget_for(scene, known, **GEOMETRY, views_per_step=2)
    assert two.per_ray == whole.per_ray and whole.capacity < two.capacity <= 2 * whole.per_ray * 36
    for i in range(3):
        view = jax.tree.map(lambda leaf, i=i: leaf[i], others)
        out = render(FIELD.query, scene, view, **GEOMETRY, interval=INTERVAL, budget=whole)
        assert int(out.overflow) == 0
