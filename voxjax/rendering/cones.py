"""Samples that stand for pieces of a cone: the moments of conical frusta, and how they tile a box.

Notation. t: distance from the ray's origin along its unit direction d, scene units. A cone has the radius
r * t at distance t; a frustum is its piece between t_start and t_end, with midpoint m and half-width h.
Samples come first, `[n_samples, n_rays]`, as in `sampling`.

Sources: mip-NeRF, Eq. 7 and its appendix, for directions of unit length; the released code of Dream Fields,
whose sections are simpler and a twelfth as wide.
"""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from voxjax.rendering.sampling import Placement, intersect_box, positions_of
from voxjax.structs import Rays

Array = jax.Array


def conical_frustum(t_start: Array, t_end: Array, radius: Array) -> tuple[Array, Array, Array]:
    """Mean and variances of a uniform density in a conical frustum.

    Args:
      t_start: [...], >= 0, scene units.
      t_end: [...], >= t_start.
      radius: [...], r, radius of the cone per unit of distance.

    Returns:
      (t_mean [...], variance_along [...], variance_across [...]): mean distance, variance along the axis, and
      variance along any one direction at right angles to it, scene units squared. Broadcasts.
    """
    # In m and h nothing of the size of t^2 cancels, as it does in the quotients of powers of t_start and
    # t_end from which the moments come.
    middle, half = (t_start + t_end) / 2.0, (t_end - t_start) / 2.0
    ratio = half**2 / jnp.maximum(3.0 * middle**2 + half**2, 1e-30)
    t_mean = middle + 2.0 * middle * ratio
    along = half**2 / 3.0 - 4.0 / 15.0 * ratio**2 * (12.0 * middle**2 - half**2)
    across = radius**2 * (middle**2 / 4.0 + half**2 * (5.0 / 12.0 - 4.0 / 15.0 * ratio))
    return t_mean, along, across


def released_section(t_start: Array, t_end: Array, radius: Array) -> tuple[Array, Array, Array]:
    """Mean and variances as Dream Fields' released code has them; arguments and results as above.

    The mean is the middle, the variance along the axis h^2 / 3, and across it (m r)^2 / 48: with r of a
    pixel's variance, 2 / sqrt(12) of its width, that is m^2 * width^2 / 144, a twelfth of mip-NeRF's.
    """
    middle, half = (t_start + t_end) / 2.0, (t_end - t_start) / 2.0
    return middle, half**2 / 3.0, (middle * radius) ** 2 / 48.0


SECTIONS = {"mipnerf": conical_frustum, "released": released_section}
"""How a stretch of a cone becomes a Gaussian, by name."""


def jittered_edges(key: Array | None, n_samples: int, n_rays: int, *, ends: bool = False) -> Array:
    """Edges of the intervals of all rays, as shares of the way from entry to exit.

    Args:
      key: PRNG key; None places the edges evenly.
      n_samples: number of intervals on a ray.
      n_rays: number of rays, each with its own draws.
      ends: whether the two ends move as the others do (Dream Fields' released code), which takes the first
        and the last interval up to half an even one beyond the way, or makes it shorter; else the intervals
        fill the way.

    Returns:
      [n_samples + 1, n_rays], rising from about 0 to about 1. An edge is uniform in its stratum, half an even
      interval to both sides of its even place, so that edges never cross.
    """
    even = jnp.arange(n_samples + 1, dtype=jnp.float32)[:, None] / n_samples
    if key is None:
        return jnp.broadcast_to(even, (n_samples + 1, n_rays))
    moving = n_samples + 1 if ends else n_samples - 1
    shift = jax.random.uniform(key, (moving, n_rays), minval=-0.5, maxval=0.5) / n_samples
    if ends:
        return even + shift
    return even + jnp.pad(shift, ((1, 1), (0, 0)))


def place_in_cones(
    rays: Rays,
    *,
    lower: Array,
    upper: Array,
    near: float,
    far: float,
    n_samples: int,
    key: Array | None = None,
    section: str = "mipnerf",
    jitter_ends: bool = False,
) -> Placement:
    """As many frusta on each ray as it takes to fill the way from its entry into the box to its exit.

    Args:
      rays: [n_rays]; those without radii are cones of radius 0.
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box.
      near: smallest distance of interest, scene units.
      far: largest distance of interest.
      n_samples: frusta on each ray.
      key: PRNG key of the jitter of training; None for equal lengths.
      section: name in `SECTIONS`.
      jitter_ends: see `jittered_edges`.

    Returns:
      Placement [n_samples, n_rays]: samples at the mean distances of the frusta, their variances, and as
      `interval` their lengths in scene units. Rays that miss the box have no valid sample, and a sample
      whose mean lies outside of it is none.
    """
    chex.assert_rank(rays.origins, 2)
    n_rays = rays.origins.shape[0]
    t_enter, t_exit = intersect_box(rays, lower, upper, near=near, far=far)
    hits = t_exit > t_enter
    shares = jittered_edges(key, n_samples, n_rays, ends=jitter_ends)
    edges = t_enter + shares * jnp.where(hits, t_exit - t_enter, 0.0)
    radius = jnp.zeros(n_rays) if rays.radii is None else rays.radii
    distance, along, across = SECTIONS[section](edges[:-1], edges[1:], radius)
    chex.assert_shape([distance, along, across], (n_samples, n_rays))
    valid = jnp.broadcast_to(hits, distance.shape)
    if jitter_ends:
        positions = positions_of(rays, distance)
        valid &= jnp.all((positions >= lower) & (positions <= upper), axis=-1)
    return Placement(
        distance=distance,
        valid=valid,
        interval=edges[1:] - edges[:-1],
        overflow=jnp.zeros((), jnp.int32),
        variance_along=along,
        variance_across=across,
    )
