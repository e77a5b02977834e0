"""Small fields of Dream Fields with parameters of which none is 0 or 1, and Gaussians to ask them about."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.fields.mipnerf import MipNerf
from voxjax.structs import Samples

SMALL = {"width": 8, "hidden": 12, "n_blocks": 2, "n_features": 5, "max_exponent": 3.0}
run = functools.partial(jax.jit, static_argnums=0)(lambda query, scene, samples: query(scene, samples))


@functools.cache
def start(field, seed=0):
    """What is tracked at the start, and the shapes of the parameters."""
    tracked = jax.jit(lambda key: field.init(key, method="bake")["tracked"])(jax.random.key(seed))
    return tracked, jax.eval_shape(lambda key: field.init(key, method="bake")["params"], jax.random.key(0))


def build(**options):
    """A small field and its variables, with parameters of which none is 0 or 1 as at the start."""
    field = MipNerf(**{**SMALL, **options})
    tracked, shapes = start(field)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: (0.4 * rng.normal(size=leaf.shape)).astype(np.float32), shapes)
    return field, {"params": params, "tracked": tracked}


def bake(field, variables, **changes):
    return dataclasses.replace(field.apply(variables, method="bake"), **changes)


def gaussians(shape, seed=1):
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=shape + (3,))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    arrays = rng.uniform(-1, 1, shape + (3,)), direction, *rng.uniform(0.0, 0.1, (2,) + shape)
    positions, direction, along, across = (jnp.asarray(a, jnp.float32) for a in arrays)
    return Samples(positions, jnp.float32(1.0), direction, along, across)


def points(samples):
    return Samples(samples.positions, samples.interval)
