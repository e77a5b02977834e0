"""Where Dream Fields' field stands: the origin, what follows it, and what a baked scene carries."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from helpers.mip_field import bake, build, gaussians, points, run, start

from voxjax.fields.mipnerf import MipNerf, track


def test_an_origin_moves_the_scene_and_positions_against_it():
    field, variables = build()
    samples, origin = points(gaussians((10,))), jnp.array([0.3, -0.1, 0.7])
    moved = run(field.query, bake(field, variables, origin=origin), samples)
    shifted = dataclasses.replace(samples, positions=samples.positions + origin)
    still = run(field.query, bake(field, variables), shifted)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), moved, still)
    assert np.abs(moved[0] - run(field.query, bake(field, variables), samples)[0]).max() > 1e-2


def test_the_origin_follows_an_object_and_ignores_an_empty_scene():
    axis = np.linspace(-1, 1, 17)
    points = jnp.asarray(np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3))
    variables = build()[1]

    @jax.jit
    def step(tracked, object_at, amount):
        # A blob in the field's frame, seen from the world's.
        offset = points + tracked["origin"] - object_at
        density = amount * jnp.exp(-jnp.sum(offset**2, -1) / 0.08)
        centroid = jnp.sum(density[:, None] * points, axis=0) / jnp.sum(density)
        return track(tracked, centroid, decay=0.9), centroid

    tracked, place = variables["tracked"], jnp.array([0.3, -0.4, 0.2])
    distances = []
    for _ in range(50):
        tracked, centroid = step(tracked, place, 5.0)
        distances.append(float(jnp.linalg.norm(tracked["origin"] - place)))
    assert distances[0] > 0.4 and distances[-1] < 0.01
    assert (np.diff(distances) < 0).all()
    np.testing.assert_allclose(centroid, 0.0, atol=0.02)
    before = np.asarray(tracked["origin"])
    tracked, centroid = step(tracked, place, 0.0)
    assert not np.isfinite(centroid).any()
    np.testing.assert_array_equal(tracked["origin"], before)
    np.testing.assert_array_equal(tracked["basis"], variables["tracked"]["basis"])
    for _ in range(50):
        tracked, _ = step(tracked, -place, 5.0)
    np.testing.assert_allclose(tracked["origin"], -place, atol=0.01)
    half = track(tracked, jnp.array([1.0, jnp.nan, 0.0]))
    np.testing.assert_array_equal(half["origin"], tracked["origin"])


def test_the_default_decay_moves_the_origin_by_a_thousandth():
    tracked = {"origin": jnp.array([0.5, 0.0, 0.0]), "basis": jnp.zeros((1, 3))}
    moved = MipNerf.track(tracked, jnp.array([1.0, -2.0, 0.0]))
    np.testing.assert_allclose(moved["origin"], [0.501, -0.002, 0.0], rtol=1e-5)


def test_a_baked_scene_carries_what_the_state_carries():
    field, variables = build()
    variables["tracked"] = dict(variables["tracked"], origin=jnp.array([1.0, 2.0, 3.0]))
    scene = field.apply(variables, method="bake")
    np.testing.assert_array_equal(scene.origin, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(variables["tracked"]["basis"][-3:], np.eye(3))
    fresh, other = start(field)[0], start(field, seed=7)[0]
    np.testing.assert_array_equal(fresh["origin"], np.zeros(3))
    np.testing.assert_array_equal(other["basis"], fresh["basis"])
    drawn = [start(build(encoding="fourier")[0], seed=seed)[0]["basis"] for seed in (0, 7)]
    assert not np.array_equal(*drawn), "this basis comes from the key"
    field, variables = build(encoding="fourier")
    scene = field.apply(variables, method="bake")
    jax.tree.map(np.testing.assert_array_equal, scene.params, variables["params"]["network"])
    np.testing.assert_array_equal(scene.basis, variables["tracked"]["basis"])


def test_the_box_belongs_to_the_frame_of_the_field():
    field, variables = build(lower=(-1.0, -2.0, -1.0), upper=(1.0, 1.0, 3.0))
    variables["tracked"] = {**variables["tracked"], "origin": jnp.array([0.5, 0.0, -0.25])}
    scene = field.apply(variables, method="bake")
    np.testing.assert_allclose(scene.lower, [-1.5, -2.0, -0.75])
    np.testing.assert_allclose(scene.upper, [0.5, 1.0, 3.25])
