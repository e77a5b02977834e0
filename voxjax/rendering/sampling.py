"""Where samples lie on a ray, and how many the renderer must have room for.

Notation. Rays are a flat list here, `[n_rays, ...]`; samples come first, `[n_samples, n_rays]`, so that
compositing runs along the leading axis and neighbouring rays are neighbours in memory. t: distance from the
ray's origin along its unit direction, scene units. A ray meets the box between t_enter and t_exit, both
clipped to [near, far]; sample i lies at t_enter + (i + 0.5) * step_size, for all i that stay before t_exit.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
from flax import struct

from voxjax.structs import Rays

Array = jax.Array
Box = tuple[Array, Array]
"""(lower [3], upper [3]), world frame."""


@struct.dataclass
class Placement:
    """Samples along rays, whatever rule placed them.

    Attributes:
      distance: [n_samples, n_rays], t of each sample.
      valid: [n_samples, n_rays] bool, False where the slot holds no sample.
      interval: [] or [n_samples, n_rays], length that a sample stands for, in the unit of 1 / density.
      overflow: [] int32, samples that found no slot.
      variance_along: [n_samples, n_rays], see `structs.Samples`; None where samples are points.
      variance_across: [n_samples, n_rays], the same across the ray.
    """

    distance: Array
    valid: Array
    interval: Array
    overflow: Array
    variance_along: Array | None = None
    variance_across: Array | None = None


def intersect_box(rays: Rays, lower: Array, upper: Array, *, near: float, far: float) -> tuple[Array, Array]:
    """Where rays enter and leave an axis-aligned box.

    Args:
      rays: [...].
      lower: [3], smallest corner, world frame.
      upper: [3], largest corner.
      near: smallest distance of interest, scene units.
      far: largest distance of interest.

    Returns:
      (t_enter [...], t_exit [...]), clipped to [near, far]; t_exit <= t_enter means that the ray misses.
    """
    # A ray parallel to a slab never crosses its planes: a tiny slope sends both crossings to +-huge, with
    # the signs that mean "always inside" or "never".
    tiny = jnp.abs(rays.directions) < 1e-10
    slope = jnp.where(tiny, 1e-10, rays.directions)
    to_lower, to_upper = (lower - rays.origins) / slope, (upper - rays.origins) / slope
    t_enter = jnp.max(jnp.minimum(to_lower, to_upper), axis=-1)
    t_exit = jnp.min(jnp.maximum(to_lower, to_upper), axis=-1)
    return jnp.clip(t_enter, near, far), jnp.clip(t_exit, near, far)


def sample_range(
    rays: Rays, *, lower: Array, upper: Array, near: float, far: float, step_size: float, clip: Box | None
) -> tuple[Array, Array, Array]:
    """Which samples a ray has; arguments as in `place_in_box`.

    Returns:
      (t_enter [n_rays], index of the first sample [n_rays] int32, number of samples [n_rays] int32).
    """
    t_enter, t_exit = intersect_box(rays, lower, upper, near=near, far=far)
    last = jnp.ceil((t_exit - t_enter) / step_size - 0.5)
    first = jnp.zeros_like(last)
    if clip is not None:
        # Indices, not distances, are clipped: the samples that stay lie exactly where they were.
        inner_enter, inner_exit = intersect_box(rays, *clip, near=near, far=far)
        first = jnp.maximum(first, jnp.floor((inner_enter - t_enter) / step_size - 0.5))
        last = jnp.minimum(last, jnp.ceil((inner_exit - t_enter) / step_size - 0.5) + 1.0)
        last = jnp.where(inner_exit > inner_enter, last, first)
    count = jnp.maximum(last - first, 0.0)
    return t_enter, first.astype(jnp.int32), count.astype(jnp.int32)


def place_in_box(
    rays: Rays,
    *,
    lower: Array,
    upper: Array,
    near: float,
    far: float,
    step_size: float,
    interval: Array | float,
    per_ray: int,
    clip: Box | None = None,
) -> Placement:
    """Samples at equal steps from a ray's entry into the box.

    Args:
      rays: [n_rays].
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box.
      near: smallest distance of a sample, scene units.
      far: largest distance of a sample.
      step_size: distance between samples, scene units.
      interval: [], what `Placement.interval` shall be.
      per_ray: number of slots on each ray.
      clip: a smaller box outside which the field is known to be empty; samples there get no slot.

    Returns:
      Placement with n_samples = per_ray; samples beyond that are the farthest ones, counted as overflow.
    """
    chex.assert_rank(rays.origins, 2)
    t_enter, first, count = sample_range(
        rays, lower=lower, upper=upper, near=near, far=far, step_size=step_size, clip=clip
    )
    slot = jnp.arange(per_ray, dtype=jnp.int32)[:, None]
    return Placement(
        distance=t_enter + ((first + slot).astype(jnp.float32) + 0.5) * step_size,
        valid=slot < count,
        interval=jnp.asarray(interval, jnp.float32),
        overflow=jnp.sum(jnp.maximum(count - per_ray, 0)),
    )


def flatten(rays: Rays) -> Rays:
    """Rays [...] as a list [n_rays]."""
    radii = None if rays.radii is None else rays.radii.reshape(-1)
    return Rays(rays.origins.reshape(-1, 3), rays.directions.reshape(-1, 3), radii)


def positions_of(rays: Rays, distance: Array) -> Array:
    """World positions [n_samples, n_rays, 3] of samples at `distance` [n_samples, n_rays]."""
    return rays.origins + distance[..., None] * rays.directions
