"""Vertices, interpolation, resizing, masks and activations against float64 loops and SciPy."""

from __future__ import annotations

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import voxel_oracles as oracle
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import maximum_filter

from voxjax.fields import activation, grid, interpolate
from voxjax.structs import VoxelGrid

SHAPE = (4, 5, 3)
LOWER, UPPER = np.array([-1.0, 0.5, -2.0], np.float32), np.array([1.5, 2.0, 1.0], np.float32)


def random_values(seed=0, channels=2):
    return np.random.default_rng(seed).normal(size=SHAPE + (channels,)).astype(np.float32)


def random_positions(n=60, seed=1):
    """Inside, outside, and on the faces and corners of the box."""
    rng = np.random.default_rng(seed)
    inside = rng.uniform(LOWER, UPPER, (n, 3))
    outside = rng.uniform(LOWER - 1.0, UPPER + 1.0, (n // 2, 3))
    corners = np.array(list(itertools.product(*zip(LOWER, UPPER, strict=True))))
    return np.concatenate([inside, outside, corners]).astype(np.float32)


def make_scene(values, occupancy=None, shift=-1.0):
    if occupancy is None:
        occupancy = np.ones(values.shape[:3], bool)
    return VoxelGrid(
        jnp.asarray(values),
        jnp.float32(shift),
        jnp.asarray(occupancy),
        jnp.asarray(LOWER),
        jnp.asarray(UPPER),
    )


def test_trilinear_equals_a_float64_loop():
    values, positions = random_values(), random_positions()
    expected = np.stack([oracle.trilinear(values, p, LOWER, UPPER) for p in positions])
    got = interpolate.trilinear(values, positions, LOWER, UPPER)
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_trilinear_equals_scipy_inside_the_box():
    values = random_values(seed=2)
    positions = np.random.default_rng(3).uniform(LOWER, UPPER, (200, 3))
    axes = [np.linspace(LOWER[i], UPPER[i], SHAPE[i]) for i in range(3)]
    expected = RegularGridInterpolator(axes, values.astype(np.float64))(np.clip(positions, LOWER, UPPER))
    got = interpolate.trilinear(values, positions.astype(np.float32), LOWER, UPPER)
    np.testing.assert_allclose(got, expected, atol=5e-6)


def test_trilinear_returns_the_values_at_the_vertices_and_the_vertices_lie_on_the_faces():
    values = random_values(seed=4)
    positions = np.asarray(grid.vertex_positions(LOWER, UPPER, SHAPE))
    assert positions.shape == SHAPE + (3,)
    np.testing.assert_allclose(positions[0, 0, 0], LOWER)
    np.testing.assert_allclose(positions[-1, -1, -1], UPPER)
    np.testing.assert_allclose(
        positions[1, 0, 2], [LOWER[0] + (UPPER[0] - LOWER[0]) / 3, LOWER[1], UPPER[2]], rtol=1e-6
    )
    got = interpolate.trilinear(values, positions.reshape(-1, 3), LOWER, UPPER)
    np.testing.assert_allclose(got, values.reshape(-1, 2), atol=5e-6)


def test_trilinear_gradient_adds_the_weights_of_every_sample():
    # Interpolation is linear in the values: its Jacobian follows from the oracle on unit grids.
    values, positions = random_values(), random_positions(n=20)
    cotangent = np.random.default_rng(5).normal(size=(len(positions), 2)).astype(np.float32)
    expected = np.zeros(values.shape)
    for index in np.ndindex(SHAPE):
        unit = np.zeros(SHAPE + (1,))
        unit[index] = 1.0
        weights = np.array([oracle.trilinear(unit, p, LOWER, UPPER)[0] for p in positions])
        expected[index] = weights @ cotangent
    _, pull = jax.vjp(interpolate.trilinear, values, positions, LOWER, UPPER)
    got, *others = pull(cotangent)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert all(not np.any(other) for other in others), "positions and box have a zero gradient by definition"


@pytest.mark.parametrize("n_voxels, expected", [(140**3, (130, 130, 161)), (160**3, (148, 148, 185))])
def test_grid_resolution_gives_the_reference_numbers(n_voxels, expected):
    lower, upper = (-1.603, -1.603, -2.373), (1.603, 1.603, 1.616)
    assert grid.grid_resolution(lower, upper, n_voxels) == expected
    assert grid.voxel_size(lower, upper, 140**3) == pytest.approx(0.0246, abs=5e-5)


def test_grid_resolution_refuses_what_makes_no_grid():
    with pytest.raises(ValueError, match="at least 8 voxels"):
        grid.grid_resolution((0, 0, 0), (1, 1, 1), 7)
    with pytest.raises(ValueError, match="volume"):
        grid.grid_resolution((0, 0, 0), (1, 0, 1), 1000)
    assert grid.grid_resolution((0, 0, 0), (10, 1, 1), 8)[1:] == (2, 2), "never fewer than two vertices"


@pytest.mark.parametrize("new_shape", [(7, 9, 5), (3, 4, 2), SHAPE])
def test_resize_equals_scipy_at_the_new_vertices(new_shape):
    values = random_values(seed=6, channels=3)
    axes = [np.linspace(0.0, 1.0, n) for n in SHAPE]
    new = np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, n) for n in new_shape], indexing="ij"), axis=-1)
    expected = RegularGridInterpolator(axes, values.astype(np.float64))(new)
    np.testing.assert_allclose(grid.resize(values, new_shape), expected, atol=2e-6)


