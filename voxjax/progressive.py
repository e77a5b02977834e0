"""Progressive scaling: which grid belongs to which step, and what happens when it changes.

Notation. A grid has (nx, ny, nz) vertices in the box [lower, upper], world frame. `ratio` is the current
over the final voxel size, at least 1; a sample stands for `step_size_voxels * ratio` units of 1 / density, so
that one raw density means the same opacity per length at every scale (DVGO; kept by Pure CLIP guidance).
A *transition* belongs to the state before step i: a rescaling, or a test that switches empty vertices off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import chex
import jax

from voxjax.fields import grid
from voxjax.schedules import resolution_at
from voxjax.structs import Array, TrainState, VoxelGrid


@dataclasses.dataclass(frozen=True)
class Stage:
    """One grid size.

    Attributes:
      shape: (nx, ny, nz) vertices.
      ratio: current over final voxel size, at least 1.
      step_size: distance between samples on a ray, scene units.
      interval: what a sample stands for, in the unit of 1 / density.
    """

    shape: tuple[int, int, int]
    ratio: float
    step_size: float
    interval: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """When the grid changes; all steps are whole numbers.

    Attributes:
      lower: smallest corner of the box, scene units.
      upper: largest corner of the box.
      n_voxels: final number of voxels; 0 for a field without a grid, whose "voxel" is the scene unit.
      boundaries: steps before which the number of voxels doubles.
      step_size_voxels: voxels between samples.
      occupancy_every: steps between occupancy tests; 0 for none.
      occupancy_offset: step of the first test.
      occupancy_threshold: alpha at or below which a vertex goes.
      density_drop: subtracted from the raw density of an explicit grid at a rescaling, after its occupancy
        test.
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    n_voxels: int
    boundaries: tuple[int, ...]
    step_size_voxels: float
    occupancy_every: int
    occupancy_offset: int
    occupancy_threshold: float
    density_drop: float

    @classmethod
    def without_grid(cls, lower: tuple, upper: tuple, step_size: float) -> Plan:
        """The plan of a field that has no grid: nothing ever changes.

        Args:
          lower: smallest corner of the box, scene units.
          upper: largest corner.
          step_size: distance between samples in pictures, scene units.
        """
        return cls(lower, upper, 0, (), step_size, 0, 0, 0.0, 0.0)

    def stage_at(self, step: int) -> Stage:
        """Returns the grid that step `step` (0-based) works on; of shape (0, 0, 0) where there is none."""
        if not self.n_voxels:
            return Stage((0, 0, 0), 1.0, self.step_size_voxels, self.step_size_voxels)
        n_voxels = resolution_at(step, final_voxels=self.n_voxels, boundaries=self.boundaries)
        size = grid.voxel_size(self.lower, self.upper, n_voxels)
        ratio = float(size / grid.voxel_size(self.lower, self.upper, self.n_voxels))
        return Stage(
            shape=grid.grid_resolution(self.lower, self.upper, n_voxels),
            ratio=ratio,
            step_size=float(self.step_size_voxels * size),
            interval=float(self.step_size_voxels * ratio),
        )

    def saved_stage(self, step: int) -> Stage:
        """Returns the grid in a checkpoint after `step` steps, whose own transition is still to come."""
        return self.stage_at(max(step - 1, 0))

    def rescales_before(self, step: int) -> bool:
        """Whether the grid changes between step `step - 1` and step `step`."""
        return step in self.boundaries and step > 0 and self.stage_at(step) != self.stage_at(step - 1)

    def next_rescaling(self, step: int) -> int | None:
        """Returns the step before which the grid grows next; None if never, or if a test comes before it."""
        later = (b for b in sorted(self.boundaries) if b > step and self.rescales_before(b))
        found = next(later, None)
        between = range(step + 1, found or 0)
        return None if any(self.tests_before(each) for each in between) else found

    def tests_before(self, step: int) -> bool:
        """Whether empty vertices are switched off before step `step`."""
        if self.occupancy_every <= 0 or step <= 0:
            return False
        return step >= self.occupancy_offset and (step - self.occupancy_offset) % self.occupancy_every == 0


def transition(
    state: TrainState,
    *,
    plan: Plan,
    bake: Callable[[Stage, Any, Any], VoxelGrid],
    init_optimiser: Callable[[Any], Any],
) -> tuple[TrainState, bool]:
    """Makes the state ready for its next step.

    Args:
      state: a state after `state.step` steps.
      plan: when what happens.
      bake: `(stage, params, tracked) -> scene` of the field at that stage.
      init_optimiser: `params -> opt_state`; at a rescaling the optimiser starts afresh, its rate included.

    Returns:
      The state, and whether anything changed.
    """
    step = int(state.step)
    if plan.rescales_before(step):
        return _rescale(state, plan=plan, bake=bake, init_optimiser=init_optimiser), True
    if plan.tests_before(step):
        stage = plan.stage_at(step)
        alive = _alive(bake(stage, state.params, state.tracked), stage.ratio, plan.occupancy_threshold)
        return dataclasses.replace(state, tracked=_with_occupancy(state.tracked, alive)), True
    return state, False


def _rescale(
    state: TrainState,
    *,
    plan: Plan,
    bake: Callable[[Stage, Any, Any], VoxelGrid],
    init_optimiser: Callable[[Any], Any],
) -> TrainState:
    stage = plan.stage_at(int(state.step))
    params = dict(state.params)
    if "grid" in params:
        params["grid"] = _resize(params["grid"], new_shape=stage.shape)
    occupancy = grid.resize_occupancy(state.tracked["occupancy"], stage.shape)
    chex.assert_shape(occupancy, stage.shape)
    tracked = {**state.tracked, "occupancy": occupancy}
    # The test comes first: behind the drop it would take what the drop was only to thin out.
    if plan.occupancy_every:
        alive = _alive(bake(stage, params, tracked), stage.ratio, plan.occupancy_threshold)
        tracked = _with_occupancy(tracked, alive)
    if "grid" in params and plan.density_drop:
        params["grid"] = params["grid"].at[..., 0].add(-plan.density_drop)
    return dataclasses.replace(state, params=params, opt_state=init_optimiser(params), tracked=tracked)


def _with_occupancy(tracked: dict[str, Array], alive: Array) -> dict[str, Array]:
    return {**tracked, "occupancy": tracked["occupancy"] & alive}


@partial(jax.jit, static_argnames=("new_shape",))
def _resize(values: Array, *, new_shape: tuple[int, int, int]) -> Array:
    values = grid.resize(values, new_shape)
    chex.assert_shape(values, (*new_shape, 4))
    return values


@jax.jit
def _alive(scene: VoxelGrid, ratio: float, threshold: float) -> Array:
    return grid.occupied_vertices(grid.vertex_alpha(scene, ratio), threshold)
