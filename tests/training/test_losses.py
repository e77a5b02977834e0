"""Every term against a float64 loop, its gradient against finite differences of that loop."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxjax.training import losses


def unit(rng, *shape):
    x = rng.normal(size=shape)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def finite_differences(oracle, x, step=1e-6):
    """Central differences of a float64 function, entry by entry."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        high, low = x.copy(), x.copy()
        high[index] += step
        low[index] -= step
        gradient[index] = (oracle(high) - oracle(low)) / (2 * step)
    return gradient


def check(loss, oracle, x, rtol=2e-5, atol=2e-6):
    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(value, oracle(x), rtol=rtol, atol=atol)
    np.testing.assert_allclose(gradient, finite_differences(oracle, x), rtol=1e-3, atol=5e-5)


@pytest.mark.parametrize("one_each", [False, True])
def test_clip_loss(one_each):
    rng = np.random.default_rng(0)
    images = unit(rng, 4, 6)
    targets = 1.7 * unit(rng, 4, 6) if one_each else unit(rng, 6)

    def oracle(e):
        rows = zip(e, targets if one_each else [targets] * 4, strict=True)
        return -sum(a * b for i, t in rows for a, b in zip(i, t, strict=True)) / 4

    check(lambda e: losses.clip_loss(e, jnp.asarray(targets, jnp.float32)), oracle, images)


def test_contrastive_loss():
    rng = np.random.default_rng(1)
    images, text, negatives = unit(rng, 3, 5), unit(rng, 5), unit(rng, 4, 5)

    def oracle(e):
        total = 0.0
        for image in e:
            right = math.exp(10.0 * (image @ text))
            total -= math.log(right / (right + sum(math.exp(10.0 * (image @ n)) for n in negatives)))
        return total / len(e)

    as_f32 = [jnp.asarray(a, jnp.float32) for a in (text, negatives)]
    check(lambda e: losses.contrastive_loss(e, *as_f32, scale=10.0), oracle, images, rtol=1e-4)


@pytest.mark.parametrize("tau", [0.3, 0.9])
def test_transmittance_loss_stops_at_the_target(tau):
    t = np.random.default_rng(2).uniform(0.2, 0.9, (2, 3, 4))

    def oracle(x):
        return -min(tau, sum(x.ravel()) / x.size)

    check(lambda x: losses.transmittance_loss(x, tau), oracle, t)
    gradient = jax.jit(jax.grad(losses.transmittance_loss))(jnp.asarray(t, jnp.float32), tau)
    assert bool(jnp.all(gradient == 0)) == (tau == 0.3)


def test_kl_sphere():
    rng = np.random.default_rng(3)
    alpha = rng.uniform(0.0, 1.0, (3, 4, 2)) ** 3
    alpha[0, 0, 0] = 1e-4
    inside = rng.uniform(size=alpha.shape) < 0.5

    def oracle(a):
        total = 0.0
        for index in np.ndindex(a.shape):
            p = float(inside[index])
            total += p * math.log(p / (a[index] + 1e-4) + 1e-4)
        return total / a.size

    check(lambda a: losses.kl_sphere(a, jnp.asarray(inside)), oracle, alpha)
    value = jax.jit(losses.kl_sphere)(np.zeros(alpha.shape, np.float32), np.ones(alpha.shape, bool))
    assert float(value) == pytest.approx(math.log(1e4), rel=1e-4)


def neighbours(shape):
    """All pairs of grid points that differ by one in one axis."""
    for index in itertools.product(*map(range, shape[:3])):
        for axis in range(3):
            other = list(index)
            other[axis] += 1
            if other[axis] < shape[axis]:
                yield axis, index, tuple(other)


def huber_sum(v):
    total = 0.0
    for _, a, b in neighbours(v.shape):
        for channel in range(v.shape[3]):
            size = abs(v[b][channel] - v[a][channel])
            total += 0.5 * size**2 if size < 1 else size - 0.5
    return total


def test_tv_explicit():
    values = np.random.default_rng(4).normal(scale=1.0, size=(3, 2, 4, 2))
    check(losses.tv_explicit, huber_sum, values)


def test_tv_explicit_gradient_is_the_clamped_difference_to_six_neighbours():
    values = np.random.default_rng(5).normal(scale=2.0, size=(3, 3, 3, 1))
    gradient = jax.jit(jax.grad(losses.tv_explicit))(jnp.asarray(values, jnp.float32))
    expected = np.zeros_like(values)
    for _, a, b in neighbours(values.shape):
        expected[a] += np.clip(values[a] - values[b], -1, 1)
        expected[b] += np.clip(values[b] - values[a], -1, 1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5)
    assert losses.tv_explicit_scale((130, 130, 161, 4), 224**2) == pytest.approx(161 / 128 / 50176 / 6)


def test_total_variation_touches_only_what_was_touched():
    gradient = jnp.array([[0.0, 1.0, -2.0], [0.0, 1e-30, 0.0]])
    tv = jnp.array([[5.0, 6.0, 7.0], [8.0, 9.0, -1.0]])
    np.testing.assert_array_equal(losses.add_where_touched(gradient, tv), [[0.0, 7.0, 5.0], [0.0, 9.0, 0.0]])


def test_tv_implicit():
    rng = np.random.default_rng(6)
    packed = rng.uniform(size=(3, 2, 4, 4))

    def oracle(v):
        total = 0.0
        for field in (v[..., :1], v[..., 1:]):
            sums, counts = [0.0] * 3, [0] * 3
            for axis, a, b in neighbours(field.shape):
                for channel in range(field.shape[3]):
                    sums[axis] += abs(field[a][channel] - field[b][channel])
                    counts[axis] += 1
            total += sum(s / c for s, c in zip(sums, counts, strict=True)) / 3
        return total

    check(lambda v: losses.tv_implicit(v[..., 0], v[..., 1:]), oracle, packed)


def test_background_entropy():
    t = np.random.default_rng(7).uniform(0.01, 0.99, (3, 4))

    def oracle(x):
        return -sum(v * math.log(v) + (1 - v) * math.log(1 - v) for v in x.ravel()) / x.size

    check(losses.background_entropy, oracle, t)
    assert float(losses.background_entropy(jnp.full((2, 2), 0.5))) == pytest.approx(math.log(2), rel=1e-6)
    value, gradient = jax.jit(jax.value_and_grad(losses.background_entropy))(jnp.array([0.0, 1.0]))
    at_the_clamp = -(1e-6 * math.log(1e-6) + (1 - 1e-6) * math.log1p(-1e-6))
    assert float(value) == pytest.approx(at_the_clamp, rel=0.02)
    np.testing.assert_array_equal(gradient, 0.0)


def test_weigh_sums_what_it_reports():
    terms = {"clip": jnp.float32(-0.25), "kl": jnp.float32(4.0), "tv": jnp.float32(jnp.inf)}
    total, weighted = jax.jit(losses.weigh)(terms, {"clip": 1.0, "kl": jnp.float32(0.05), "tv": 0.0})
    assert {k: float(v) for k, v in weighted.items()} == pytest.approx({"clip": -0.25, "kl": 0.2, "tv": 0.0})
    assert float(total) == pytest.approx(-0.05)
    with pytest.raises(ValueError, match="same names"):
        losses.weigh(terms, {"clip": 1.0})
