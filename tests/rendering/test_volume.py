"""Renderings of voxel grids against a float64 renderer made of loops; gradients by finite differences."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import voxel_oracles as oracle
from helpers.voxel_scenes import (
    AMPLE,
    FIELD,
    GEOMETRY,
    INTERVAL,
    LOWER,
    MARCH,
    SHAPE,
    UPPER,
    as_pairs,
    assert_same_picture,
    look_at_origin,
    make_rays,
    make_scene,
    render,
    render_oracle,
)

from voxjax.fields import grid
from voxjax.rendering import budget as budgets
from voxjax.rendering import marching, sampling, volume
from voxjax.structs import Rays


@pytest.mark.parametrize("way", ["flat", "dense", "occupied", "clip", "parts", "parts of a list"])
def test_every_way_of_rendering_equals_the_dense_float64_renderer(way):
    scene, rays = make_scene(), make_rays()
    expected = render_oracle(scene, rays)
    n_samples = expected[3]
    options = {"budget": budgets.SampleBudget(16, n_samples)}
    if way == "dense":
        options = {"budget": AMPLE}
    if way.startswith("parts"):  # five parts do not divide the rays
        capacity = n_samples if "list" in way else AMPLE.capacity
        options = {"budget": budgets.SampleBudget(16, capacity, parts=5)}
    if way == "occupied":
        options |= {"occupied": FIELD.occupied}
    if way == "clip":
        # Off at both ends of every axis, so that there is something to clip.
        off = np.zeros(SHAPE, bool)
        off[1:-1, 1:-1, 1:-1] = True
        scene = scene.replace(occupancy=scene.occupancy & off)
        expected = render_oracle(scene, rays)
        options |= {"clip": grid.occupied_box(scene)}
    assert 0.05 < expected[1].mean() < 0.95
    got = render(FIELD.query, scene, rays, **GEOMETRY, interval=INTERVAL, **options)
    assert int(got.overflow) == 0
    assert_same_picture(got, expected)


def test_what_does_not_fit_is_the_farthest_and_is_counted():
    scene, rays = make_scene(seed=6), make_rays()
    capacity = render_oracle(scene, rays)[3] - 17
    expected = render_oracle(scene, rays, n_first=capacity)
    budget = budgets.SampleBudget(16, capacity)
    got = render(FIELD.query, scene, rays, **GEOMETRY, interval=INTERVAL, budget=budget)
    assert int(got.overflow) == 17
    assert_same_picture(got, expected)


def test_the_occupancy_mask_frees_places_in_the_list():
    scene, rays = make_scene(seed=7, on=0.3), make_rays()
    n_on = sum(
        oracle.nearest_is_on(np.asarray(scene.occupancy), o + t * d, LOWER, UPPER)
        for o, d in as_pairs(rays)
        for t in oracle.distances_in_box(o, d, LOWER, UPPER, **MARCH)
    )
    budget = budgets.SampleBudget(16, n_on)
    assert n_on < 0.6 * render_oracle(scene, rays)[3]
    got = render(
        FIELD.query, scene, rays, **GEOMETRY, interval=INTERVAL, budget=budget, occupied=FIELD.occupied
    )
    assert int(got.overflow) == 0
    assert_same_picture(got, render_oracle(scene, rays))


def test_parts_say_what_they_left_out_and_where_the_mass_lies():
    scene, rays = make_scene(seed=6), make_rays()
    budget = [budgets.SampleBudget(4, 999, n) for n in (1, 5)]
    whole, parts = (
        render(FIELD.query, scene, rays, **GEOMETRY, interval=INTERVAL, budget=each) for each in budget
    )
    assert int(parts.overflow) == int(whole.overflow) > 0
    np.testing.assert_allclose(parts.mass, whole.mass, rtol=1e-5)
    np.testing.assert_allclose(parts.centroid, whole.centroid, atol=1e-5)


def test_leading_axes_are_kept():
    scene, rays = make_scene(), make_rays()
    folded = jax.tree.map(lambda leaf: leaf.reshape(3, 2, 2, 3), rays)
    got = render(FIELD.query, scene, folded, **GEOMETRY, interval=INTERVAL, budget=AMPLE)
    assert got.colour.shape == (3, 2, 2, 3) and got.transmittance.shape == got.depth.shape == (3, 2, 2)
    assert_same_picture(volume.with_shape(got, (12,)), render_oracle(scene, rays))


@pytest.mark.parametrize(("listed", "parts"), [(False, 1), (True, 1), (False, 3), (True, 2)])
def test_the_gradient_of_a_rendering_equals_finite_differences(listed, parts):
    scene, rays = make_scene(seed=8), make_rays(n=8)
    n_samples = render_oracle(scene, rays)[3]
    budget = budgets.SampleBudget(16, n_samples if listed else 16 * 8, parts)
    rng = np.random.default_rng(9)
    by_colour, by_light, by_depth = rng.normal(size=(8, 3)), rng.normal(size=8), rng.normal(size=8)
    direction = rng.normal(size=SHAPE + (4,))

    @jax.jit
    def gradient(values):
        def loss(values):
            out = volume.render_rays(
                FIELD.query, scene.replace(values=values), rays, **GEOMETRY, interval=INTERVAL, budget=budget
            )
            return jnp.sum(out.colour * by_colour) + out.transmittance @ by_light + out.depth @ by_depth

        return jax.grad(loss)(values)

    def loss64(values):
        colour, light, depth, _ = render_oracle(scene, rays, values=values)
        return np.sum(colour * by_colour) + light @ by_light + depth @ by_depth

    values, step = np.asarray(scene.values, np.float64), 1e-5
    got = np.asarray(gradient(scene.values), np.float64)
    # One direction in all entries, and one in density alone, which is the harder half.
    for along in (direction, direction * np.array([1.0, 0, 0, 0])):
        expected = (loss64(values + step * along) - loss64(values - step * along)) / (2 * step)
        assert np.sum(got * along) == pytest.approx(expected, rel=2e-4)
    assert np.abs(got[~np.asarray(scene.occupancy)]).sum() > 0, (
        "corners of occupied samples do get a gradient"
    )


def test_placed_samples_may_each_have_an_interval_of_their_own():
    # What a field without a grid needs: jittered distances, unequal intervals, any query.
    rng = np.random.default_rng(10)
    rays = make_rays(n=4)
    distance = np.sort(rng.uniform(2, 6, (30, 4)), axis=0)
    interval = rng.uniform(0.01, 0.2, (30, 4))
    valid = rng.random((30, 4)) < 0.8

    def query(scene, samples):
        density = scene * jnp.exp(-jnp.sum(samples.positions**2, axis=-1)) / samples.interval**0.5
        return density, 0.5 + 0.5 * jnp.sin(samples.positions)

    placement = sampling.Placement(
        jnp.asarray(distance, jnp.float32),
        jnp.asarray(valid),
        jnp.asarray(interval, jnp.float32),
        jnp.int32(3),
    )
    for capacity in (None, int(valid.sum())):
        got = volume.render_placed(query, jnp.float32(2.0), rays, placement, capacity=capacity)
        assert int(got.overflow) == 3
        for r, (origin, direction) in enumerate(as_pairs(rays)):
            p = origin + distance[:, r, None] * direction
            density = 2.0 * np.exp(-(p**2).sum(-1)) / interval[:, r] ** 0.5 * valid[:, r]
            expected = oracle.composite(density * interval[:, r], 0.5 + 0.5 * np.sin(p), distance[:, r])
            np.testing.assert_allclose(got.colour[r], expected[0], atol=1e-5)
            np.testing.assert_allclose(got.transmittance[r], expected[1], atol=1e-5)
            np.testing.assert_allclose(got.depth[r], expected[2], atol=1e-4)


def test_an_image_in_chunks_equals_the_image_in_one():
    scene = make_scene(seed=12, on=0.4)
    rays = jax.tree.map(lambda leaf: leaf[0], look_at_origin([0.9], size=9))
    whole_box = (jnp.asarray(LOWER), jnp.asarray(UPPER))
    options = {**GEOMETRY, "interval": INTERVAL}
    whole = marching.march_image(FIELD.query, scene, rays, **options, clip=whole_box, chunk_rays=1000)
    parts = marching.march_image(
        FIELD.query, scene, rays, **options, clip=grid.occupied_box(scene), chunk_rays=20
    )
    flat = jax.tree.map(lambda leaf: leaf.reshape(-1, 3), rays)
    expected = render_oracle(scene, flat)
    for got in (whole, parts):
        assert isinstance(got.colour, np.ndarray) and got.colour.shape == (9, 9, 3)
        assert got.transmittance.shape == got.depth.shape == (9, 9)
        assert int(got.overflow) == 0
        np.testing.assert_allclose(got.colour.reshape(-1, 3), expected[0], atol=3e-6)
        np.testing.assert_allclose(got.transmittance.reshape(-1), expected[1], atol=3e-6)
        np.testing.assert_allclose(got.depth.reshape(-1), expected[2], atol=1e-5)
    np.testing.assert_allclose(whole.colour, parts.colour, atol=1e-6)


def test_an_image_of_nothing_is_the_background():
    scene, rays = make_scene(on=0.0), make_rays()
    box = (jnp.asarray(LOWER), jnp.asarray(UPPER))
    options = {**GEOMETRY, "interval": INTERVAL, "clip": box}
    for seen in (rays, Rays(rays.origins, rays.origins / 4.0)):
        out = marching.march_image(FIELD.query, scene, seen, **options, chunk_rays=5)
        assert out.colour.shape == (12, 3) and not out.colour.any() and not out.depth.any()
        assert (out.transmittance == 1.0).all() and int(out.overflow) == 0
    with pytest.raises(ValueError, match="chunk_rays"):
        marching.march_image(FIELD.query, scene, rays, **options, chunk_rays=0)


def test_switching_off_the_empty_vertices_changes_no_picture():
    scene = make_scene(seed=13, on=1.0)
    values = np.asarray(scene.values).copy()
    values[3:, :, :, 0] = -30.0
    scene = scene.replace(values=jnp.asarray(values))
    bare = grid.without_empty(scene, INTERVAL)
    assert 0 < int(bare.occupancy.sum()) < bare.occupancy.size
    rays = make_rays()
    before = render(FIELD.query, scene, rays, **GEOMETRY, interval=INTERVAL, budget=AMPLE)
    after = render(FIELD.query, bare, rays, **GEOMETRY, interval=INTERVAL, budget=AMPLE)
    jax.tree.map(np.testing.assert_array_equal, before, after)


@pytest.mark.parametrize("capacity", [None, 110])
def test_the_centroid_is_the_mean_of_the_samples_by_density(capacity):
    scene, rays = make_scene(seed=3), make_rays()
    budget = dataclasses.replace(AMPLE, capacity=capacity or AMPLE.capacity)
    got = render(FIELD.query, scene, rays, **GEOMETRY, interval=INTERVAL, budget=budget)
    assert int(got.overflow) == 0
    mass, moment = 0.0, np.zeros(3)
    for origin, direction in as_pairs(rays):
        for t in oracle.distances_in_box(origin, direction, LOWER, UPPER, **MARCH):
            position = origin + t * direction
            if oracle.nearest_is_on(np.asarray(scene.occupancy), position, LOWER, UPPER):
                raw = oracle.trilinear(np.asarray(scene.values), position, LOWER, UPPER)
                density = oracle.softplus(raw[0] + float(scene.density_shift))
                mass, moment = mass + density, moment + density * position
    np.testing.assert_allclose(got.centroid, moment / mass, atol=2e-5)
