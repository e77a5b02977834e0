"""The progress bar of a run, or plain lines where nobody looks at a terminal."""

from __future__ import annotations

import math
import sys
import time
from typing import Any


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
