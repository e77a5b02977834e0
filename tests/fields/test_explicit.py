"""Vox_Exp and the factory: parameters, what is baked, what a query returns, and its gradient."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import voxel_oracles as oracle

from voxjax.fields import activation, make_field
from voxjax.structs import Samples

SHAPE = (3, 4, 5)
BOX = {"lower": (-1.0, -1.0, -2.0), "upper": (1.0, 1.5, 1.0)}


def build(**options):
    field = make_field("vox_exp", shape=SHAPE, **BOX, **options)
    params = field.init(jax.random.key(0), method="bake")["params"]
    return field, params


def bake(field, params, occupancy):
    return field.apply({"params": params, "tracked": {"occupancy": occupancy}}, method="bake")


def test_the_parameters_are_zero_and_the_shift_is_one_only_if_it_is_learned():
    _, learned = build(learn_shift=True)
    assert set(learned) == {"grid", "density_shift"}
    assert learned["grid"].shape == SHAPE + (4,)
    assert learned["grid"].dtype == jnp.float32
    assert not learned["grid"].any()
    assert float(learned["density_shift"]) == pytest.approx(-13.8155, abs=1e-4)
    field, constant = build(learn_shift=False, alpha_init=1e-3)
    assert set(constant) == {"grid"}
    scene = bake(field, constant, jnp.ones(SHAPE, bool))
    assert float(scene.density_shift) == pytest.approx(activation.density_shift_from_alpha(1e-3), rel=1e-6)


def test_a_baked_scene_carries_the_parameters_the_mask_and_the_box():
    field, params = build()
    params = {"grid": params["grid"] + 2.0, "density_shift": jnp.float32(-3.0)}
    occupancy = jnp.zeros(SHAPE, bool).at[0, 1, 2].set(True)
    scene = bake(field, params, occupancy)
    np.testing.assert_array_equal(scene.values, params["grid"])
    assert float(scene.density_shift) == -3.0
    np.testing.assert_array_equal(scene.occupancy, occupancy)
    np.testing.assert_allclose(scene.lower, BOX["lower"])
    np.testing.assert_allclose(scene.upper, BOX["upper"])
    with pytest.raises(ValueError, match="occupancy has shape"):
        bake(field, params, jnp.ones((2, 2, 2), bool))


def test_an_untrained_field_is_almost_empty_and_grey():
    field, params = build()
    scene = bake(field, params, jnp.ones(SHAPE, bool))
    density, colour = field.query(scene, Samples(jnp.zeros((2, 7, 3)), jnp.float32(1.0)))
    assert density.shape == (2, 7)
    np.testing.assert_allclose(activation.density_to_alpha(density, 1.0), 1e-6, rtol=1e-5)
    np.testing.assert_allclose(colour, np.full((2, 7, 3), 0.5))


def test_a_query_interpolates_first_and_activates_after():
    field, params = build()
    rng = np.random.default_rng(0)
    values = rng.normal(size=SHAPE + (4,)).astype(np.float32) * 4.0
    occupancy = rng.random(SHAPE) < 0.7
    positions = rng.uniform(BOX["lower"], BOX["upper"], (50, 3)).astype(np.float32)
    scene = bake(field, {"grid": values, "density_shift": jnp.float32(-1.0)}, jnp.asarray(occupancy))
    density, colour = field.query(scene, Samples(positions, jnp.float32(0.5)))
    on = [oracle.nearest_is_on(occupancy, p, BOX["lower"], BOX["upper"]) for p in positions]
    assert 0 < sum(on) < len(on)
    for i, position in enumerate(positions):
        raw = oracle.trilinear(values, position, BOX["lower"], BOX["upper"])
        expected = oracle.softplus(raw[0] - 1.0) if on[i] else 0.0
        np.testing.assert_allclose(density[i], expected, rtol=2e-5, atol=1e-7)
        np.testing.assert_allclose(colour[i], oracle.sigmoid(raw[1:]), rtol=2e-5)


def test_the_gradient_of_a_query_equals_finite_differences():
    field, _ = build()
    rng = np.random.default_rng(1)
    values, direction = rng.normal(size=(2,) + SHAPE + (4,))
    positions = rng.uniform(BOX["lower"], BOX["upper"], (12, 3))
    weight = rng.normal(size=(12, 4))
    occupancy = jnp.ones(SHAPE, bool)

    def loss(params):
        scene = bake(field, params, occupancy)
        density, colour = field.query(scene, Samples(jnp.asarray(positions, jnp.float32), jnp.float32(1.0)))
        return jnp.sum(weight[:, 0] * density) + jnp.sum(weight[:, 1:] * colour)

    def loss64(values, shift):
        total = 0.0
        for position, w in zip(positions, weight, strict=True):
            raw = oracle.trilinear(values, position, BOX["lower"], BOX["upper"])
            total += w[0] * oracle.softplus(raw[0] + shift) + w[1:] @ oracle.sigmoid(raw[1:])
        return total

    gradient = jax.grad(loss)({"grid": jnp.asarray(values, jnp.float32), "density_shift": jnp.float32(-0.5)})
    step = 1e-5
    along = (loss64(values + step * direction, -0.5) - loss64(values - step * direction, -0.5)) / (2 * step)
    assert np.sum(np.asarray(gradient["grid"], np.float64) * direction) == pytest.approx(along, rel=1e-4)
    along = (loss64(values, -0.5 + step) - loss64(values, -0.5 - step)) / (2 * step)
    assert float(gradient["density_shift"]) == pytest.approx(along, rel=1e-4)


def test_the_factory_names_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"'vox_imq'.*vox_exp"):
        make_field("vox_imq", shape=SHAPE, **BOX)
    with pytest.raises(TypeError, match="depth"):
        make_field("vox_exp", shape=SHAPE, **BOX, depth=3)
    one, other = build()[0], build()[0]
    assert one == other and hash(one) == hash(other), "a field can be a static argument"
    assert one.query is other.query, "the same function object, so that nothing compiles twice"
