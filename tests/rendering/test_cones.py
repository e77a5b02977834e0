"""Conical frusta: moments against quadrature in float64, and how they tile a ray's way through a box."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from helpers import voxel_oracles as oracle
from helpers.voxel_scenes import LOWER, UPPER, as_pairs, make_rays
from scipy import stats

from voxjax.rendering import cones

MARCH = {"near": 2.9, "far": 4.6}
place = functools.partial(
    jax.jit(cones.place_in_cones, static_argnames="n_samples"), lower=LOWER, upper=UPPER, **MARCH, n_samples=6
)


def moments(t_start, t_end, radius):
    """(mean distance, variance along, variance across) of points uniform in a frustum, by quadrature.

    Gauss-Legendre nodes along the axis and, on each disc, along its radius; the mean square of one Cartesian
    coordinate around a circle of radius rho is rho^2 / 2.
    """
    nodes, weights = np.polynomial.legendre.leggauss(12)
    volume, first, second, across = 0.0, 0.0, 0.0, 0.0
    middle = (t_start + t_end) / 2
    for u, w in zip(nodes, weights, strict=True):
        offset = u * (t_end - t_start) / 2
        rim = radius * (middle + offset)
        for v, z in zip(nodes, weights, strict=True):
            rho = rim * (v + 1) / 2
            mass = w * z * rho * rim
            volume += mass
            first += mass * offset
            second += mass * offset**2
            across += mass * rho**2 / 2
    return middle + first / volume, second / volume - (first / volume) ** 2, across / volume


def test_the_moments_of_a_frustum_equal_quadrature():
    wide = [(0.0, 1.0, 0.5), (0.0, 7.0, 0.01), (0.1, 5.0, 1.5), (2.0, 3.0, 0.3), (1.0, 1.5, 0.001)]
    thin = [(4.0, 4.0001, 0.001), (3.0, 3.018, 0.0026), (5.7, 5.701, 0.4), (0.01, 0.011, 2.0)]
    frusta = np.array(wide + thin, np.float32)
    actual = np.stack(cones.conical_frustum(*(jnp.asarray(column) for column in frusta.T)), axis=-1)
    expected = np.array([moments(*row) for row in frusta.astype(np.float64)])
    np.testing.assert_allclose(actual, expected, rtol=3e-6)
    assert (expected[:, 1:] > 0).all() and expected[:, 1].min() < 1e-9


def test_a_frustum_of_no_length_is_a_disc_and_one_at_the_origin_a_point():
    mean, along, across = cones.conical_frustum(
        jnp.array([2.0, 0.0]), jnp.array([2.0, 0.0]), jnp.float32(0.1)
    )
    np.testing.assert_allclose(mean, [2.0, 0.0])
    np.testing.assert_array_equal(along, 0.0)
    np.testing.assert_allclose(across, [0.2**2 / 4, 0.0], rtol=1e-6)


def test_edges_rise_from_0_to_1_and_each_fills_its_own_stratum():
    n_samples, n_rays = 8, 4000
    even = np.linspace(0, 1, n_samples + 1)
    np.testing.assert_allclose(cones.jittered_edges(None, n_samples, 3), np.repeat(even[:, None], 3, 1))
    edges = np.asarray(cones.jittered_edges(jax.random.key(3), n_samples, n_rays), np.float64)
    assert edges.shape == (n_samples + 1, n_rays)
    np.testing.assert_array_equal(edges[[0, -1]], np.repeat([[0.0], [1.0]], n_rays, 1))
    assert (np.diff(edges, axis=0) >= 0).all()
    within = (edges - even[:, None])[1:-1] * n_samples + 0.5
    for row in within:
        assert stats.kstest(row, "uniform").pvalue > 1e-3
    # Neither the edges of a ray nor those of neighbouring rays know of each other.
    assert np.abs(np.corrcoef(within)[~np.eye(n_samples - 1, dtype=bool)]).max() < 0.08
    assert abs(np.corrcoef(within[:, :-1].ravel(), within[:, 1:].ravel())[0, 1]) < 0.03


def test_frusta_tile_the_way_from_entry_to_exit():
    rays = make_rays(60, seed=4)
    radii = np.linspace(0.001, 0.2, 60, dtype=np.float32)
    rays = dataclasses.replace(rays, radii=jnp.asarray(radii))
    for key in (None, jax.random.key(5)):
        placed = place(rays, key=key)
        assert int(placed.overflow) == 0
        hits = 0
        for r, (origin, direction) in enumerate(as_pairs(rays)):
            way = oracle.clip_ray(origin, direction, LOWER, UPPER, **MARCH)
            columns = [placed.distance, placed.interval, placed.variance_along, placed.variance_across]
            distance, interval, along, across = (np.asarray(c[:, r], np.float64) for c in columns)
            assert np.isfinite([distance, interval, along, across]).all()
            assert (np.asarray(placed.valid[:, r]) == (way is not None)).all()
            if way is None:
                continue
            hits += 1
            edges = way[0] + np.concatenate([[0.0], np.cumsum(interval)])
            np.testing.assert_allclose(edges[-1], way[1], atol=1e-5)
            if key is None:
                np.testing.assert_allclose(interval, (way[1] - way[0]) / 6, atol=1e-5)
            expected = np.array([moments(a, b, radii[r]) for a, b in zip(edges, edges[1:], strict=False)])
            np.testing.assert_allclose(distance, expected[:, 0], atol=1e-5)
            np.testing.assert_allclose(along, expected[:, 1], rtol=1e-3, atol=1e-6)
            np.testing.assert_allclose(across, expected[:, 2], rtol=1e-4)
            points = np.asarray(origin) + distance[:, None] * np.asarray(direction)
            assert (points > np.asarray(LOWER) - 1e-5).all() and (points < np.asarray(UPPER) + 1e-5).all()
        assert 10 < hits < 60


def test_other_keys_jitter_otherwise_and_a_line_has_no_width():
    rays = make_rays(20, seed=6)
    one, other, again = (place(rays, key=jax.random.key(seed)) for seed in (1, 2, 1))
    np.testing.assert_array_equal(one.distance, again.distance)
    valid = np.asarray(one.valid)
    assert (np.asarray(one.distance)[valid] != np.asarray(other.distance)[valid]).mean() > 0.95
    np.testing.assert_array_equal(one.variance_across, 0.0)
    assert (np.asarray(one.variance_along)[valid] > 0).all()
