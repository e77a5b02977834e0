"""A run on disk, opened for looking at it: pictures, evaluation and export start here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax import run_files
from voxjax.checkpoint import Checkpoints, to_state
from voxjax.errors import UserError
from voxjax.factory import make_plan, make_stage_field
from voxjax.progressive import Plan, Stage
from voxjax.run_config import read_config as read_config
from voxjax.run_config import refuse_other as refuse_other
from voxjax.structs import TrainState

CONFIG, CHECKPOINTS, METRICS = run_files.CONFIG, run_files.CHECKPOINTS, run_files.METRICS
MESH, REPORT = run_files.MESH, run_files.REPORT


@dataclass(frozen=True)
class Run:
    """A scene with everything that rendering it needs.

    Attributes:
      workdir: the run's folder.
      config: its config.
      step: optimisation steps behind the scene.
      scene: what the field baked: a VoxelGrid for voxel fields.
      query: `(scene, samples) -> (density, colour)`.
      plan: the box (`lower`, `upper`) and the schedule of the grid.
      stage: the scene's grid: `shape`, `step_size` (scene units), `interval` of a sample.
      state: the stored training state; without the optimiser's moments when read by `load_run`.
    """

    workdir: Path
    config: ConfigDict
    step: int
    scene: Any
    query: Callable[..., Any]
    plan: Plan
    stage: Stage
    state: TrainState

    @property
    def prompt(self) -> str:
        """The text that the object was made from."""
        return self.config.prompt

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.config.steps


def open_run(workdir: str | Path, config: ConfigDict, state: TrainState) -> Run:
    """Returns the Run of a state in memory, taken right after a step."""
    step = int(state.step)
    plan = make_plan(config)
    stage = plan.saved_stage(step)
    field = make_stage_field(config, plan, stage)
    scene = field.apply({"params": state.params, "tracked": state.tracked}, method="bake")
    return Run(Path(workdir), config, step, scene, field.query, plan, stage, state)


def kept_steps(workdir: str | Path) -> list[int]:
    """Returns the steps of a run's checkpoints, ascending; the last may not be complete yet."""
    return Checkpoints(Path(workdir) / CHECKPOINTS).steps()


def load_run(workdir: str | Path, *, step: int | None = None) -> Run:
    """Opens a checkpoint of a run; needs no guidance model.

    Args:
      workdir: the run's folder.
      step: of the checkpoint, one of `kept_steps`; None for the latest sound one.

    Raises:
      UserError: the folder is not the workdir of a run, or has no such sound checkpoint.
    """
    config = read_config(workdir)
    checkpoints = Checkpoints(Path(workdir) / CHECKPOINTS)
    if step is not None:
        try:
            return open_run(workdir, config, to_state(checkpoints.restore(step), opt_state=None))
        except (ValueError, OSError) as error:
            raise UserError(f"{workdir}: the checkpoint of step {step} cannot be read ({error})") from error
    try:
        tree = checkpoints.restore_latest()
    except OSError as error:
        raise UserError(f"{workdir}: its checkpoints cannot be read now ({error})") from error
    except ValueError as error:
        raise UserError(
            f"{workdir}: {error}; bring the folder back from a copy, or start its training again, which "
            "begins anew"
        ) from error
    if tree is None:
        raise UserError(f"{workdir}: no complete checkpoint yet; let the run get to its first one")
    return open_run(workdir, config, to_state(tree, opt_state=None))
