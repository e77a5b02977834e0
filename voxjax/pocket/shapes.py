"""The pocket world: eight primitives as signed distance functions, and a sphere tracer that photographs them.

Notation. Points are `[..., 3]` in the object frame, z up, the object's centre at the origin; lengths in scene
units at size 1. A signed distance is negative inside. Images are `[height, width]`, row 0 at the top. Normals
are given in the camera frame (x right, y up, z towards the camera), so that a light can be set without
knowing the pose.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

Array = jax.Array

SHAPES = ("sphere", "cube", "cone", "cylinder", "torus", "pyramid", "capsule", "cross")

# Half the height of each primitive at size 1; the pairs are stacked by it.
HALF_HEIGHT = {
    "sphere": 0.8,
    "cube": 0.65,
    "cone": 0.8,
    "cylinder": 0.75,
    "torus": 0.28,
    "pyramid": 0.7,
    "capsule": 1.0,
    "cross": 0.85,
}


def _sphere(p: Array, stretch: Array) -> Array:
    del stretch
    return jnp.linalg.norm(p, axis=-1) - 0.8


def _box(p: Array, half: Array) -> Array:
    q = jnp.abs(p) - half
    return jnp.linalg.norm(jnp.maximum(q, 0.0), axis=-1) + jnp.minimum(jnp.max(q, axis=-1), 0.0)


def _cube(p: Array, stretch: Array) -> Array:
    del stretch
    return _box(p, jnp.full(3, 0.65))


def _radial(p: Array) -> Array:
    return jnp.sqrt(p[..., 0] ** 2 + p[..., 1] ** 2 + 1e-12)


def _taper(r: Array, z: Array, base: Array, half: Array) -> Array:
    """Distance to a profile that narrows from `base` at -half to a point at +half (a lower bound)."""
    slope = jnp.sqrt(base**2 + (2 * half) ** 2)
    side = (r * 2 * half + (z - half) * base) / slope
    return jnp.maximum(side, -half - z)


def _cone(p: Array, stretch: Array) -> Array:
    return _taper(_radial(p), p[..., 2], 0.8 * stretch[0], 0.8 * stretch[1])


def _pyramid(p: Array, stretch: Array) -> Array:
    r = jnp.maximum(jnp.abs(p[..., 0]), jnp.abs(p[..., 1]))
    return _taper(r, p[..., 2], 0.8 * stretch[0], 0.7 * stretch[1])


def _cylinder(p: Array, stretch: Array) -> Array:
    q = jnp.stack([_radial(p) - 0.55 * stretch[0], jnp.abs(p[..., 2]) - 0.75 * stretch[1]], axis=-1)
    return jnp.linalg.norm(jnp.maximum(q, 0.0), axis=-1) + jnp.minimum(jnp.max(q, axis=-1), 0.0)


def _torus(p: Array, stretch: Array) -> Array:
    tube = 0.28 * stretch[0]
    q = jnp.stack([_radial(p) - 0.68, p[..., 2]], axis=-1)
    return jnp.linalg.norm(q, axis=-1) - tube


def _capsule(p: Array, stretch: Array) -> Array:
    radius = 0.4 * stretch[0]
    half_axis = 1.0 * stretch[1] - radius
    axis = jnp.stack([p[..., 0], p[..., 1], p[..., 2] - jnp.clip(p[..., 2], -half_axis, half_axis)], axis=-1)
    return jnp.linalg.norm(axis, axis=-1) - radius


def _cross(p: Array, stretch: Array) -> Array:
    arm, half = 0.85, 0.25 * stretch[0]
    boxes = [_box(p, jnp.stack([arm if i == axis else half for i in range(3)])) for axis in range(3)]
    return functools.reduce(jnp.minimum, boxes)


DISTANCES = (_sphere, _cube, _cone, _cylinder, _torus, _pyramid, _capsule, _cross)


def signed_distance(shape: str, points: Array, stretch: Array | None = None) -> Array:
    """Distance of `points` [..., 3] to the surface of `shape` at size 1, [...]; negative inside.

    A lower bound near the edges of cone and pyramid, exact elsewhere.

    Raises:
      ValueError: for a shape that is not in SHAPES.
    """
    if shape not in SHAPES:
        raise ValueError(f"unknown shape {shape!r}; known: {', '.join(SHAPES)}")
    return DISTANCES[SHAPES.index(shape)](points, jnp.ones(2) if stretch is None else stretch)
