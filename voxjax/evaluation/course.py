"""How a run went, whatever it was to become: crumbs beside the object, occupancy over time, speed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voxjax.evaluation.floaters import floaters, solid_points
from voxjax.run import METRICS, Run
from voxjax.run_files import read_summary


def course_of(run: Run) -> dict[str, Any]:
    """Figures of a finished run.

    Returns:
      `floaters` and `floating_share` (see `floaters`), `steps_per_second` or None, and `occupied`: the share
      of vertices that are on after each third of the run; empty where none is told.
    """
    number, share = floaters(solid_points(run))
    told = _occupied(run)
    thirds = [run.config.steps * k / 3 for k in (1, 2, 3)]
    return {
        "floaters": number,
        "floating_share": share,
        "steps_per_second": read_summary(run.workdir).get("steps_per_second"),
        "occupied": [min(told, key=lambda entry: abs(entry[0] - third))[1] for third in thirds if told],
    }


def read_metrics(workdir: str | Path) -> list[dict[str, Any]]:
    """Returns what a run told while it trained, one dict with "step" for each line, ascending.

    A line that a kill cut off is left out; without a file there is none.
    """
    path = Path(workdir) / METRICS
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return sorted(lines, key=lambda line: line["step"])


def _occupied(run: Run) -> list[tuple[int, float]]:
    """(step, share of vertices that are on), where the run told it."""
    lines = read_metrics(run.workdir)
    return [(line["step"], line["occupied"]) for line in lines if line.get("occupied") is not None]
