"""Dream Fields' field: values against a float64 loop, chunks, equal waves, and what its switches do."""

from __future__ import annotations

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.mip_field import SMALL, bake, build, gaussians, points, run

from voxjax.fields import encoding
from voxjax.fields.mipnerf import MipNerf


def forward(params, basis, mean, direction, along, across):
    """(density, colour) of one Gaussian in float64, weight by weight from the layer list."""
    layers = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)["network"]
    cosines, sines = [], []
    for b in np.asarray(basis, np.float64):
        parallel = sum(x * y for x, y in zip(b, direction, strict=True))
        variance = along * parallel**2 + across * (sum(x * x for x in b) - parallel**2)
        phase = sum(x * y for x, y in zip(b, mean, strict=True))
        cosines.append(math.exp(-variance / 2) * math.cos(phase))
        sines.append(math.exp(-variance / 2) * math.sin(phase))

    def dense(name, x):
        kernel, bias = layers[name]["kernel"], layers[name]["bias"]
        return [bias[j] + sum(x[i] * kernel[i, j] for i in range(len(x))) for j in range(len(bias))]

    def swish(x):
        return [v / (1 + math.exp(-v)) for v in x]

    x = swish(dense("first", cosines + sines))
    for block in range(SMALL["n_blocks"]):
        middle = sum(x) / len(x)
        spread = math.sqrt(sum((v - middle) ** 2 for v in x) / len(x) + 1e-6)
        norm = layers[f"norm_{block}"]
        y = [(v - middle) / spread * s + o for v, s, o in zip(x, norm["scale"], norm["bias"], strict=True)]
        y = dense(f"narrow_{block}", swish(dense(f"widen_{block}", y)))
        x = [v + w for v, w in zip(x, y, strict=True)]
    raw = dense("raw", swish(dense("last", x)))
    return math.log1p(math.exp(raw[3])), [1 / (1 + math.exp(-v)) for v in raw[:3]]


def test_the_default_network_has_the_sizes_of_dream_fields():
    shapes = jax.eval_shape(lambda key: MipNerf().init(key, method="bake"), jax.random.key(0))
    layers = {name: jax.tree.map(lambda leaf: leaf.shape, leaf) for name, leaf in shapes["params"].items()}
    layers = layers["network"]
    # 128 random vectors and 3 axes, a cosine and a sine of each.
    expected = {"first": (262, 128), "last": (128, 128), "raw": (128, 4)}
    for i in range(4):
        expected |= {f"widen_{i}": (128, 256), f"narrow_{i}": (256, 128)}
        assert layers.pop(f"norm_{i}") == {"scale": (128,), "bias": (128,)}
    assert layers == {name: {"kernel": k, "bias": k[1:]} for name, k in expected.items()}
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes["params"]))
    block = 2 * 128 + (128 * 256 + 256) + (256 * 128 + 128)
    assert count == (262 * 128 + 128) + 4 * block + (128 * 128 + 128) + (128 * 4 + 4) == 315_396
    assert {name: leaf.shape for name, leaf in shapes["tracked"].items()} == {
        "origin": (3,),
        "basis": (131, 3),
    }


def test_values_equal_a_float64_loop():
    field, variables = build()
    scene = bake(field, variables, origin=jnp.array([0.1, -0.2, 0.3]))
    samples, basis = gaussians((2, 3)), variables["tracked"]["basis"]
    density, colour = run(field.query, scene, samples)
    assert density.shape == (2, 3) and colour.shape == (2, 3, 3)
    for i in np.ndindex(2, 3):
        mean = np.asarray(samples.positions[i], np.float64) + [0.1, -0.2, 0.3]
        along, across = float(samples.variance_along[i]), float(samples.variance_across[i])
        direction = np.asarray(samples.direction[i], np.float64)
        expected = forward(variables["params"], basis, mean, direction, along, across)
        np.testing.assert_allclose(density[i], expected[0], rtol=2e-5)
        np.testing.assert_allclose(colour[i], expected[1], rtol=2e-5)
    assert np.ptp(density) > 0.1 and np.ptp(colour) > 0.1


def test_chunks_change_neither_values_nor_gradients():
    whole, variables = build()
    samples = gaussians((4, 5))
    weight = np.random.default_rng(2).normal(size=(4, 5, 4)).astype(np.float32)

    def loss(field, params, positions):
        scene = field.apply({**variables, "params": params}, method="bake")
        out = field.query(scene, dataclasses.replace(samples, positions=positions))
        out = jnp.concatenate([out[0][..., None], out[1]], axis=-1)
        return jnp.sum(weight * out), out

    value = jax.jit(jax.value_and_grad(loss, argnums=(1, 2), has_aux=True), static_argnums=0)
    expected = value(whole, variables["params"], samples.positions)
    # 20 samples in 3 chunks, of which the last is filled up.
    actual = value(MipNerf(**SMALL, chunk=7), variables["params"], samples.positions)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5), actual, expected)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(expected[1]))


