"""The primitives against closed forms in float64, and the tracer against the disc that a sphere shows."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxjax.pocket import shapes, tracer

POINTS = np.random.default_rng(0).uniform(-1.3, 1.3, (400, 3))


def box_distance(p, half):
    """To an axis-aligned box: the nearest point by clamping outside, the nearest face inside."""
    nearest = np.clip(p, -half, half)
    if (np.abs(p) > half).any():
        return float(np.linalg.norm(p - nearest))
    return float(-(half - np.abs(p)).min())


def oracle(shape, p):
    """Signed distance of one point, or only its sign (as -1 or 1) where no closed form is at hand."""
    x, y, z = p
    r = math.hypot(x, y)
    if shape == "sphere":
        return math.sqrt(x * x + y * y + z * z) - 0.8
    if shape == "cube":
        return box_distance(p, np.full(3, 0.65))
    if shape == "torus":
        return math.hypot(r - 0.68, z) - 0.28
    if shape == "capsule":
        return math.sqrt(r * r + (z - min(max(z, -0.6), 0.6)) ** 2) - 0.4
    if shape == "cylinder":
        out = (max(r - 0.55, 0.0), max(abs(z) - 0.75, 0.0))
        return math.hypot(*out) if any(out) else max(r - 0.55, abs(z) - 0.75)
    if shape == "cross":
        return min(
            box_distance(p, np.array([0.85 if i == axis else 0.25 for i in range(3)])) for axis in range(3)
        )
    half = 0.8 if shape == "cone" else 0.7
    across = r if shape == "cone" else max(abs(x), abs(y))
    inside = -half <= z <= half and across <= 0.8 * (half - z) / (2 * half)
    return -1.0 if inside else 1.0


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_signed_distance_is_that_of_the_closed_form(shape):
    found = np.asarray(shapes.signed_distance(shape, jnp.asarray(POINTS, jnp.float32)))
    wanted = np.array([oracle(shape, p) for p in POINTS])
    assert (wanted < 0).sum() > 5
    if shape in ("cone", "pyramid"):
        np.testing.assert_array_equal(np.sign(found), wanted)
    else:
        np.testing.assert_allclose(found, wanted, atol=2e-6)


@pytest.mark.parametrize("shape", shapes.SHAPES)
def test_distances_never_overshoot(shape):
    """A step of the signed distance never crosses the surface: it changes by at most the way walked."""
    other = POINTS + np.random.default_rng(1).normal(0, 0.3, POINTS.shape)
    d0 = np.asarray(shapes.signed_distance(shape, jnp.asarray(POINTS, jnp.float32)), np.float64)
    d1 = np.asarray(shapes.signed_distance(shape, jnp.asarray(other, jnp.float32)), np.float64)
    assert (np.abs(d1 - d0) <= np.linalg.norm(other - POINTS, axis=-1) + 1e-5).all()


def test_an_unknown_shape_is_named():
    with pytest.raises(ValueError, match="'blob'.*sphere"):
        shapes.signed_distance("blob", jnp.zeros(3))


def test_a_traced_sphere_covers_the_disc_that_perspective_shows():
    width = 64
    pose = jax.tree.map(lambda leaf: leaf[None], tracer.evaluation_pose(77.0))
    trace = tracer.trace_many(pose, jnp.zeros((1, 2), jnp.int32), jnp.zeros(1, bool), width_px=width)
    # The tangent cone of a sphere of radius 0.8 at distance 4 cuts the image plane in a disc; coverage fades
    # over the pixel around it.
    radius_px = (1111.1111 / 800.0) * width * math.tan(math.asin(0.8 / 4.0)) + 0.5
    assert float(trace.alpha.sum()) == pytest.approx(math.pi * radius_px**2, rel=0.01)
    centre = trace.normal[0, width // 2, width // 2]
    np.testing.assert_allclose(centre, [0.0, 0.0, 1.0], atol=0.06)


def test_the_upper_object_of_a_pair_stands_on_the_lower_one():
    pose = dataclasses.replace(tracer.evaluation_pose(0.0, 0.0), yaw_deg=jnp.float32(0.0))
    poses = jax.tree.map(lambda leaf: leaf[None], pose)
    sphere, cube = shapes.SHAPES.index("sphere"), shapes.SHAPES.index("cube")
    trace = tracer.trace_many(poses, jnp.asarray([[cube, sphere]]), jnp.ones(1, bool), width_px=64)
    seen = np.asarray(trace.alpha[0]) > 0.5
    top = np.asarray(trace.top[0]) & seen
    low = seen & ~top
    rows_top, rows_low = np.flatnonzero(top.any(1)), np.flatnonzero(low.any(1))
    assert abs(rows_top.max() + 1 - rows_low.min()) <= 1, "they touch"
    # Together they are as tall as one object: lengths are divided by 0.8 + 0.65. The sphere shows its tangent
    # cone, the cube the face towards the camera; coverage adds half a pixel to either.
    focal_px, small = 1111.1111 / 800.0 * 64, 1 / (0.8 + 0.65)
    sphere_px = 2 * focal_px * math.tan(math.asin(0.8 * small / 4.0)) + 0.5
    cube_px = 2 * focal_px * 0.65 * small / (4.0 - 0.65 * small) + 0.5
    assert len(rows_top) == pytest.approx(sphere_px, abs=1.5)
    assert len(rows_low) == pytest.approx(cube_px, abs=1.5)
