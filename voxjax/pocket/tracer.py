"""A sphere tracer that photographs the primitives of the pocket world.

Notation. Images are `[height, width]`, row 0 at the top. Normals are given in the camera frame (x right, y
up, z towards the camera), so that a light can be set without knowing the pose.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
from flax import struct

from voxjax.pocket.shapes import DISTANCES, HALF_HEIGHT, SHAPES

Array = jax.Array

_TRACE_STEPS = 44
_CAMERA_RADIUS = 4.0


@struct.dataclass
class Pose:
    """Where the camera stands and how the object lies.

    Attributes:
      azimuth_deg: [], camera azimuth, 0 on the +x axis, counter-clockwise seen from above.
      elevation_deg: [], camera elevation above the horizon.
      yaw_deg: [], rotation of the object about z.
      size: [], scale of the whole object.
      shift: [3], displacement of the object's centre, scene units.
      focal: [], focal length in image widths.
      stretch: [2], factors on the shape's own width and height (cylinder, cone, capsule, pyramid; the first
        one thickens the torus and the arms of the cross).
    """

    azimuth_deg: Array
    elevation_deg: Array
    yaw_deg: Array
    size: Array
    shift: Array
    focal: Array
    stretch: Array


@struct.dataclass
class Trace:
    """A photograph before it is lit.

    Attributes:
      alpha: [height, width], anti-aliased coverage in [0, 1].
      normal: [height, width, 3], unit, camera frame; meaningful where alpha > 0.
      top: [height, width] bool, True where the upper of two objects is seen.
    """

    alpha: Array
    normal: Array
    top: Array


def _camera_axes(azimuth_deg: Array, elevation_deg: Array) -> Array:
    """Rows right, up, backward (towards the camera) in the world frame, [3, 3]."""
    azimuth, elevation = jnp.deg2rad(azimuth_deg), jnp.deg2rad(elevation_deg)
    ca, sa, ce, se = jnp.cos(azimuth), jnp.sin(azimuth), jnp.cos(elevation), jnp.sin(elevation)
    right = jnp.stack([-sa, ca, jnp.zeros_like(sa)])
    up = jnp.stack([-se * ca, -se * sa, ce])
    backward = jnp.stack([ce * ca, ce * sa, se])
    return jnp.stack([right, up, backward])


def _object_distance(points: Array, pose: Pose, indices: Array, is_pair: Array) -> tuple[Array, Array]:
    """Distance of world points to the object or the pair, and where the upper one is the nearer."""
    yaw = jnp.deg2rad(pose.yaw_deg)
    c, s = jnp.cos(yaw), jnp.sin(yaw)
    q = (points - pose.shift) / pose.size
    q = jnp.stack([c * q[..., 0] + s * q[..., 1], -s * q[..., 0] + c * q[..., 1], q[..., 2]], axis=-1)
    half = jnp.asarray([HALF_HEIGHT[name] for name in SHAPES])
    low_half, high_half = half[indices[0]], half[indices[1]]
    # A pair is as tall as its two parts; it is shrunk to the room of one and centred.
    shrink = jnp.where(is_pair, 1.0 / (low_half + high_half), 1.0)
    low_centre = jnp.where(is_pair, -high_half * shrink, 0.0)
    high_centre = low_half * shrink
    z = jnp.asarray([0.0, 0.0, 1.0])
    branches = [functools.partial(sdf, stretch=pose.stretch) for sdf in DISTANCES]
    low = jax.lax.switch(indices[0], branches, (q - z * low_centre) / shrink) * shrink
    fixed = [functools.partial(sdf, stretch=jnp.ones(2)) for sdf in DISTANCES]
    high = jax.lax.cond(
        is_pair,
        lambda q: jax.lax.switch(indices[1], fixed, (q - z * high_centre) / shrink) * shrink,
        lambda q: jnp.full(q.shape[:-1], 1e6),
        q,
    )
    return jnp.minimum(low, high) * pose.size, high < low


def trace(pose: Pose, indices: Array, is_pair: Array, *, width_px: int) -> Trace:
    """Photographs one primitive, or one standing on another, by sphere tracing.

    Args:
      pose: camera and object pose.
      indices: [2] int32, places in SHAPES of the lower (or only) and the upper object.
      is_pair: [] bool, whether there is an upper object.
      width_px: side of the square image.

    Returns:
      A Trace. Coverage falls from 1 at the outline to 0 one pixel outside it, by the smallest distance at
      which a ray passes the surface; so outlines are smooth, and half a pixel wider than the object.
    """
    axes = _camera_axes(pose.azimuth_deg, pose.elevation_deg)
    origin = axes[2] * _CAMERA_RADIUS
    pixel = (jnp.arange(width_px) + 0.5) / width_px - 0.5
    x, y = jnp.meshgrid(pixel, -pixel)
    directions = x[..., None] * axes[0] + y[..., None] * axes[1] - pose.focal * axes[2]
    directions = directions / jnp.linalg.norm(directions, axis=-1, keepdims=True)
    pixel_angle = 1.0 / (pose.focal * width_px)

    def march(carry, _):
        t, nearest, t_nearest = carry
        distance, _ = _object_distance(origin + t[..., None] * directions, pose, indices, is_pair)
        footprint = distance / (t * pixel_angle)
        t_nearest = jnp.where(footprint < nearest, t, t_nearest)
        return (t + distance, jnp.minimum(nearest, footprint), t_nearest), None

    start = jnp.full((width_px, width_px), _CAMERA_RADIUS - 2.2)
    (_, nearest, t), _ = jax.lax.scan(
        march, (start, jnp.full_like(start, 1e3), start), None, length=_TRACE_STEPS
    )
    points = origin + t[..., None] * directions
    step = 2e-3
    gradient = jnp.stack(
        [
            _object_distance(points + step * axis, pose, indices, is_pair)[0]
            - _object_distance(points - step * axis, pose, indices, is_pair)[0]
            for axis in axes
        ],
        axis=-1,
    )
    normal = gradient / (jnp.linalg.norm(gradient, axis=-1, keepdims=True) + 1e-9)
    _, top = _object_distance(points, pose, indices, is_pair)
    return Trace(alpha=jnp.clip(1.0 - nearest, 0.0, 1.0), normal=normal, top=top)


def evaluation_pose(azimuth_deg: Array, elevation_deg: float = 45.0) -> Pose:
    """The evaluation view: object upright at size 1 in the centre, the NeRF 'Blender' focal length."""
    one = jnp.ones(())
    return Pose(
        azimuth_deg=jnp.asarray(azimuth_deg, jnp.float32),
        elevation_deg=one * elevation_deg,
        yaw_deg=one * 0.0,
        size=one,
        shift=jnp.zeros(3),
        focal=one * (1111.1111 / 800.0),
        stretch=jnp.ones(2),
    )


def sample_pose(key: Array) -> Pose:
    """A random training pose: any azimuth and yaw, elevation 5 to 60 degrees, varied proportions."""
    keys = jax.random.split(key, 7)

    def uniform(i: int, low: float, high: float, shape=()) -> Array:
        return jax.random.uniform(keys[i], shape, minval=low, maxval=high)

    return Pose(
        azimuth_deg=uniform(0, 0.0, 360.0),
        elevation_deg=uniform(1, 5.0, 60.0),
        yaw_deg=uniform(2, 0.0, 360.0),
        size=jnp.exp(uniform(3, math.log(0.7), math.log(1.15))),
        shift=uniform(4, -0.15, 0.15, (3,)),
        focal=uniform(5, 1.15, 1.5),
        stretch=jnp.exp(uniform(6, math.log(0.85), math.log(1.2), (2,))),
    )


@functools.partial(jax.jit, static_argnames="width_px")
def trace_many(poses: Pose, indices: Array, is_pair: Array, *, width_px: int) -> Trace:
    """`trace` over a leading axis, image by image so that only the shapes at hand are evaluated."""
    return jax.lax.map(lambda args: trace(*args, width_px=width_px), (poses, indices, is_pair))
