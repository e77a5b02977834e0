"""How many samples a training step must have room for, in static numbers.

Notation. Rays are a flat list, `[n_rays, ...]`; see `sampling` for where samples lie on them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.rendering.sampling import Box, flatten, place_in_box, positions_of, sample_range
from voxjax.structs import Rays

Array = jax.Array


WORTH_A_LIST = 0.7
"""Share of valid slots above which making the flat list costs more time than querying every slot."""


@dataclasses.dataclass(frozen=True)
class SampleBudget:
    """Room for samples, in static numbers: changing one compiles the renderer again.

    Attributes:
      per_ray: most samples on one ray.
      capacity: most samples of all rays together; `per_ray * n_rays` or more switches the flat list off.
      parts: in so many parts the rays are rendered, one after another, and again in the backward pass: memory
        is that of one part, pictures and gradients are the same up to rounding.
    """

    per_ray: int
    capacity: int
    parts: int = 1

    def part(self, n_rays: int, count: int) -> SampleBudget:
        """Room for every count-th of the n_rays rays: what is even on average, and some more for chance."""
        rows = -(-n_rays // count)
        every_slot = self.per_ray * rows
        if self.capacity >= self.per_ray * n_rays:
            return SampleBudget(self.per_ray, every_slot, self.parts)
        fair = self.capacity * rows / n_rays
        spare = 4.0 * self.per_ray * np.sqrt(rows / count)
        return SampleBudget(self.per_ray, min(round_up(int(np.ceil(fair + spare))), every_slot), self.parts)


WHOLE_SLACK = 1.02
"""Room to spare where every sample in the box counts: no view had 1.001 times those of the views asked."""

LONGEST_SLACK = 1.02
"""Room to spare on a ray: the longest changes little between neighbouring views."""


def round_up(n: int) -> int:
    """The next number of the form m * 2^k, m in 32 .. 63, so that few different sizes are ever compiled."""
    unit = 1 << max(0, int(n - 1).bit_length() - 6)
    return max(8, -(-n // unit) * unit)


@functools.partial(jax.jit, static_argnames=("per_ray", "occupied"))
def count_samples(
    scene: Any,
    rays: Rays,
    *,
    lower: Array,
    upper: Array,
    near: float,
    far: float,
    step_size: float,
    clip: Box | None = None,
    per_ray: int = 0,
    occupied: Callable[[Any, Array], Array] | None = None,
) -> tuple[Array, Array]:
    """(samples on the fullest ray [n_poses], samples that need a slot in the flat list [n_poses]).

    Of rays [n_poses, height, width], one view at a time. With `occupied`, which needs `per_ray`, only
    occupied samples count for the second.
    """
    geometry: dict[str, Any] = {
        "lower": lower,
        "upper": upper,
        "near": near,
        "far": far,
        "step_size": step_size,
        "clip": clip,
    }

    def of_view(view: Rays) -> tuple[Array, Array]:
        view = flatten(view)
        count = sample_range(view, **geometry)[2]
        if occupied is None:
            return jnp.max(count), jnp.sum(count)
        placement = place_in_box(view, **geometry, interval=0.0, per_ray=per_ray)
        valid = placement.valid & occupied(scene, positions_of(view, placement.distance))
        return jnp.max(count), jnp.sum(valid)

    return jax.lax.map(of_view, rays)


def budget_for(
    scene: Any,
    rays: Rays,
    *,
    lower: Array,
    upper: Array,
    near: float,
    far: float,
    step_size: float,
    clip: Box | None = None,
    occupied: Callable[[Any, Array], Array] | None = None,
    views_per_step: int = 1,
    slack: float = WHOLE_SLACK,
) -> SampleBudget:
    """How much room a training step needs; a host computation, to be repeated when grid or occupancy changes.

    Args:
      scene: what `occupied` is asked about (unused without it).
      rays: [n_poses, height, width], some of the views that training may draw.
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box.
      near: as in `place_in_box`.
      far: as in `place_in_box`.
      step_size: as in `place_in_box`.
      clip: as in `place_in_box`.
      occupied: (scene, positions [..., 3]) -> [...] bool; where it is False no slot is needed.
      views_per_step: images that one step renders together.
      slack: room to spare for views that are not among `rays`, times what these need.

    Returns:
      A budget with both numbers rounded up to few distinct values.
    """
    geometry: dict[str, Any] = {
        "lower": lower,
        "upper": upper,
        "near": near,
        "far": far,
        "step_size": step_size,
        "clip": clip,
    }
    n_rays = int(np.prod(rays.origins.shape[1:-1]))
    longest = int(np.max(count_samples(scene, rays, **geometry)[0]))
    deepest = int(np.ceil((far - near) / step_size)) + 1
    per_ray = min(round_up(int(np.ceil(longest * LONGEST_SLACK)) + 1), round_up(deepest))
    fullest = int(np.max(count_samples(scene, rays, **geometry, per_ray=per_ray, occupied=occupied)[1]))
    capacity = round_up(int(np.ceil(fullest * slack)) * views_per_step)
    every_slot = per_ray * n_rays * views_per_step
    return SampleBudget(per_ray, capacity if capacity < WORTH_A_LIST * every_slot else every_slot)
