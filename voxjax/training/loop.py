"""The training loop: everything around the traced step that touches disk, clock and screen.

Before step i the state makes its transition (`progressive`); after it, at their cadences, scalars are
fetched, a checkpoint is saved and a preview drawn. Between two fetches the host only queues steps. Several
objects that differ in their prompt go through it as one (`together`).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.factory import make_plan, make_stage_field
from voxjax.guidance.ensemble import active_at, changes
from voxjax.guidance.memory import free_bytes
from voxjax.progressive import Plan, Stage, transition
from voxjax.run import Run, open_run
from voxjax.schedules import is_due
from voxjax.structs import TrainState
from voxjax.training import assembly, hosts
from voxjax.training.ahead import Ahead
from voxjax.training.displays import Silence
from voxjax.training.guides import Loaded
from voxjax.training.member import Member
from voxjax.training.optimiser import make_optimiser
from voxjax.training.outlook import what_slows
from voxjax.training.parallel import Devices
from voxjax.training.profile import Profile
from voxjax.training.progress import Progress
from voxjax.training.room import Room, choose_room, room_for_all
from voxjax.training.sharing import Share
from voxjax.training.step import make_step
from voxjax.training.timing import Clocks
from voxjax.training.together import Together


class Trainer:
    """Everything that objects which train as one need in memory.

    Args:
      members: the objects; their configs differ in the prompt only.
      guides: the models of each and what they encoded, from `load_guides`.
      devices: what they train on.

    Raises:
      UserError: unknown field.
    """

    def __init__(self, members: Sequence[Member], guides: Sequence[Loaded], devices: Devices):
        self._members, self._guides = tuple(members), tuple(guides)
        self._config = config = members[0].config
        self._together = Together(len(members))
        self._clocks = Clocks([member.timing for member in members])
        self._devices = devices
        # Once for all, so that the same sizes are chosen at every grid.
        self._free = free_bytes()
        self._ahead = Ahead()
        self._foreseen: tuple[Any, Callable[[], Any]] | None = None
        self._plan: Plan = make_plan(config)
        self._key = jax.random.key(config.seed)
        self._programs: tuple[Any, Callable[..., Any]] | None = None
        self._optimiser = make_optimiser(assembly.make_optimiser_options(config))
        self._inputs: Any = None
        self._specs = guides[0].specs
        self._split = config.parallel == "split"

    def train(
        self,
        states: Sequence[TrainState],
        *,
        until: int | None = None,
        preview: Callable[[Member, Run], None] | None = None,
        opening: str = "",
        profile_folder: Path | None = None,
    ) -> list[TrainState]:
        """Trains to the end, or to step `until`.

        Args:
          states: from `session.restore`, all after the same number of steps.
          until: steps to be done in all; None for all of the config's.
          preview: called with the object and its Run at its cadence.
          opening: the first line of the progress, what will happen.
          profile_folder: for a trace of some steps.

        Returns:
          The states then; the final ones are also the last checkpoints.

        Raises:
          Stuck: too many steps of an object in a row were not finite; its last good checkpoint is kept.
        """
        start, steps = int(states[0].step), self._config.steps
        first = hosts.is_first()
        show = None if first else Silence()
        bar = Progress(start, steps, opening=opening, later=what_slows(self._config, start), display=show)
        profile = Profile(profile_folder if first else None, start)
        try:
            for member in self._members:
                member.begin(start)
            state = self._devices.spread(self._together.stack(states))
            self._clocks.enter("training")
            self._clocks.restart(start)
            for step in range(start, steps if until is None else until):
                profile.before(step)
                state, metrics = self._one_step(step, state, bar)
                self._report(step + 1, metrics, bar)
                self._keep(step + 1, state, metrics, bar, preview)
        finally:
            self._ahead.close()
            profile.close()
            bar.close()
            for member in self._members:
                member.end()
        return self._here(state)

    def _here(self, state: TrainState) -> list[TrainState]:
        return self._together.apart(self._devices.gather(state))

    def _one_step(self, step: int, state: TrainState, bar: Progress) -> tuple[TrainState, Any]:
        before = self._programs
        new_grid = self._plan.rescales_before(step) or self._plan.tests_before(step)
        if self._programs is None or new_grid or step in changes(self._specs, self._config.steps):
            states = [self._changed(each) for each in self._here(state)]
            self._prepare(step, states)
            state = self._devices.spread(self._together.stack(states))
        assert self._programs is not None
        result = self._programs[1](state, self._inputs)
        if self._programs is not before:
            bar.compiled(step)
        if self._foreseen is not None:  # now that the present program is compiled
            self._ahead.start(*self._foreseen)
            self._foreseen = None
        return result

    def _changed(self, state: TrainState) -> TrainState:
        init = self._optimiser.init
        return transition(state, plan=self._plan, bake=self._bake, init_optimiser=init)[0]

    def _bake(self, stage: Stage, params: Any, tracked: Any) -> Any:
        return _bake(make_stage_field(self._config, self._plan, stage), params, tracked)

    def _prepare(self, step: int, states: Sequence[TrainState]) -> None:
        """Makes the compiled step fit grid, occupancy and guiding models, unless it does already."""
        wanted = self._sizes_at(step, [state.tracked for state in states])
        active = wanted[-1]
        if self._programs is None or self._programs[0][-1] != active:
            # First let go of the old models' memory.
            self._inputs = None
            inputs = [guides.inputs(self._key, active) for guides in self._guides]
            self._inputs = self._devices.spread(self._together.inputs(inputs))
        if self._programs is None or self._programs[0] != wanted:
            self._programs = (wanted, self._clocks.first_call(self._program(wanted)))
        later = self._plan.next_rescaling(step)
        if later is not None and self._ahead.is_of_use():
            self._foreseen = self._foresee(later, states)

    def _sizes_at(self, step: int, tracked: Sequence[Any]) -> tuple[Stage, Room, tuple[int, ...]]:
        """What the program of a step is made for: grid, room, guiding models."""
        stage, active = self._plan.stage_at(step), active_at(self._specs, step)
        free = None if self._free is None else self._free // len(tracked)
        rooms = (choose_room(self._config, self._plan, stage, each, free=free) for each in tracked)
        return stage, room_for_all(rooms), active

    def _program(self, sizes: tuple[Stage, Room, tuple[int, ...]]) -> Any:
        stage, room, active = sizes
        axis_name = self._devices.axis_name
        share = Share(axis_name, self._devices.count) if axis_name and self._split else None
        guides = self._guides[0]
        parts = assembly.make_parts(self._config, self._plan, stage, room, guides, active, share)
        return self._devices.compile(self._together.map(make_step(parts, axis_name=axis_name)))

    def _foresee(self, step: int, states: Sequence[TrainState]) -> tuple[Any, Callable[[], Any]] | None:
        """Sizes and lowering of a later grid's program, if it began with the models and scenes of today."""
        later = [self._changed(dataclasses.replace(state, step=jnp.int32(step))) for state in states]
        sizes = self._sizes_at(step, [state.tracked for state in later])
        if self._programs is None or sizes[-1] != self._programs[0][-1]:
            return None
        state, inputs = self._devices.outline(self._together.outline(later)), self._inputs
        return sizes, lambda: self._program(sizes).lower(state, inputs)

    def _report(self, done: int, metrics: Any, bar: Progress) -> None:
        if bar.wants_wait(done):
            jax.block_until_ready(metrics)
            self._clocks.waited(done)
            bar.expect(done)
        if not is_due(done, self._config.log.every, self._config.steps):
            return
        scalars = self._fetch(done, metrics)
        stage = self._plan.saved_stage(done)
        size = {f"grid/{axis}": float(n) for axis, n in zip("xyz", stage.shape, strict=True)}
        told = [
            (member, member.tell(done, each, size if self._plan.n_voxels else {}))
            for member, each in zip(self._members, scalars, strict=True)
        ]
        loss, similarity = (
            float(np.mean([each[k] for each in scalars])) for k in ("loss", "clip_similarity")
        )
        bar.update(done, loss=loss, similarity=similarity)
        for member, texts in told:
            for text in texts:
                bar.say(text if len(told) == 1 else f"{member.config.prompt}: {text}")

    def _keep(
        self,
        done: int,
        state: TrainState,
        metrics: Any,
        bar: Progress,
        preview: Callable[[Member, Run], None] | None,
    ) -> None:
        config = self._config
        save = is_due(done, config.checkpoint.every, config.steps)
        show = preview is not None and is_due(done, config.output.preview_every) and done < config.steps
        if not (save or show):
            return
        self._fetch(done, metrics)
        with bar.aside(done):
            for member, here in zip(self._members, self._here(state), strict=True):
                if save:
                    member.keep(done, here)
                if show and preview is not None and hosts.is_first():
                    preview(member, open_run(member.workdir, member.config, here))
        self._clocks.restart(done)

    def _fetch(self, done: int, metrics: Any) -> list[dict[str, float]]:
        """The metrics of each object after `done` steps, for which this waits; refuses one that is stuck."""
        scalars = self._together.scalars(jax.device_get(self._devices.gather(metrics)))
        self._clocks.waited(done)
        for member, each in zip(self._members, scalars, strict=True):
            member.refuse_stuck(done, each)
        return scalars


@partial(jax.jit, static_argnames=("field",))
def _bake(field: Any, params: Any, tracked: Any) -> Any:
    return field.apply({"params": params, "tracked": tracked}, method="bake")


def show_warnings() -> None:
    """Makes warnings one plain line each: they are meant for whoever started the run."""

    def plain(message: Any, category: Any, filename: Any, lineno: Any, line: Any = None) -> str:
        del category, filename, lineno, line
        return f"voxjax: warning: {message}\n"

    warnings.formatwarning = plain