def test_chunks_bound_the_memory_of_a_training_step():
    samples = jax.eval_shape(lambda: gaussians((2**10,)))
    memory = {}
    for chunk in (2**10, 2**7):
        field = MipNerf(**SMALL, chunk=chunk)
        scene = jax.eval_shape(lambda variables: bake(field, variables), build()[1])  # noqa: B023

        def loss(params, scene, samples, field=field):
            density, colour = field.query(scene.replace(params=params), samples)
            return jnp.sum(density) + jnp.sum(colour**2)

        compiled = jax.jit(jax.grad(loss)).lower(scene.params, scene, samples).compile()
        memory[chunk] = compiled.memory_analysis().temp_size_in_bytes
    # What stays of all samples is what goes in, 8 numbers each, and what comes out, 4, a few times.
    assert memory[2**7] < memory[2**10] / 8 + 2**10 * 4 * 40
    assert memory[2**7] < memory[2**10] / 2


@pytest.mark.parametrize("sizes, kept", [({}, None), ({"n_features": 128, "max_exponent": 8.0}, 63)])
def test_equal_waves_are_reckoned_once_with_the_values_and_gradients_of_all(sizes, kept):
    field, variables = build(**sizes)
    samples, basis = gaussians((40,)), np.asarray(variables["tracked"]["basis"])
    scene = bake(field, variables)
    assert len(scene.basis) == len({tuple(wave) for wave in basis}) < len(basis)
    assert kept in (None, len(scene.basis))

    def value(params, merged):
        scene = field.apply({**variables, "params": params}, method="bake")
        if not merged:
            scene = scene.replace(params=params["network"], basis=jnp.asarray(basis))
        density, colour = field.query(scene, samples)
        return jnp.sum(jnp.sin(density) + jnp.sum(colour**2, axis=-1)), (density, colour)

    graded = jax.jit(jax.value_and_grad(value, has_aux=True), static_argnums=1)
    once, all_of_them = graded(variables["params"], True), graded(variables["params"], False)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), once, all_of_them)
    rows = np.abs(once[1]["network"]["first"]["kernel"]).max(axis=-1)
    assert (rows[: len(basis)] > 1e-4).all(), "every cosine's row learns, also those of waves that are zero"


def test_integration_is_a_switch_and_samples_without_extent_are_points():
    field, variables = build()
    off = MipNerf(**SMALL, integrate=False)
    scene, samples = bake(field, variables), gaussians((12,))
    plain = run(field.query, scene, points(samples))
    jax.tree.map(np.testing.assert_array_equal, run(off.query, scene, samples), plain)
    assert np.abs(run(field.query, scene, samples)[0] - plain[0]).max() > 1e-2
    with pytest.raises(ValueError, match="variance_along"):
        field.query(scene, dataclasses.replace(samples, variance_along=None))


def test_the_axis_aligned_encoding_is_a_switch():
    field, variables = build(encoding="axis")
    scene = bake(field, variables)
    np.testing.assert_array_equal(scene.basis, encoding.axis_basis(3))
    assert scene.params["first"]["kernel"].shape == (2 * 3 * 3, 8)
    assert run(field.query, scene, gaussians((2,)))[1].shape == (2, 3)
    default = jax.eval_shape(lambda key: MipNerf(encoding="axis").init(key, method="bake"), jax.random.key(0))
    assert default["params"]["network"]["first"]["kernel"].shape == (48, 128)
    with pytest.raises(ValueError, match="'furier'.*'released', 'fourier' or 'axis'"):
        MipNerf(encoding="furier").init(jax.random.key(0), method="bake")


def test_the_network_can_compute_in_bfloat16():
    field, variables = build()
    half = MipNerf(**SMALL, dtype="bfloat16")
    scene, samples = bake(field, variables), gaussians((12,))
    full, short = run(field.query, scene, samples), run(half.query, scene, samples)
    assert short[0].dtype == short[1].dtype == jnp.float32
    for a, b in zip(full, short, strict=True):
        assert 1e-4 < np.abs(a - b).max() < 0.1
    shapes = jax.eval_shape(lambda key: half.init(key, method="bake"), jax.random.key(0))
    kinds = {leaf.dtype for leaf in jax.tree.leaves(shapes)}
    assert kinds == {jnp.dtype("float32")}


def test_equal_fields_share_a_program():
    one, other = MipNerf(**SMALL), MipNerf(**SMALL)
    assert one == other and hash(one) == hash(other)
    assert one.query == other.query and hash(one.query) == hash(other.query)
    assert one.query != MipNerf(**SMALL, chunk=5).query != MipNerf(**{**SMALL, "width": 9}).query
    traces = []

    @functools.partial(jax.jit, static_argnums=0)
    def ask(query, scene, samples):
        traces.append(query)
        return query(scene, samples)[0]

    scene = bake(*build())
    for field in (one, other, MipNerf(**SMALL, integrate=False)):
        ask(field.query, scene, gaussians((2,)))
    assert len(traces) == 2
