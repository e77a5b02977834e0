"""One object of a training loop: what it has of its own on disk. The loop may train several as one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import jax
from ml_collections import ConfigDict

from voxjax.checkpoint import Checkpoints, to_state
from voxjax.errors import UserError
from voxjax.fields import FIELDS, has_grid
from voxjax.run import CHECKPOINTS
from voxjax.structs import TrainState
from voxjax.training import hosts
from voxjax.training.metrics import ScalarWriter
from voxjax.training.timing import Timing
from voxjax.training.watch import SceneWatch


class Stuck(UserError):
    """An object whose steps are not finite any more.

    Attributes:
      member: the object.
    """

    def __init__(self, member: Member, words: str):
        super().__init__(words)
        self.member = member


class Member:
    """The folder of one object while it trains; it is written by the first process alone (see `hosts`).

    Args:
      config: of the object.
      workdir: its folder.

    Attributes:
      config: as given.
      workdir: as given.
      timing: the clock of this process, which `keep` writes with each checkpoint.
    """

    def __init__(self, config: ConfigDict, workdir: str | Path):
        self.config, self.workdir = config, Path(workdir)
        self.timing = Timing(workdir)
        self._checkpoints = Checkpoints(self.workdir / CHECKPOINTS, keep=config.checkpoint.keep)
        self._watch = SceneWatch(config.log.warn_after, on_grid=has_grid(FIELDS.get(config.field.name)))
        self._writer: ScalarWriter | None = None
        self._writes = hosts.is_first()

    def is_finished(self) -> bool:
        """Returns whether the last step's checkpoint is there and sound.

        Raises:
          UserError: it cannot be read now.
        """
        steps = self.config.steps
        with self._reading():
            return steps in self._checkpoints.steps() and not self._checkpoints.damage(steps)

    def restore(self, first: TrainState) -> TrainState:
        """Returns the latest sound checkpoint's state, or `first`, the state of a new run.

        Damaged ones later than it are removed; where all are damaged they are kept in a folder of their own.

        Raises:
          UserError: a checkpoint cannot be read now; nothing is removed.
        """
        try:
            with self._reading():
                tree = self._checkpoints.restore_latest()
        except ValueError as error:
            where = self._checkpoints.set_aside()
            warnings.warn(f"{error}; training begins anew, and they are kept in {where}", stacklevel=2)
            return first
        state = first if tree is None else to_state(tree, opt_state=first.opt_state)
        self._checkpoints.discard_after(int(state.step))
        return state

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """A disk that does not answer is no damage: training anew over it would lose the run."""
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self.workdir}: its checkpoints cannot be read now ({error}); start again when they can, "
                "nothing is lost"
            ) from error

    def follow(self, first: TrainState, step: int) -> TrainState:
        """Returns the state after `step` steps, which the first process restored.

        Raises:
          UserError: this process does not see the checkpoint.
        """
        if step == int(first.step):
            return first
        try:
            return to_state(self._checkpoints.restore(step), opt_state=first.opt_state)
        except (ValueError, OSError) as error:
            raise UserError(
                f"{self.workdir}: process {jax.process_index()} cannot read the checkpoint of step {step} "
                f"({error}); give a --workdir that all machines see"
            ) from error

    def begin(self, step: int) -> None:
        """Opens the log of scalars after `step` steps; what was told about later ones is removed."""
        if self._writes:
            self._writer = ScalarWriter(self.workdir, start=step)

    def tell(self, step: int, scalars: Mapping[str, float], size: Mapping[str, float]) -> Sequence[str]:
        """Logs the scalars of a step and the grid's size; returns the warnings that are new."""
        if self._writer is None:
            return ()
        self._writer.write(step, {**scalars, **size})
        return self._watch.look(step, scalars)

    def keep(self, step: int, state: TrainState) -> None:
        """Saves the state after `step` steps."""
        if not self._writes:
            return
        # First the clock: a kill in the save then loses no second that was spent.
        self.timing.write(step)
        self._checkpoints.save(state)

    def end(self) -> None:
        """Closes what `begin` and `keep` opened."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._checkpoints.close()

    def refuse_stuck(self, done: int, scalars: Mapping[str, float]) -> None:
        """Looks whether the object moves at all.

        Raises:
          Stuck: too many steps in a row were not finite; the last good checkpoint is kept.
        """
        limit = self.config.optimiser.max_bad_steps
        if scalars["skipped_in_row"] < limit:
            return
        steps = self._checkpoints.steps()
        kept = f"the checkpoint of step {steps[-1]} is kept" if steps else "there is no checkpoint yet"
        raise Stuck(
            self,
            f"{self.workdir}: stopped at step {done}: {limit} steps in a row had a loss or gradient that is "
            f"not finite; {kept}. Lower --config.optimiser.rate_density and rate_colour, or set "
            "--config.clip.dtype=float32, and start again in a new workdir",
        )
