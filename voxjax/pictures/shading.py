"""An object without its texture: one grey, shaded by the normals of the density.

Notation. A normal is n = -g / |g| with g the gradient of the density, so that it points out of the object. It
is taken of the raw density f (before the softplus, which changes no direction): that rises evenly where the
density itself is zero on one side and steep on the other. The gradient comes from four queries at the corners
k of a tetrahedron around a sample, at a distance h: sum over k of k f(x + h k) = 4 h g, exact where f is
linear. The light stands beside the camera and turns with it, so that every view is lit alike.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct

from voxjax.fields.activation import density_to_raw
from voxjax.rendering.volume import Query
from voxjax.structs import Array, Samples

ALBEDO, AMBIENT = 0.8, 0.25
"""Grey of the object, and the share of it that is seen where no light falls."""

_CORNERS = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
# Of the light in the camera's frame: right, up, backward.
_LIGHT = np.array([-0.4, 0.6, 1.0], np.float32)


@struct.dataclass
class Lit:
    """A scene with a lamp.

    Attributes:
      scene: what the field's `query` reads.
      light: [3], unit vector towards the lamp, world frame.
      reach: [], h of the notation, scene units.
    """

    scene: Any
    light: Array
    reach: Array


def lit(scene: Any, pose: Array, reach: float) -> Lit:
    """The scene as a camera sees it that brings its lamp along.

    Args:
      scene: what the field's `query` reads.
      pose: camera_to_world, [3, 4].
      reach: half the width over which the gradient is taken, scene units; about half a voxel.
    """
    light = np.asarray(pose)[:, :3] @ _LIGHT
    return Lit(scene, jnp.asarray(light / np.linalg.norm(light)), jnp.float32(reach))


@functools.cache  # one function object for one field, or every picture would compile again
def untextured(query: Query) -> Query:
    """A field's `query` with its colours replaced: the density stays as it is.

    Args:
      query: `(scene, samples) -> (density, colour)`.

    Returns:
      `(Lit, samples) -> (density [...], grey [..., 3])`, grey in [AMBIENT * ALBEDO, ALBEDO]; where the
      density is even there is no normal, and the grey is that of a surface turned away.
    """

    def shaded(scene: Lit, samples: Samples) -> tuple[Array, Array]:
        density, colour = query(scene.scene, samples)
        gradient = jnp.zeros_like(samples.positions)
        for corner in _CORNERS:
            there = dataclasses.replace(samples, positions=samples.positions + scene.reach * corner)
            gradient += corner * density_to_raw(query(scene.scene, there)[0])[..., None]
        length = jnp.linalg.norm(gradient, axis=-1, keepdims=True)
        facing = -jnp.sum(gradient * scene.light, axis=-1, keepdims=True) / jnp.maximum(length, 1e-20)
        shade = ALBEDO * (AMBIENT + (1.0 - AMBIENT) * jnp.maximum(facing, 0.0))
        return density, jnp.broadcast_to(shade, colour.shape)

    return shaded
