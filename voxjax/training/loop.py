"""The training loop: everything around the traced step that touches disk, clock and screen.

Before step i the state makes its transition (`progressive`); after it, at their cadences, scalars are
fetched, a checkpoint is saved and a preview drawn. Between two fetches the host only queues steps.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from voxjax.checkpoint import Checkpoints, to_state
from voxjax.errors import UserError
from voxjax.factory import make_plan, make_stage_field
from voxjax.guidance.ensemble import active_at, changes, guide_specs
from voxjax.progressive import Plan, Stage, transition
from voxjax.run import CHECKPOINTS, Run, open_run
from voxjax.schedules import is_due
from voxjax.structs import TrainState
from voxjax.training import assembly
from voxjax.training.guides import load_guides
from voxjax.training.metrics import ScalarWriter
from voxjax.training.optimiser import make_optimiser
from voxjax.training.outlook import what_slows
from voxjax.training.parallel import Devices
from voxjax.training.profile import Profile
from voxjax.training.progress import Progress
from voxjax.training.sharing import Share
from voxjax.training.step import make_step
from voxjax.training.timing import Timing
from voxjax.training.views import choose_room
from voxjax.training.watch import SceneWatch


class Trainer:
    """Everything that one run needs in memory.

    Args:
      config: the config.
      workdir: the run's folder.

    Attributes:
      timing: the clock of this process, which `train` writes with each checkpoint.

    Raises:
      UserError: unknown field, or fewer devices than asked for.
    """

    def __init__(self, config: ConfigDict, workdir: str | Path):
        self._config, self._workdir = config, Path(workdir)
        self.timing = Timing(workdir)
        try:
            self._devices = Devices(config.devices)
        except ValueError as error:
            raise UserError(f"--config.devices={config.devices}: {error}") from error
        self._plan: Plan = make_plan(config)
        self._checkpoints = Checkpoints(self._workdir / CHECKPOINTS, keep=config.checkpoint.keep)
        self._key = jax.random.key(config.seed)
        self._programs: tuple[Any, Callable[..., Any]] | None = None
        self._optimiser = make_optimiser(assembly.make_optimiser_options(config))
        self._guides: Any = None
        self._inputs: Any = None
        self._specs = guide_specs(config)
        self._split = config.parallel == "split"

    def is_finished(self) -> bool:
        """Returns whether the last step's checkpoint is there and sound."""
        steps = self._config.steps
        return steps in self._checkpoints.steps() and not self._checkpoints.damage(steps)

    def restore(self) -> TrainState:
        """Returns the latest sound checkpoint's state, or the first state of a new run."""
        try:
            tree = self._checkpoints.restore_latest()
        except ValueError as error:
            warnings.warn(f"{error}; training begins anew", stacklevel=2)
            tree = None
        fresh = assembly.first_state(self._config, self._plan, jax.random.fold_in(self._key, 2**31))
        state = fresh if tree is None else to_state(tree, opt_state=fresh.opt_state)
        self._checkpoints.discard_after(int(state.step))
        return state

    def load_guides(self) -> None:
        """Loads the guidance models and encodes the prompt; `train` needs it.

        Raises:
          UserError: a model is unknown, or the prompt outside its vocabulary.
        """
        self._guides = load_guides(self._config)

    def train(
        self,
        state: TrainState,
        *,
        preview: Callable[[Run], None] | None = None,
        opening: str = "",
        profile_folder: Path | None = None,
    ) -> TrainState:
        """Trains to the end.

        Args:
          state: from `restore`.
          preview: called with the Run at its cadence.
          opening: the first line of the progress, what will happen.
          profile_folder: for a trace of some steps.

        Returns:
          The final state, which is also the last checkpoint.

        Raises:
          UserError: too many steps in a row were not finite; the last good checkpoint is kept.
        """
        start, steps = int(state.step), self._config.steps
        writer = ScalarWriter(self._workdir, start=start)
        bar = Progress(start, steps, opening=opening, later=what_slows(self._config, start))
        watch = SceneWatch(self._config.log.warn_after)
        profile = Profile(profile_folder, start)
        try:
            state = self._devices.spread(state)
            self.timing.enter("training")
            self.timing.restart(start)
            for step in range(start, steps):
                profile.before(step)
                state, metrics = self._one_step(step, state, bar)
                self._report(step + 1, metrics, writer, bar, watch)
                state = self._keep(step + 1, state, metrics, bar, preview)
        finally:
            profile.close()
            writer.close()
            bar.close()
            self._checkpoints.close()
        return self._devices.gather(state)

    def _one_step(self, step: int, state: TrainState, bar: Progress) -> tuple[TrainState, Any]:
        before = self._programs
        new_grid = self._plan.rescales_before(step) or self._plan.tests_before(step)
        if self._programs is None or new_grid or step in changes(self._specs, self._config.steps):
            state, _ = transition(
                self._devices.gather(state),
                plan=self._plan,
                bake=self._bake,
                init_optimiser=self._optimiser.init,
            )
            self._prepare(step, state)
            state = self._devices.spread(state)
        assert self._programs is not None
        result = self._programs[1](state, self._inputs)
        if self._programs is not before:
            bar.compiled(step)
        return result

    def _bake(self, stage: Stage, params: Any, tracked: Any) -> Any:
        field = make_stage_field(self._config, self._plan, stage)
        return jax.jit(lambda variables: field.apply(variables, method="bake"))(
            {"params": params, "tracked": tracked}
        )

    def _prepare(self, step: int, state: TrainState) -> None:
        """Makes the compiled step fit grid, occupancy and guiding models, unless it does already."""
        stage, active = self._plan.stage_at(step), active_at(self._specs, step)
        room = choose_room(self._config, self._plan, stage, state.tracked)
        wanted = (stage, room, active)
        if self._programs is None or self._programs[0][-1] != active:
            # First let go of the old models' memory.
            self._inputs = None
            self._inputs = self._devices.spread(self._guides.inputs(self._key, active))
        if self._programs is None or self._programs[0] != wanted:
            axis_name = self._devices.axis_name
            share = Share(axis_name, self._devices.count) if axis_name and self._split else None
            parts = assembly.make_parts(self._config, self._plan, stage, room, self._guides, active, share)
            program = self._devices.compile(make_step(parts, axis_name=axis_name))
            self._programs = (wanted, self.timing.first_call(program))

    def _report(
        self, done: int, metrics: Any, writer: ScalarWriter, bar: Progress, watch: SceneWatch
    ) -> None:
        if bar.wants_wait(done):
            jax.block_until_ready(metrics)
            self.timing.waited(done)
            bar.expect(done)
        if not is_due(done, self._config.log.every, self._config.steps):
            return
        scalars = self._fetch(metrics)
        self.timing.waited(done)
        self._stop_if_stuck(done, scalars)
        stage = self._plan.saved_stage(done)
        size = {f"grid/{axis}": float(n) for axis, n in zip("xyz", stage.shape, strict=True)}
        writer.write(done, scalars | (size if self._plan.n_voxels else {}))
        bar.update(done, loss=scalars["loss"], similarity=scalars["clip_similarity"])
        for text in watch.look(done, scalars):
            bar.say(text)

    def _keep(
        self,
        done: int,
        state: TrainState,
        metrics: Any,
        bar: Progress,
        preview: Callable[[Run], None] | None,
    ) -> TrainState:
        config = self._config
        save = is_due(done, config.checkpoint.every, config.steps)
        show = preview is not None and is_due(done, config.output.preview_every) and done < config.steps
        if save or show:
            self._stop_if_stuck(done, self._fetch(metrics))
            self.timing.waited(done)
            with bar.aside(done):
                here = self._devices.gather(state)
                if save:
                    # First the clock: a kill in the save then loses no second that was spent.
                    self.timing.write(done)
                    self._checkpoints.save(here)
                if show and preview is not None:
                    preview(open_run(self._workdir, config, here))
            self.timing.restart(done)
        return state

    def _fetch(self, metrics: Any) -> dict[str, float]:
        return {name: float(value) for name, value in jax.device_get(self._devices.gather(metrics)).items()}

    def _stop_if_stuck(self, done: int, scalars: dict[str, float]) -> None:
        limit = self._config.optimiser.max_bad_steps
        if scalars["skipped_in_row"] < limit:
            return
        steps = self._checkpoints.steps()
        kept = f"the checkpoint of step {steps[-1]} is kept" if steps else "there is no checkpoint yet"
        raise UserError(
            f"stopped at step {done}: {limit} steps in a row had a loss or gradient that is not finite; "
            f"{kept}. Lower --config.optimiser.rate_density and rate_colour, or set "
            "--config.clip.dtype=float32, and start again in a new workdir"
        )


def show_warnings() -> None:
    """Makes warnings one plain line each: they are meant for whoever started the run."""

    def plain(message: Any, category: Any, filename: Any, lineno: Any, line: Any = None) -> str:
        del category, filename, lineno, line
        return f"voxjax: warning: {message}\n"

    warnings.formatwarning = plain
