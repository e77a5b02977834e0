"""A run on disk, opened for looking at it: pictures, evaluation and export start here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.checkpoint import Checkpoints, to_state
from voxjax.config.saved import differences, from_json
from voxjax.errors import UserError
from voxjax.factory import make_plan, make_stage_field
from voxjax.files import refuse_unwritable
from voxjax.progressive import Plan, Stage
from voxjax.structs import TrainState

CONFIG, CHECKPOINTS, METRICS = "config.json", "checkpoints", "metrics.jsonl"
MESH, REPORT = "mesh.glb", "report.html"


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


def read_config(workdir: str | Path) -> ConfigDict:
    """Reads the config of a run.

    Raises:
      UserError: the folder is not the workdir of a run.
    """
    path = Path(workdir) / CONFIG
    try:
        return from_json(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{workdir}: not the workdir of a run, it holds no {CONFIG}") from error
    except ValueError as error:
        raise UserError(f"{path}: not a config: {error}") from error


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
    except ValueError as error:
        raise UserError(
            f"{workdir}: {error}; bring the folder back from a copy, or start its training again, which "
            "begins anew"
        ) from error
    if tree is None:
        raise UserError(f"{workdir}: no complete checkpoint yet; let the run get to its first one")
    return open_run(workdir, config, to_state(tree, opt_state=None))


def refuse_other(workdir: Path, config: ConfigDict) -> None:
    """Looks whether `workdir` is free for this config, and changes nothing.

    Raises:
      UserError: it holds a run of another config, or something that is no run, or cannot hold one.
    """
    if workdir.exists() and not workdir.is_dir():
        raise UserError(f"--workdir={workdir}: a file of this name exists; give another folder")
    refuse_unwritable(workdir, f"--workdir={workdir}")
    # orbax takes its own path for a glob: what it saves there cannot be read.
    if "[" in str(workdir.absolute()):
        raise UserError(f"--workdir={workdir}: checkpoints cannot lie in a path with [; give another folder")
    if (workdir / CONFIG).exists():
        changed = differences(read_config(workdir), config)
        if config.parallel == "split":  # the number of devices changes nothing but the time
            changed = [each for each in changed if not each.startswith("devices:")]
        if changed:
            more = f"; and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise UserError(
                f"{workdir} holds a run of another config ({'; '.join(changed[:3])}{more}); "
                "give another --workdir, or delete that folder"
            )
    elif (workdir / CHECKPOINTS).exists():
        raise UserError(f"{workdir} holds checkpoints without a {CONFIG}; give another --workdir")