def test_resize_occupancy_asks_the_nearest_vertex():
    occupancy = np.random.default_rng(7).random(SHAPE) < 0.5
    new_shape = (8, 6, 4)
    axes = [np.linspace(0.0, 1.0, n) for n in new_shape]
    expected = np.zeros(new_shape, bool)
    for index in np.ndindex(new_shape):
        position = [axes[a][index[a]] for a in range(3)]
        expected[index] = oracle.nearest_is_on(occupancy, position, np.zeros(3), np.ones(3))
    got = grid.resize_occupancy(jnp.asarray(occupancy), new_shape)
    assert got.dtype == bool
    np.testing.assert_array_equal(got, expected)


def test_occupied_vertices_looks_at_the_whole_neighbourhood():
    alpha = np.full((6, 7, 5), 1e-8, np.float32)
    alpha[0, 0, 0], alpha[4, 5, 2] = 2e-7, 0.3
    expected = maximum_filter(alpha, size=3, mode="nearest") > 1e-7
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(grid.occupied_vertices(alpha), expected)


def test_nearest_occupied_equals_the_loop_and_is_false_outside():
    rng = np.random.default_rng(8)
    occupancy = rng.random(SHAPE) < 0.5
    positions = rng.uniform(LOWER, UPPER, (100, 3)).astype(np.float32)
    expected = [oracle.nearest_is_on(occupancy, p, LOWER, UPPER) for p in positions]
    np.testing.assert_array_equal(
        grid.nearest_occupied(jnp.asarray(occupancy), positions, LOWER, UPPER), expected
    )
    spacing = (UPPER - LOWER) / (np.array(SHAPE) - 1)
    on = jnp.ones(SHAPE, bool)
    assert bool(grid.nearest_occupied(on, UPPER + 0.4 * spacing, LOWER, UPPER))
    assert not bool(grid.nearest_occupied(on, UPPER + np.array([0.6, 0, 0]) * spacing, LOWER, UPPER))


