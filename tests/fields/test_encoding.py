"""Encodings: against loops in float64, and the integrated one against Monte-Carlo integration."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from voxjax.fields import encoding


def test_the_encoding_of_vertices_equals_a_loop():
    rng = np.random.default_rng(0)
    positions = rng.uniform(-2.4, 2.4, (5, 4, 3)).astype(np.float32)
    encoded = encoding.vertex_encoding(positions)
    assert encoded.shape == (5, 4, 63) and encoded.dtype == np.float32
    for i, j in np.ndindex(5, 4):
        x = [float(c) for c in positions[i, j]]
        expected = list(x)
        for k in range(10):
            expected += [math.sin(2**k * c) for c in x] + [math.cos(2**k * c) for c in x]
        np.testing.assert_allclose(encoded[i, j], expected, atol=2e-7)
    assert encoding.vertex_encoding(np.zeros(3, np.float32), n_frequencies=2).shape == (15,)


def test_random_directions_are_isotropic_of_log_uniform_length_and_end_with_the_axes():
    basis = np.asarray(encoding.fourier_basis(jax.random.key(0), n_features=4000))
    assert basis.shape == (4003, 3)
    np.testing.assert_array_equal(basis[-3:], np.eye(3))
    np.testing.assert_array_equal(basis, np.round(basis))
    length = np.linalg.norm(basis[:-3], axis=-1)
    assert length.min() >= 1.0 and length.max() < 2**8 + 1
    # Of the long ones, where rounding changes next to nothing: the logarithm is uniform, and so is every
    # coordinate of a direction (Archimedes).
    long = basis[:-3][length > 32]
    norm = np.linalg.norm(long, axis=-1, keepdims=True)
    assert abs(len(long) / 4000 - 3 / 8) < 4 * math.sqrt(3 / 8 * 5 / 8 / 4000)
    assert stats.kstest(np.log2(norm[:, 0]), stats.uniform(5, 3).cdf).pvalue > 1e-3
    for column in (long / norm).T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(norm[:, 0], long[:, 0] / norm[:, 0])[0, 1]) < 0.1
    short = np.asarray(encoding.fourier_basis(jax.random.key(0), n_features=50, max_exponent=2.0))
    assert np.linalg.norm(short, axis=-1).max() < 5
    again = encoding.fourier_basis(jax.random.key(1), n_features=4000)
    assert not np.array_equal(basis, again)


def test_the_axis_basis_holds_octaves_of_the_axes():
    basis = np.asarray(encoding.axis_basis(4))
    assert basis.shape == (12, 3)
    for k in range(4):
        for i in range(3):
            expected = np.zeros(3)
            expected[i] = 2.0**k
            np.testing.assert_array_equal(basis[3 * k + i], expected)


def test_the_plain_encoding_is_exact_for_the_longest_vectors():
    basis = np.asarray(encoding.fourier_basis(jax.random.key(2)), np.float64)
    rng = np.random.default_rng(3)
    positions = rng.uniform(-1.0, 1.0, (200, 3)).astype(np.float32)
    encoded = np.asarray(encoding.plain_encoding(jnp.asarray(positions), jnp.asarray(basis, jnp.float32)))
    phase = positions.astype(np.float64) @ basis.T
    assert np.abs(phase).max() > 100
    # Half a unit in the last place of a phase of 256 is 1.5e-5.
    np.testing.assert_allclose(encoded, np.concatenate([np.cos(phase), np.sin(phase)], -1), atol=5e-5)


@pytest.mark.parametrize("basis", ["fourier", "axis"])
def test_the_integrated_encoding_is_the_mean_of_the_plain_one_over_the_gaussian(basis):
    n_draws = 20_000
    basis = {
        "fourier": encoding.fourier_basis(jax.random.key(4), n_features=40, max_exponent=6.0),
        "axis": encoding.axis_basis(6),
    }[basis]
    rng = np.random.default_rng(5)
    direction = rng.normal(size=(4, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    mean = rng.uniform(-1.0, 1.0, (4, 3))
    along, across = np.array([0.1, 0.0001, 0.01, 0.0]), np.array([0.0001, 0.1, 0.003, 0.02])
    single = [jnp.asarray(a, jnp.float32) for a in (mean, direction, along, across)]
    encoded = encoding.integrated_encoding(
        single[0], basis, direction=single[1], variance_along=single[2], variance_across=single[3]
    )
    plain = encoding.plain_encoding(single[0], basis)
    assert encoded.shape == (4, 2 * basis.shape[0])
    for i, d in enumerate(direction):
        isotropic = rng.normal(size=(n_draws, 3))
        on_axis = (isotropic @ d)[:, None] * d
        points = mean[i] + math.sqrt(along[i]) * on_axis + math.sqrt(across[i]) * (isotropic - on_axis)
        phase = points @ np.asarray(basis, np.float64).T
        waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=-1)
        # Five standard errors, for about 700 comparisons, and float32's share of phases up to 64.
        tolerance = 5 * waves.std(axis=0, ddof=1) / math.sqrt(n_draws) + 1e-5
        error = np.abs(np.asarray(encoded[i], np.float64) - waves.mean(axis=0))
        assert (error <= tolerance).all(), (error / tolerance).max()
        assert (np.abs(np.asarray(plain[i]) - waves.mean(axis=0)) > tolerance).mean() > 0.3


def test_no_variance_leaves_the_plain_encoding_and_much_of_it_nothing():
    basis = encoding.fourier_basis(jax.random.key(6))
    positions = jax.random.uniform(jax.random.key(7), (6, 3), minval=-1.0)
    direction = jnp.broadcast_to(jnp.array([0.6, 0.0, 0.8]), (6, 3))
    plain = encoding.plain_encoding(positions, basis)

    def integrated(along, across):
        return encoding.integrated_encoding(
            positions,
            basis,
            direction=direction,
            variance_along=jnp.full(6, along),
            variance_across=jnp.full(6, across),
        )

    np.testing.assert_array_equal(integrated(0.0, 0.0), plain)
    np.testing.assert_allclose(integrated(100.0, 100.0), 0.0, atol=1e-20)
    # The y axis lies at right angles to the direction: only the variance across reaches it.
    y = np.array([basis.shape[0] - 2, 2 * basis.shape[0] - 2])
    np.testing.assert_array_equal(integrated(100.0, 0.0)[:, y], plain[:, y])
    np.testing.assert_allclose(integrated(0.0, 2.0)[:, y], plain[:, y] * math.exp(-1.0), rtol=1e-5)
