"""Whole images by marching: rays advance together, a few samples at a time, until nothing more can be seen.

The same mathematics as `volume.render_rays` for pictures instead of gradients: no list of samples, no budget,
memory in proportion to a chunk of rays, and one program for all views and sizes.

Notation. `[n_block, n_rays]`: one block of samples, front to back. x = density * interval, alpha = 1 -
exp(-x), depth_before = sum of x over all earlier samples, T = exp(-depth_before), weight = T * alpha.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from voxjax.rendering import sampling
from voxjax.rendering.compositing import THRESHOLD
from voxjax.rendering.cones import SECTIONS
from voxjax.rendering.volume import Query, with_shape
from voxjax.structs import Rays, Rendering, Samples

Array = jax.Array
# Samples done [], then sums over them: extinction, weight * colour, weight * distance, all [n_rays, ...].
_Sums = tuple[Array, Array, Array, Array]

# Samples a ray advances by before it is asked whether it goes on: fewer stop sooner, more cost less overhead.
_BLOCK = 8


class GivenUp(Exception):
    """Nobody wants the picture any more that was being rendered."""


def _weights(extinction: Array, depth_before: Array) -> tuple[Array, Array]:
    """(weights [n_block, n_rays], summed extinction [n_rays]) of a block behind `depth_before` [n_rays]."""
    alpha = -jnp.expm1(-extinction)
    extinction = jnp.where(alpha > THRESHOLD, extinction, 0.0)
    before = jnp.concatenate([jnp.zeros_like(extinction[:1]), jnp.cumsum(extinction, axis=0)])
    weight = jnp.exp(-(depth_before + before[:-1])) * alpha
    return jnp.where((alpha > THRESHOLD) & (weight > THRESHOLD), weight, 0.0), before[-1]


def _cones(samples: Samples, rays: Rays, distance: Array, step_size: float, section: str) -> Samples:
    """The samples as stretches of their rays' cones around `distance` [n_block, n_rays], if there are cones.

    The mean of a stretch is taken to be its middle: steps are far shorter than the way to the camera.
    """
    if rays.radii is None:
        return samples
    half = 0.5 * step_size
    _, along, across = SECTIONS[section](distance - half, distance + half, rays.radii)
    direction = jnp.broadcast_to(rays.directions, (*distance.shape, 3)).reshape(-1, 3)
    return dataclasses.replace(
        samples, direction=direction, variance_along=along.reshape(-1), variance_across=across.reshape(-1)
    )


@functools.partial(jax.jit, static_argnames=("query", "section"))
def march_rays(
    query: Query,
    scene: Any,
    rays: Rays,
    *,
    near: float,
    far: float,
    step_size: float,
    interval: float,
    lower: Array,
    upper: Array,
    clip: sampling.Box | None = None,
    section: str = "mipnerf",
) -> Rendering:
    """Render a chunk of rays with samples at equal steps inside a box.

    Args:
      query: the field's `query` (static).
      scene: what `query` reads.
      rays: [n_rays].
      near: smallest distance of a sample, scene units.
      far: largest distance of a sample.
      step_size: distance between samples, scene units.
      interval: [], length that a sample stands for, in the unit of 1 / density.
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box.
      clip: a smaller box outside which the field is empty: saves time, changes nothing else.
      section: name in `cones.SECTIONS`, for rays that are cones.

    Returns:
      Rendering [n_rays], no overflow. It stops where T <= 1e-7, so that the last T is exact to 1e-7.
    """
    chex.assert_rank(rays.origins, 2)
    n_rays = rays.origins.shape[0]
    t_enter, first, count = sampling.sample_range(
        rays, lower=lower, upper=upper, near=near, far=far, step_size=step_size, clip=clip
    )
    opaque = -np.log(THRESHOLD)

    def unfinished(carry: _Sums) -> Array:
        done, depth_before = carry[:2]
        return jnp.any((done < count) & (depth_before < opaque))

    def advance(carry: _Sums) -> _Sums:
        done, depth_before, colour_sum, distance_sum = carry
        slot = done + jnp.arange(_BLOCK, dtype=jnp.int32)[:, None]
        distance = t_enter + ((first + slot).astype(jnp.float32) + 0.5) * step_size
        positions = sampling.positions_of(rays, distance).reshape(-1, 3)
        intervals = jnp.full(_BLOCK * n_rays, interval, jnp.float32)
        density, colour = query(
            scene, _cones(Samples(positions, intervals), rays, distance, step_size, section)
        )
        extinction = jnp.where(slot < count, density.reshape(_BLOCK, n_rays) * interval, 0.0)
        weight, extinction = _weights(extinction, depth_before)
        colour = colour.reshape(_BLOCK, n_rays, 3)
        return (
            done + _BLOCK,
            depth_before + extinction,
            colour_sum + jnp.sum(weight[..., None] * colour, axis=0),
            distance_sum + jnp.sum(weight * distance, axis=0),
        )

    nothing = jnp.zeros(n_rays)
    start = (jnp.zeros((), jnp.int32), nothing, jnp.zeros((n_rays, 3)), nothing)
    _, depth, colour_sum, distance_sum = lax.while_loop(unfinished, advance, start)
    return Rendering(colour_sum, jnp.exp(-depth), distance_sum, jnp.zeros((), jnp.int32))


def march_image(
    query: Query,
    scene: Any,
    rays: Rays,
    *,
    near: float,
    far: float,
    clip: sampling.Box,
    chunk_rays: int = 2048,
    wanted: Callable[[], bool] | None = None,
    **geometry: Any,
) -> Rendering:
    """Render any number of rays with bounded memory; those that miss `clip` cost nothing.

    Args:
      query: the field's `query`, the same function object in every call, or each call compiles again.
      scene: what `query` reads.
      rays: [...], such as [height, width].
      near: smallest distance of a sample, scene units.
      far: largest distance of a sample.
      clip: box outside which the field is empty; the whole box if nothing is known.
      chunk_rays: rays at once, at least 1; memory grows in proportion.
      wanted: asked before each chunk, from several threads, whether the picture is still worth its time.
      **geometry: `step_size`, `interval`, `lower`, `upper`, `section` of `march_rays`.

    Returns:
      Rendering [...] of NumPy arrays.

    Raises:
      ValueError: if `chunk_rays` is not positive.
      GivenUp: `wanted` said no.
    """
    if chunk_rays < 1:
        raise ValueError(f"chunk_rays must be at least 1, got {chunk_rays}")
    leading = rays.origins.shape[:-1]
    flat = sampling.flatten(jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), rays))
    n_rays = flat.origins.shape[0]
    length = _length_inside(flat, clip, near, far)
    # Rays of like length share a chunk, since a chunk goes on until its last ray is through.
    order = np.argsort(-length, kind="stable")[: np.count_nonzero(length)]
    colour, transmittance = np.zeros((n_rays, 3), np.float32), np.ones(n_rays, np.float32)
    depth = np.zeros(n_rays, np.float32)

    def fill_in(start: int) -> None:
        if wanted is not None and not wanted():
            raise GivenUp
        # The last chunk repeats its rays, so that all chunks have one shape and share one program.
        chosen = np.resize(order[start : start + chunk_rays], chunk_rays)
        chunk = jax.tree.map(lambda leaf: jnp.asarray(leaf[chosen]), flat)
        part = jax.device_get(march_rays(query, scene, chunk, near=near, far=far, clip=clip, **geometry))
        colour[chosen], transmittance[chosen], depth[chosen] = part.colour, part.transmittance, part.depth

    # On CPU a chunk keeps one core busy; on an accelerator the second thread hides the transfers.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1) if jax.default_backend() == "cpu" else 2) as pool:
        deque(pool.map(fill_in, range(0, len(order), chunk_rays)), maxlen=0)
    out = Rendering(colour=colour, transmittance=transmittance, depth=depth, overflow=np.int32(0))  # type: ignore
    return with_shape(out, leading)


def _length_inside(rays: Rays, box: sampling.Box, near: float, far: float) -> np.ndarray:
    """[n_rays], on the host: length of ray inside a box with a hair of margin; 0 for a miss."""
    margin = 1e-5
    slope = np.where(np.abs(rays.directions) < 1e-10, 1e-10, rays.directions)
    first = (np.asarray(box[0]) - margin - rays.origins) / slope
    second = (np.asarray(box[1]) + margin - rays.origins) / slope
    enter = np.maximum(np.minimum(first, second).max(axis=-1), near)
    leave = np.minimum(np.maximum(first, second).min(axis=-1), far)
    return np.maximum(leave - enter, 0.0)
