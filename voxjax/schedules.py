"""Values that change with the step.

Notation. A schedule is a function from the step (a Python int, or a traced integer scalar; 0 before the first
update) to a float32 scalar. Everything but `resolution_at` and `steps_from_fraction` can be traced; those two
decide shapes and stay on the host. Windows are half open: [start, end).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import chex
import jax.numpy as jnp

from voxjax.structs import Array

Schedule = Callable[[chex.Numeric], Array]


def constant(value: float) -> Schedule:
    """The same value at every step."""

    def schedule(step: chex.Numeric) -> Array:
        del step
        return jnp.asarray(value, jnp.float32)

    return schedule


def exponential_anneal(start: float, end: float, n_steps: int) -> Schedule:
    """Goes from `start` to `end` along a straight line of the logarithm, then stays.

    Args:
      start: value at step 0, positive.
      end: value from step `n_steps` on, positive.
      n_steps: length of the way in steps; 0 means `end` from the first step.

    Returns:
      The schedule start^(1 - t) * end^t with t = min(step / n_steps, 1) (Dream Fields, opacity target).

    Raises:
      ValueError: if an end is not positive or `n_steps` is negative.
    """
    if start <= 0 or end <= 0 or n_steps < 0:
        raise ValueError(
            f"exponential_anneal needs positive ends and n_steps >= 0: {start}, {end}, {n_steps}"
        )

    def schedule(step: chex.Numeric) -> Array:
        if n_steps == 0:
            return jnp.asarray(end, jnp.float32)
        share = jnp.clip(jnp.asarray(step, jnp.float32) / n_steps, 0.0, 1.0)
        return jnp.exp((1 - share) * math.log(start) + share * math.log(end))

    return schedule


def exponential_decay(initial: float, *, factor: float = 0.1, every: int = 20_000) -> Schedule:
    """Decays without end: initial * factor^(step / every).

    Args:
      initial: value at step 0.
      factor: what `every` steps multiply the value by; the learning rates of both voxel fields fall by 10.
      every: steps, positive; 20k in the paper.

    Returns:
      The schedule.

    Raises:
      ValueError: if `every` or `factor` is not positive.
    """
    if every <= 0 or factor <= 0:
        raise ValueError(f"decay needs a positive factor and every: {factor}, {every}")

    def schedule(step: chex.Numeric) -> Array:
        return initial * jnp.exp(jnp.asarray(step, jnp.float32) * (math.log(factor) / every))

    return schedule


def window(start: int, end: int) -> Schedule:
    """1.0 while start <= step < end, else 0.0.

    Args:
      start: first step inside.
      end: first step after; `end <= start` gives a window that never opens.

    Returns:
      The schedule.
    """

    def schedule(step: chex.Numeric) -> Array:
        step = jnp.asarray(step)
        return ((step >= start) & (step < end)).astype(jnp.float32)

    return schedule


def transmittance_target(
    *, opacity_start: float = 0.5, opacity_end: float = 0.1, n_steps: int = 500, opacity_scale: float = 1.0
) -> Schedule:
    """Target of the mean transmittance: one minus an annealed target of the opacity.

    Args:
      opacity_start: target of the mean opacity at step 0, in (0, 1).
      opacity_end: target from step `n_steps` on, in (0, 1).
      n_steps: length of the annealing in steps (both references: 500).
      opacity_scale: factor on the opacity target, which stays at most 1; Dream Fields corrects for the camera
        with focal_multiplier^2 / (radius / 4)^2 / 1.2.

    Returns:
      The schedule tau(step) for `losses.transmittance_loss`.
    """
    opacity = exponential_anneal(opacity_start, opacity_end, n_steps)
    return lambda step: 1.0 - jnp.minimum(1.0, opacity_scale * opacity(step))


def resolution_at(step: int, *, final_voxels: int, boundaries: tuple[int, ...]) -> int:
    """Number of voxels of the grid at a step, under progressive scaling.

    Args:
      step: steps finished; at a boundary the finer grid is already in place.
      final_voxels: number of voxels after the last boundary, for example 140**3.
      boundaries: steps at which the number of voxels doubles, ascending; () for a fixed grid.

    Returns:
      final_voxels / 2^(boundaries not yet reached), rounded down.

    Raises:
      ValueError: if the boundaries do not ascend.
    """
    if list(boundaries) != sorted(set(boundaries)):
        raise ValueError(f"the steps of progressive scaling must ascend: {boundaries}")
    return final_voxels // 2 ** sum(step < boundary for boundary in boundaries)


def step_number(fraction: float, *, steps: int, of: int = 0) -> int:
    """Step at which a share of the schedule is over.

    Args:
      fraction: share of the schedule; exactly 1 means the end of the run, however long it is.
      steps: of the run.
      of: steps that the schedule was written for, which fractions then refer to; 0 for those of the run, so
        that the schedule stretches with it.

    Returns:
      The nearest whole step (halves up).
    """
    return max(steps, of) if fraction == 1.0 else steps_from_fraction(fraction, of or steps)


def steps_from_fraction(fraction: float, total: int) -> int:
    """Step at which a share of the run is over.

    Args:
      fraction: share of the run, usually in [0, 1].
      total: steps of the run.

    Returns:
      fraction * total to the nearest integer (halves up), so that k / 15000 of 15000 steps is k again.
    """
    return math.floor(fraction * total + 0.5)


def is_due(step: int, every: int, last: int | None = None) -> bool:
    """The one predicate of every cadence: whether something happens after step `step` (counted from 1).

    Args:
      step: steps finished.
      every: steps between two times; 0 for never, apart from `last`.
      last: the final step, which is always due.
    """
    return step == last or (every > 0 and step % every == 0)
