"""The renderer of a training step: it asks the field only where there are samples, and composites.

Notation. Samples come first, `[n_samples, n_rays]`, front to back; `n` numbers the flat list of samples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from jax import lax

from voxjax.rendering import sampling
from voxjax.rendering.budget import SampleBudget
from voxjax.rendering.compositing import composite
from voxjax.structs import Rays, Rendering, Samples

Array = jax.Array
_FAR_AWAY = 1e6  # scene units, outside of every box and range of distances
Query = Callable[[Any, Samples], tuple[Array, Array]]
"""(scene, samples [...]) -> (density [...], colour [..., 3])."""


@jax.custom_vjp
def _take(source: Array, index: Array, back: Array) -> Array:
    """Rows of `source` [a, c] at `index` [b], zero where it is a or more; `back` [a] is the inverse index.

    Each row is taken at most once, so the gradient is a read through `back` and not a scatter.
    """
    del back
    return source.at[index].get(mode="fill", fill_value=0)


def _take_forward(source, index, back):
    return _take(source, index, back), back


def _take_backward(back, gradient):
    return gradient.at[back].get(mode="fill", fill_value=0), None, None


_take.defvjp(_take_forward, _take_backward)


def _compact(valid: Array, capacity: int) -> tuple[Array, Array, Array]:
    """Numbers the valid slots: the flat list and the dense layout, each as an index into the other.

    Returns:
      (slot of each list entry [capacity], list entry of each slot [n_slots], entries left out []). Slots are
      numbered front to back over all rays, so what does not fit is what lies farthest. An index equal to the
      length of its target means none.
    """
    valid = valid.reshape(-1)
    entry = jnp.cumsum(valid.astype(jnp.int32)) - 1
    total = entry[-1] + 1
    entry = jnp.where(valid & (entry < capacity), entry, capacity)
    slots = jnp.arange(valid.size, dtype=jnp.int32)
    slot = jnp.full(capacity, valid.size, jnp.int32).at[entry].set(slots, mode="drop", unique_indices=True)
    return slot, entry, jnp.maximum(total - capacity, 0)


def render_placed(
    query: Query, scene: Any, rays: Rays, placement: sampling.Placement, *, capacity: int | None = None
) -> Rendering:
    """Renders rays whose samples are already placed.

    Args:
      query: the field's `query`.
      scene: what `query` reads.
      rays: [n_rays].
      placement: samples [n_samples, n_rays].
      capacity: static length of the flat list of valid samples that is queried; None queries every slot.

    Returns:
      Rendering [n_rays] with its centroid; `overflow` adds what `placement` and the flat list had no room
      for.
    """
    n_samples, n_rays = placement.valid.shape
    interval = jnp.broadcast_to(placement.interval, placement.valid.shape)
    overflow = placement.overflow
    if capacity is None or capacity >= n_samples * n_rays:
        positions = sampling.positions_of(rays, placement.distance)
        direction = jnp.broadcast_to(rays.directions, positions.shape)
        density, colour = query(scene, _samples(positions, direction, placement, lambda per_slot: per_slot))
    else:
        slot, entry, left_out = _compact(placement.valid, capacity)
        overflow = overflow + left_out
        # Idle list entries ask for some other slot, each for another one: nothing reads what they get, and
        # their zero gradients must not all queue for one voxel.
        slot_or_any = jnp.where(slot < n_samples * n_rays, slot, jnp.arange(capacity, dtype=jnp.int32))
        ray = slot_or_any % n_rays
        distance = placement.distance.reshape(-1)[slot_or_any]
        positions = rays.origins[ray] + distance[:, None] * rays.directions[ray]
        samples = _samples(
            positions, rays.directions[ray], placement, lambda per_slot: per_slot.reshape(-1)[slot_or_any]
        )
        density, colour = query(scene, samples)
        packed = jnp.concatenate([density[:, None], colour], axis=-1)
        chex.assert_shape(packed, (capacity, 4))
        dense = _take(packed, entry, slot).reshape(n_samples, n_rays, 4)
        density, colour = dense[..., 0], dense[..., 1:]
    chex.assert_shape([density, colour], [(n_samples, n_rays), (n_samples, n_rays, 3)])
    extinction = jnp.where(placement.valid, density * interval, 0.0)
    colour, transmittance, depth = composite(extinction, colour, placement.distance)
    return Rendering(colour, transmittance, depth, overflow, *_centroid(rays, placement, density))


def _samples(
    positions: Array, direction: Array, placement: sampling.Placement, pick: Callable[[Array], Array]
) -> Samples:
    """What the field is asked; `pick` chooses from an array [n_samples, n_rays]."""
    interval = placement.interval if placement.interval.ndim == 0 else pick(placement.interval)
    if placement.variance_along is None or placement.variance_across is None:
        return Samples(positions, interval)
    along, across = pick(placement.variance_along), pick(placement.variance_across)
    return Samples(positions, interval, direction, along, across)


def _centroid(rays: Rays, placement: sampling.Placement, density: Array) -> tuple[Array, Array]:
    """(mean of the sample positions weighted with density [n_samples, n_rays], sum of the density).

    Costs nothing where it is not used.
    """
    mass = lax.stop_gradient(jnp.where(placement.valid, density, 0.0))
    # Positions, and not origins and directions apart: their sums are far larger than what they add up to.
    moment = jnp.sum(mass[..., None] * sampling.positions_of(rays, placement.distance), axis=(0, 1))
    return moment / jnp.sum(mass), jnp.sum(mass)


def render_rays(
    query: Query,
    scene: Any,
    rays: Rays,
    *,
    near: float,
    far: float,
    step_size: float,
    interval: Array | float,
    lower: Array,
    upper: Array,
    budget: SampleBudget,
    clip: sampling.Box | None = None,
    occupied: Callable[[Any, Array], Array] | None = None,
) -> Rendering:
    """Renders rays with samples at equal steps inside a box; jit with `query`, `budget`, `occupied` static.

    Args:
      query: the field's `query`.
      scene: what `query` reads.
      rays: [...], any leading axes; all of them share one flat list of samples.
      near: smallest distance of a sample, scene units.
      far: largest distance of a sample.
      step_size: distance between samples, scene units.
      interval: [], length that a sample stands for, in the unit of 1 / density.
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box.
      budget: room for samples; what does not fit is left out, farthest first, and counted in `overflow`.
      clip: a smaller box outside which the field is empty: saves slots, changes nothing else.
      occupied: (scene, positions [..., 3]) -> [...] bool, False where the field is empty: saves list entries.

    Returns:
      Rendering [...], colour premultiplied and without background.
    """
    flat, parts = sampling.flatten(rays), budget.parts
    room = budget if parts == 1 else budget.part(flat.origins.shape[0], parts)

    def render_some(some: Rays) -> Rendering:
        placement = sampling.place_in_box(
            some,
            lower=lower,
            upper=upper,
            near=near,
            far=far,
            step_size=step_size,
            interval=interval,
            per_ray=room.per_ray,
            clip=clip,
        )
        if occupied is not None:
            where = occupied(scene, sampling.positions_of(some, placement.distance))
            placement = dataclasses.replace(placement, valid=placement.valid & where)
        return render_placed(query, scene, some, placement, capacity=room.capacity)

    out = render_some(flat) if parts == 1 else _in_parts(render_some, flat, parts)
    return with_shape(out, rays.origins.shape[:-1])


def _in_parts(render_some: Callable[[Rays], Rendering], rays: Rays, parts: int) -> Rendering:
    """`render_some` of rays [n_rays], part by part, each forgotten and rendered again for the gradient.

    Every k-th ray belongs to a part, so that all parts have about as many samples.
    """
    n_rays = rays.origins.shape[0]
    rows = -(-n_rays // parts)
    index = jnp.arange(rows)[None, :] * parts + jnp.arange(parts)[:, None]
    pieces = jax.tree.map(lambda leaf: leaf[jnp.minimum(index, n_rays - 1)], rays)
    # What fills up the last row sees nothing.
    pieces = dataclasses.replace(
        pieces, origins=jnp.where((index < n_rays)[..., None], pieces.origins, _FAR_AWAY)
    )
    out = lax.map(jax.checkpoint(render_some, prevent_cse=False), pieces)

    def join(leaf: Array) -> Array:
        return jnp.swapaxes(leaf, 0, 1).reshape(-1, *leaf.shape[2:])[:n_rays]

    mass = jnp.sum(out.mass)
    moment = jnp.sum(jnp.where(out.mass[:, None] > 0, out.centroid * out.mass[:, None], 0.0), axis=0)
    return dataclasses.replace(
        out,
        colour=join(out.colour),
        transmittance=join(out.transmittance),
        depth=join(out.depth),
        overflow=jnp.sum(out.overflow),
        centroid=moment / mass,
        mass=mass,
    )


def with_shape(out: Rendering, leading: tuple[int, ...]) -> Rendering:
    """A Rendering [n_rays] as one of shape [*leading]."""
    return dataclasses.replace(
        out,
        colour=out.colour.reshape((*leading, 3)),
        transmittance=out.transmittance.reshape(leading),
        depth=out.depth.reshape(leading),
    )