def test_occupied_box_holds_every_occupied_position_and_no_layer_more():
    occupancy = np.zeros((6, 7, 8), bool)
    occupancy[2, 3, 0] = occupancy[4, 3, 5] = True
    scene = make_scene(np.zeros((6, 7, 8, 4), np.float32), occupancy)
    lower, upper = (np.asarray(b) for b in grid.occupied_box(scene))
    spacing = (UPPER - LOWER) / (np.array(occupancy.shape) - 1)
    np.testing.assert_allclose(lower, LOWER + np.array([1.5, 2.5, 0.0]) * spacing, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(upper, LOWER + np.array([4.5, 3.5, 5.5]) * spacing, rtol=1e-5, atol=1e-6)
    positions = np.random.default_rng(9).uniform(LOWER, UPPER, (500, 3)).astype(np.float32)
    on = np.asarray(grid.is_occupied(scene, positions))
    assert on.any()
    assert ((positions[on] >= lower) & (positions[on] <= upper)).all()


def test_occupied_box_of_full_and_of_empty_grids():
    full = make_scene(random_values(channels=4))
    lower, upper = grid.occupied_box(full)
    np.testing.assert_allclose(lower, LOWER, atol=1e-6)
    np.testing.assert_allclose(upper, UPPER, atol=1e-6)
    lower, upper = grid.occupied_box(make_scene(random_values(channels=4), np.zeros(SHAPE, bool)))
    assert np.prod(np.asarray(upper) - np.asarray(lower)) == 0.0


def test_inside_sphere_marks_the_vertices_near_the_origin():
    inside = np.asarray(grid.inside_sphere(LOWER, UPPER, (9, 9, 9)))
    positions = np.stack(
        np.meshgrid(*[np.linspace(LOWER[i], UPPER[i], 9) for i in range(3)], indexing="ij"), axis=-1
    )
    np.testing.assert_array_equal(inside, np.linalg.norm(positions, axis=-1) <= 1.0)
    assert 0 < inside.sum() < inside.size
    assert grid.inside_sphere(LOWER, UPPER, (9, 9, 9), radius=0.7).sum() < inside.sum()


def test_vertex_alpha_and_colour_are_the_activated_values():
    values = random_values(seed=10, channels=4)
    scene = make_scene(values, shift=-2.0)
    raw = values.astype(np.float64)
    np.testing.assert_allclose(
        grid.vertex_alpha(scene, 0.7), 1.0 - (1.0 + np.exp(raw[..., 0] - 2.0)) ** -0.7, rtol=1e-5
    )
    np.testing.assert_allclose(grid.vertex_colour(scene), 1.0 / (1.0 + np.exp(-raw[..., 1:])), rtol=1e-5)


@pytest.mark.parametrize("interval", [0.5, 1.26, 4.0])
def test_alpha_equals_both_closed_forms(interval):
    shift = activation.density_shift_from_alpha(1e-6)
    raw = np.linspace(-5.0, 30.0, 71)
    got = activation.density_to_alpha(activation.raw_to_density(raw.astype(np.float32), shift), interval)
    # Both in float64; expm1 and log1p, because at opacity 1e-8 the plain forms lose their digits even there.
    power = -np.expm1(-interval * np.log1p(np.exp(raw + shift)))
    softplus = np.array([oracle.softplus(x) for x in raw + shift])
    np.testing.assert_allclose(power, 1.0 - np.exp(-softplus * interval), atol=1e-14)
    np.testing.assert_allclose(got, power, rtol=1e-5)


def test_raw_density_comes_back_from_the_density():
    raw = np.linspace(-60.0, 90.0, 61)
    density = np.array([oracle.softplus(x) for x in raw])  # float64
    np.testing.assert_allclose(activation.density_to_raw(density.astype(np.float32)), raw, atol=1e-5)
    assert np.isfinite(activation.density_to_raw(jnp.float32(0.0)))


def test_density_shift_gives_the_opacity_it_promises():
    shift = activation.density_shift_from_alpha(1e-6)
    assert shift == pytest.approx(-13.8155, abs=1e-4)
    assert shift == pytest.approx(math.log(1.0 / (1.0 - 1e-6) - 1.0), abs=1e-9)
    alpha = activation.density_to_alpha(activation.raw_to_density(jnp.float32(0.0), shift), 1.0)
    assert float(alpha) == pytest.approx(1e-6, rel=1e-5)
    for bad in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="alpha_init"):
            activation.density_shift_from_alpha(bad)


def test_activations_stay_finite_with_their_gradients_at_extreme_values():
    raw = jnp.array([-1e4, -100.0, 0.0, 100.0, 1e4])
    for function in (
        lambda x: activation.density_to_alpha(activation.raw_to_density(x, -13.8), 0.5),
        activation.raw_to_colour,
    ):
        assert np.isfinite(function(raw)).all()
        assert np.isfinite(jax.vmap(jax.grad(function))(raw)).all()
