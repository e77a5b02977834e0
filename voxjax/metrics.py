"""What a run says while it runs: scalars to files, a progress bar, and warnings in words.

Scalars go to `metrics.jsonl` (one JSON object a line, with "step") and to TensorBoard. Both are cut back to
the step that a resumed run starts from, so that no step is ever told twice.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voxjax.files import write_text

JSONL = "metrics.jsonl"


def is_due(step: int, every: int, last: int | None = None) -> bool:
    """The one predicate of every cadence: whether something happens after step `step` (counted from 1).

    Args:
      step: steps finished.
      every: steps between two times; 0 for never, apart from `last`.
      last: the final step, which is always due.
    """
    return step == last or (every > 0 and step % every == 0)


class ScalarWriter:
    """Writes scalars of a run.

    Args:
      workdir: the run's folder.
      start: steps finished when this process began; what was told about later steps is removed.
    """

    def __init__(self, workdir: str | Path, *, start: int = 0):
        from tensorboardX import SummaryWriter

        self._path = Path(workdir) / JSONL
        if self._path.exists():
            kept = [line for line in self._path.read_text().splitlines() if 0 <= _step_of(line) <= start]
            write_text(self._path, "".join(line + "\n" for line in kept))
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(workdir), purge_step=start + 1 if start else None)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Tells the scalars of a step; a value that is not finite becomes null in the JSON."""
        line = {name: value if math.isfinite(value) else None for name, value in scalars.items()}
        self._file.write(json.dumps({"step": step, **line}) + "\n")
        self._file.flush()
        for name, value in scalars.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes the files."""
        self._file.close()
        self._board.close()


def _step_of(line: str) -> int:
    """The step of a line of JSON; -1 for a line that a kill cut off."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return -1


class Progress:
    """A bar with loss, CLIP similarity, steps/s and time left; plain lines where stderr is no terminal.

    Args:
      start: steps finished when this process began.
      steps: steps of the whole run.
      seconds_between_lines: least time between two plain lines.
    """

    def __init__(self, start: int, steps: int, *, seconds_between_lines: float = 10.0):
        from rich import progress
        from rich.console import Console

        self._steps, self._seconds = steps, seconds_between_lines
        self._last_step, self._last_time, self._last_line = start, time.monotonic(), -math.inf
        console = Console(stderr=True)
        self._bar: Any = None
        if console.is_terminal:
            self._bar = progress.Progress(
                progress.TextColumn("{task.completed}/{task.total}"),
                progress.BarColumn(),
                progress.TextColumn("{task.description}"),
                progress.TimeRemainingColumn(elapsed_when_finished=True),
                console=console,
            )
            self._task = self._bar.add_task("compiling", total=steps, completed=start)
            self._bar.start()
        else:
            print(f"step {start}/{steps}  compiling", file=sys.stderr, flush=True)

    def update(self, step: int, *, loss: float, similarity: float) -> None:
        """Shows the state after `step` steps."""
        now = time.monotonic()
        speed = (step - self._last_step) / max(now - self._last_time, 1e-9)
        self._last_step, self._last_time = step, now
        words = f"loss {loss:.4f}  CLIP {similarity:.4f}  {speed:.2f} steps/s"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=words)
        elif now - self._last_line >= self._seconds or step == self._steps:
            self._last_line = now
            left = (self._steps - step) / max(speed, 1e-9)
            print(f"step {step}/{self._steps}  {words}  {_clock(left)} left", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leaves the bar as it is and goes on below it."""
        if self._bar is not None:
            self._bar.stop()


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{int(seconds):02d}" if hours else f"{minutes}:{int(seconds):02d}"


class SceneWatch:
    """Notices a scene that stays empty or full, and samples that found no room.

    Args:
      patience: steps that the scene may stay so.
    """

    EMPTY, FULL = 0.99, 0.01

    def __init__(self, patience: int):
        self._patience = patience
        self._since: dict[str, int] = {}
        self._told: set[str] = set()

    def look(self, step: int, scalars: Mapping[str, float]) -> list[str]:
        """Returns the warnings that are new after this step, each said once until things get better."""
        mean = scalars["transmittance"]
        lost = scalars["overflow"] + scalars.get("vertices_overflow", 0.0)
        seen = {"empty": mean > self.EMPTY, "full": mean < self.FULL, "overflow": lost > 0}
        fresh = []
        for name, now in seen.items():
            if not now:
                self._since.pop(name, None)
                self._told.discard(name)
                continue
            first = self._since.setdefault(name, step)
            if name not in self._told and (name == "overflow" or step - first >= self._patience):
                self._told.add(name)
                fresh.append(self._words(name, step - first, mean, lost))
        return fresh

    @staticmethod
    def _words(name: str, steps: int, mean: float, lost: float) -> str:
        if name == "overflow":
            return (
                f"warning: {int(lost)} samples or vertices of a step found no room and were left out; "
                "pictures are right, training is slightly off. Lower field.side, or report this config"
            )
        advice = {
            "empty": "raise field.alpha_init or loss.kl, or lower loss.transmittance",
            "full": "lower field.alpha_init, loss.kl or optimiser.rate_density, or raise loss.transmittance",
        }[name]
        return (
            f"warning: the scene has been {name} for {steps} steps (mean transmittance {mean:.3f}); "
            f"to change that, {advice}"
        )
