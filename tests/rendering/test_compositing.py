"""Weights and compositing against a float64 loop; their gradient against its finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import voxel_oracles as oracle

from voxjax.rendering import compositing


def test_compositing_equals_the_loop_with_its_thresholds():
    rng = np.random.default_rng(3)
    extinction = rng.exponential(1.0, (20, 9)) * (rng.random((20, 9)) < 0.5)
    extinction[2], extinction[3] = 0.9e-7, 1.1e-7
    extinction[5, :3] = 40.0
    colour, distance = rng.random((20, 9, 3)), np.sort(rng.uniform(2, 6, (20, 9)), axis=0)
    got = compositing.composite(*(jnp.asarray(a, jnp.float32) for a in (extinction, colour, distance)))
    for r in range(9):
        expected = oracle.composite(extinction[:, r], colour[:, r], distance[:, r])
        for mine, theirs in zip(got, expected, strict=True):
            np.testing.assert_allclose(mine[r], theirs, atol=3e-6)


def test_samples_below_the_thresholds_contribute_nothing():
    extinction = jnp.array([[0.9e-7], [1.1e-7], [20.0], [5.0]])
    weight, transmittance = compositing.weights(extinction)
    np.testing.assert_array_equal(np.asarray(weight[:, 0]) > 0, [False, True, True, False])
    assert 0.0 < float(transmittance[0]) < 1e-10

    def loss(extinction, colour):
        out, light, _ = compositing.composite(extinction, colour, jnp.ones((4, 1)))
        return out.sum() + light.sum()

    colour = jnp.array([0.1, 0.9, 0.3, 0.5])[:, None, None] * jnp.ones((4, 1, 3))
    by_extinction, by_colour = jax.grad(loss, argnums=(0, 1))(extinction, colour)
    assert by_extinction[0, 0] == 0.0 and by_extinction[1, 0] != 0.0
    np.testing.assert_array_equal(np.any(np.asarray(by_colour) != 0, axis=(1, 2)), [False, True, True, False])


def test_weights_and_transmittance_add_up_to_one():
    rng = np.random.default_rng(4)
    weight, transmittance = compositing.weights(jnp.asarray(rng.exponential(0.3, (300, 7)), jnp.float32))
    np.testing.assert_allclose(weight.sum(0) + transmittance, 1.0, atol=2e-5)
    assert transmittance.shape == (7,) and (transmittance >= 0).all()


def test_the_gradient_of_compositing_equals_finite_differences_of_the_loop():
    rng = np.random.default_rng(5)
    extinction = rng.exponential(0.4, (8, 2))
    colour, distance = rng.random((8, 2, 3)), np.sort(rng.uniform(2, 6, (8, 2)), axis=0)
    by_colour, by_light, by_depth = rng.normal(size=(2, 3)), rng.normal(size=2), rng.normal(size=2)

    def loss64(extinction, colour):
        total = 0.0
        for r in range(2):
            c, light, depth = oracle.composite(extinction[:, r], colour[:, r], distance[:, r])
            total += c @ by_colour[r] + light * by_light[r] + depth * by_depth[r]
        return total

    _, pull = jax.vjp(
        compositing.composite, *(jnp.asarray(a, jnp.float32) for a in (extinction, colour, distance))
    )
    got = pull(tuple(jnp.asarray(a, jnp.float32) for a in (by_colour, by_light, by_depth)))
    for argument, gradient in zip((extinction, colour), got[:2], strict=True):
        for index in np.ndindex(argument.shape):
            keep, step, sides = argument[index], 1e-6, []
            for sign in (1, -1):
                argument[index] = keep + sign * step
                sides.append(loss64(extinction, colour))
            argument[index] = keep
            assert float(gradient[index]) == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=2e-4)
    assert not np.any(got[2]), "distances have a zero gradient by definition"


def test_opaque_and_empty_rays_have_finite_gradients():
    extinction = jnp.concatenate([jnp.full((4, 1), 1e6), jnp.zeros((4, 1))], axis=1)
    gradient = jax.grad(
        lambda x: sum(o.sum() for o in compositing.composite(x, jnp.ones((4, 2, 3)), jnp.ones((4, 2))))
    )
    assert np.isfinite(gradient(extinction)).all()
