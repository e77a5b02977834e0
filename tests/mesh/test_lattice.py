"""The sampled field: what it holds, where its vertices lie, and what an opacity means."""

import jax
import jax.numpy as jnp
import numpy as np
from helpers.mesh_scenes import ball, fog_run, grid_run
from helpers.small_runs import HALF_WIDTH, SIDE

from voxjax.fields.grid import query_voxels, vertex_alpha
from voxjax.lattice import FLOOR, raw_of
from voxjax.mesh.lattice import lattice_shape, sample_lattice
from voxjax.structs import Samples


def test_a_grid_is_taken_over_and_its_cells_halved():
    run = grid_run(ball(0.8), lambda p: 0.5 + 0.3 * np.sin(3 * p), shift=-2.0)
    lattice = sample_lattice(run)
    n = run.stage.shape[0]
    assert lattice.raw.shape == (2 * n - 1,) * 3
    np.testing.assert_allclose(lattice.own().raw, np.asarray(run.scene.values[..., 0]) - 2.0, atol=2e-3)
    np.testing.assert_allclose(lattice.own().spacing, 2 * HALF_WIDTH / (n - 1))
    # In between it answers as the field itself does.
    points = np.random.default_rng(0).uniform(-1.1, 1.1, (400, 3)).astype(np.float32)
    samples = Samples(jnp.asarray(points), jnp.ones(()))
    expected = query_voxels(run.scene, samples)
    found = query_voxels(lattice.scene, samples)
    solid = np.asarray(expected[0]) > 1e-6
    np.testing.assert_allclose(found[0][solid], expected[0][solid], rtol=2e-2)
    np.testing.assert_allclose(found[1], expected[1], atol=2e-3)


def test_alpha_is_the_opacity_of_one_voxel_length():
    run = grid_run(lambda p: np.full(p.shape[:-1], 0.3), lambda p: np.full_like(p, 0.5))
    lattice = sample_lattice(run)
    # The unit of 1 / density is the voxel of the last grid.
    alpha = 1 - np.exp(-np.log1p(np.exp(0.3)))
    np.testing.assert_allclose(lattice.alpha(0.3), alpha, rtol=1e-6)
    np.testing.assert_allclose(lattice.level(alpha), 0.3, atol=1e-6)
    np.testing.assert_allclose(lattice.voxel, 2 * HALF_WIDTH / SIDE)
    # As the occupancy test of training has it.
    np.testing.assert_allclose(vertex_alpha(run.scene, run.stage.ratio), alpha, rtol=1e-5)


def test_switched_off_vertices_are_empty():
    run = grid_run(
        lambda p: np.full(p.shape[:-1], 4.0),
        lambda p: np.full_like(p, 0.5),
        occupancy=lambda p: p[..., 0] < 0,
    )
    raw = sample_lattice(run).raw
    axis = np.linspace(-HALF_WIDTH, HALF_WIDTH, raw.shape[0])
    np.testing.assert_allclose(raw[axis < -0.1], 4.0, atol=1e-3)
    assert (raw[axis > 0.1] == FLOOR).all()


def test_a_field_without_a_grid_is_asked_on_a_lattice_over_its_box():
    run = fog_run(peak=4.0, spread=0.3, n_steps=40)
    lattice = sample_lattice(run)
    assert lattice.raw.shape == (41, 41, 41) and lattice.own().raw.shape == (41, 41, 41)
    radius = np.linalg.norm(np.stack(np.meshgrid(*[np.linspace(-1, 1, 41)] * 3, indexing="ij")), axis=0)
    density = 4.0 * np.exp(-(radius**2) / (2 * 0.3**2))
    near = density > 1e-6
    np.testing.assert_allclose(np.logaddexp(0.0, lattice.raw)[near], density[near], rtol=1e-4)
    colour = jax.nn.sigmoid(lattice.scene.values[..., 1:])
    np.testing.assert_allclose(colour, np.broadcast_to([0.2, 0.6, 0.4], colour.shape), atol=1e-5)
    # Density is per scene unit here, and the voxel is a step of the pictures.
    np.testing.assert_allclose(lattice.alpha(float(raw_of(4.0))), 1 - np.exp(-4.0 * run.stage.step_size))
    assert lattice_shape(run, 10) == (11, 11, 11)


def test_values_that_are_not_finite_are_empty():
    def raw(p):
        return np.where(np.abs(p[..., 0]) < 0.3, np.nan, 4.0)

    lattice = sample_lattice(grid_run(raw, lambda p: np.full_like(p, 0.5)), cells=19)
    assert np.isfinite(lattice.raw).all() and lattice.raw.min() == FLOOR and lattice.raw.max() > 3.9
