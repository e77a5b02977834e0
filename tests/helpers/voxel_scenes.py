"""A small scene and rays through it, for the tests of the renderer."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from helpers import voxel_oracles as oracle

from voxjax.fields import make_field
from voxjax.rendering import budget as budgets
from voxjax.rendering import volume
from voxjax.structs import Rays, VoxelGrid

SHAPE = (5, 4, 6)
LOWER, UPPER = np.array([-1.0, -1.0, -1.5], np.float32), np.array([1.0, 1.5, 1.0], np.float32)
MARCH = {"near": 2.0, "far": 6.0, "step_size": 0.23}
GEOMETRY = {**MARCH, "lower": LOWER, "upper": UPPER}
INTERVAL = 0.4
FIELD = make_field("vox_exp", shape=SHAPE, lower=LOWER, upper=UPPER)
AMPLE = budgets.SampleBudget(per_ray=24, capacity=24 * 12)

render = functools.partial(jax.jit, static_argnames=("query", "budget", "occupied"))(volume.render_rays)


def make_rays(n=12, seed=0):
    """Rays from distance 4 towards points in and around the box; some of them miss it."""
    rng = np.random.default_rng(seed)
    origins = rng.normal(size=(n, 3))
    origins *= 4.0 / np.linalg.norm(origins, axis=-1, keepdims=True)
    directions = rng.uniform(-1.3, 1.3, (n, 3)) - origins
    directions[-1] = origins[-1]
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return Rays(jnp.asarray(origins, jnp.float32), jnp.asarray(directions, jnp.float32))


def as_pairs(rays):
    return list(
        zip(np.asarray(rays.origins, np.float64), np.asarray(rays.directions, np.float64), strict=True)
    )


def make_scene(seed=0, on=0.75):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=SHAPE + (4,)).astype(np.float32) * 3.0
    occupancy = rng.random(SHAPE) < on
    return VoxelGrid(
        jnp.asarray(values), jnp.float32(0.5), jnp.asarray(occupancy), jnp.asarray(LOWER), jnp.asarray(UPPER)
    )


def render_oracle(scene, rays, values=None, n_first=None):
    return oracle.render(
        np.asarray(scene.values, np.float64) if values is None else values,
        float(scene.density_shift),
        np.asarray(scene.occupancy),
        as_pairs(rays),
        LOWER.astype(np.float64),
        UPPER.astype(np.float64),
        **MARCH,
        interval=INTERVAL,
        n_first=n_first,
    )


def assert_same_picture(got, expected, atol=2e-6):
    np.testing.assert_allclose(got.colour, expected[0], atol=atol)
    np.testing.assert_allclose(got.transmittance, expected[1], atol=atol)
    np.testing.assert_allclose(got.depth, expected[2], atol=5 * atol)


def look_at_origin(azimuths, size=6):
    """Rays [n_views, size, size] of cameras at distance 4 around the z axis, written for this test alone."""
    views = []
    for azimuth in azimuths:
        eye = 4.0 * np.array([np.cos(azimuth) * 0.8, np.sin(azimuth) * 0.8, 0.6])
        forward = -eye / 4.0
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        up = np.cross(right, forward)
        u, v = np.meshgrid(*[np.linspace(-0.35, 0.35, size)] * 2)
        directions = forward + u[..., None] * right + v[..., None] * up
        directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
        views.append((np.broadcast_to(eye, directions.shape), directions))
    return Rays(*(jnp.asarray(np.stack(part), jnp.float32) for part in zip(*views, strict=True)))
