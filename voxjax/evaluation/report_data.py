"""What a report says of one run, read from its workdir; nothing is rendered and no model is loaded."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from voxjax.checkpoint import Checkpoints
from voxjax.config.naming import shipped_folder
from voxjax.config.programs import run_file
from voxjax.config.repeating import repeating_flags
from voxjax.evaluation.comparison import FILES, differences
from voxjax.evaluation.course import read_metrics
from voxjax.evaluation.report_schedule import Schedule, schedule_of
from voxjax.guidance.ensemble import guide_specs
from voxjax.run import CHECKPOINTS, MESH, read_config
from voxjax.run_files import read_summary

# The share of a run, at its end, over which its similarity is averaged.
_LAST = 0.1
_FILES = {**FILES, "mesh": MESH}


@dataclass(frozen=True)
class Report:
    """One run as its report tells it.

    Attributes:
      workdir: its folder.
      config: its config.
      step: steps behind its latest checkpoint; 0 without one.
      files: kind (see `comparison.FILES`) -> picture or video that is there.
      summary: of `training.timing`; empty where there is none.
      metrics: the lines of metrics.jsonl, ascending in step.
      similarity: mean cosine of the images of training with the prompt over the last tenth of the steps, in
        [-1, 1]; None where it was not told.
      schedule: when what acted.
      changed: key -> (default of configs/base.py, value of the run), where they differ; None for a default
        that this version does not have.
      command: that repeats the run, for a shell.
      lost: keys that the command cannot set, as the run is of another version.
    """

    workdir: Path
    config: ConfigDict
    step: int
    files: dict[str, Path]
    summary: dict[str, Any]
    metrics: list[dict[str, Any]]
    similarity: float | None
    schedule: Schedule
    changed: dict[str, tuple[Any, Any]]
    command: str
    lost: list[str]

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.workdir.absolute().name

    @property
    def prompt(self) -> str:
        """The text that the object was made from."""
        return self.config.prompt

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return self.step >= self.config.steps

    @property
    def guides(self) -> list[str]:
        """Names of the CLIPs that guided it."""
        return [spec.model for spec in guide_specs(self.config)]


def collect(workdir: str | Path) -> Report:
    """Reads a run, finished or not.

    Raises:
      UserError: the folder is not the workdir of a run, or its config cannot be read or trained.
    """
    folder = Path(workdir)
    config = read_config(folder)
    metrics = read_metrics(folder)
    base = run_file(shipped_folder() / "base.py", None)
    found = differences({"base": base, "run": config})
    flags, lost = repeating_flags(config)
    # Beside the run, not in its folder, where it would be found finished.
    place = f"--workdir=runs/{folder.absolute().name}-again"
    return Report(
        workdir=folder,
        config=config,
        step=max(Checkpoints(folder / CHECKPOINTS).steps(), default=0),
        files={kind: folder / file for kind, file in _FILES.items() if (folder / file).is_file()},
        summary=read_summary(folder),
        metrics=metrics,
        similarity=similarity_of(metrics),
        schedule=schedule_of(config),
        changed={key: (row.get("base"), row["run"]) for key, row in found.items() if "run" in row},
        command=shlex.join(["voxjax", "train", *flags, place]),
        lost=lost,
    )


def similarity_of(metrics: Sequence[dict[str, Any]]) -> float | None:
    """Returns the mean of `clip_similarity` over the last tenth of the steps; None where it was not told."""
    last = metrics[-1]["step"] if metrics else 0
    told = [m.get("clip_similarity") for m in metrics if m["step"] > (1 - _LAST) * last]
    values = [value for value in told if value is not None]
    return float(np.mean(values)) if values else None
