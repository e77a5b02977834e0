"""Where samples lie on a ray, and how much room they are given, against float64 loops."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from helpers import voxel_oracles as oracle
from helpers.voxel_scenes import (
    GEOMETRY,
    INTERVAL,
    LOWER,
    MARCH,
    UPPER,
    as_pairs,
    make_rays,
)

from voxjax.rendering import sampling
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
