"""A field read onto vertices: what the numbers mean, and what a network is asked."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from helpers.mesh_scenes import fog_run

from voxjax.fields import make_field
from voxjax.lattice import FLOOR, raw_of, read_lattice
from voxjax.structs import Samples


def test_raw_is_what_softplus_makes_the_density_of():
    raw = np.array([-70.0, -30, -5, 0, 1, 20, 80, 700])
    np.testing.assert_allclose(raw_of(np.logaddexp(0.0, raw)), raw, rtol=1e-6, atol=1e-9)
    assert raw_of(0.0) == FLOOR


def test_a_network_is_asked_about_gaussians_of_a_cells_size():
    fog = fog_run(n_steps=12)
    field = make_field("dream_fields", width=8, hidden=8, n_blocks=1, encoding="axis", max_exponent=5.0)
    variables = jax.jit(lambda key: field.init(key, method="bake"))(jax.random.key(3))
    scene = field.apply(variables, method="bake")
    grid = read_lattice(dataclasses.replace(fog, scene=scene, query=field.query), (13, 13, 13))
    axis = jnp.linspace(-1.0, 1.0, 13)
    points = jnp.stack(jnp.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    # Uniform over a cell of edge h: variance h^2 / 12 along every axis, whichever is called the ray's.
    variance = jnp.full(points.shape[:-1], (2 / 12) ** 2 / 12)
    for direction in ([1.0, 0, 0], [0, 0.6, 0.8]):
        samples = Samples(
            points, jnp.ones(()), jnp.broadcast_to(jnp.array(direction), points.shape), variance, variance
        )
        density, colour = jax.jit(field.query)(scene, samples)
        np.testing.assert_allclose(np.logaddexp(0, grid.values[..., 0]), density, rtol=1e-3)
        np.testing.assert_allclose(jax.nn.sigmoid(grid.values[..., 1:]), colour, atol=1e-4)
    sharp = field.query(scene, Samples(points, jnp.ones(())))[0]
    assert np.abs(sharp - density).max() > 0.05
