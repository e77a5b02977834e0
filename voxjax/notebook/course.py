"""How far a run has come, read from the files that it writes, and the bar that shows it in a cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from voxjax.errors import UserError
from voxjax.run import METRICS, read_config

_BLOCK = 4096  # bytes from the end of a file in which its last line lies


@dataclass(frozen=True)
class Course:
    """Where a run stands.

    Attributes:
      step: steps finished, as last logged.
      steps: of the whole run.
      similarity: CLIP's mean cosine at that step; None where nothing is logged.
    """

    step: int
    steps: int
    similarity: float | None = None


def read_course(workdir: Path) -> Course | None:
    """Returns where the run stands; None before it has begun."""
    try:
        steps = read_config(workdir).steps
    except UserError:
        return None
    for line in reversed(last_lines(workdir / METRICS)):
        try:
            scalars: dict[str, Any] = json.loads(line)
            return Course(int(scalars["step"]), steps, scalars.get("clip_similarity"))
        except (ValueError, KeyError, TypeError):
            continue  # a line that is being written
    return Course(0, steps)


def last_lines(path: Path, *, n_bytes: int | None = _BLOCK) -> list[str]:
    """Returns the lines in the last bytes of a text file, None: in all of them; without blank ones.

    Empty where there is no file.
    """
    try:
        with path.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(0 if n_bytes is None else max(end - n_bytes, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


class Pace:
    """Steps a second since the first step that was seen to be made, so that compiling does not count."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None

    def seen(self, step: int, seconds: float) -> float:
        """Takes note of `step` steps at a time; returns steps a second, 0 while it is not known."""
        if self._last is None or step < self._last[0]:
            self._first, self._last = None, (step, seconds)
        elif step > self._last[0]:
            self._last = (step, seconds)
            self._first = self._first or self._last
        if self._first is None or self._last[0] == self._first[0]:
            return 0.0
        return (self._last[0] - self._first[0]) / max(self._last[1] - self._first[1], 1e-9)


def bar(
    title: str, course: Course | None, speed: float, words: Sequence[str], *, running: bool = True
) -> str:
    """The state of a run as HTML.

    Args:
      title: what is made.
      course: None before the run has begun.
      speed: steps a second, 0 where it is not known.
      words: lines below.
      running: whether the process is still at work.
    """
    parts = ["starting"] if running else ["not begun"]
    if course is not None:
        parts = [f"step {course.step} of {course.steps}"]
        if course.similarity is not None:
            parts.append(f"CLIP {course.similarity:.3f}")
        if running and speed > 0 and course.step < course.steps:
            parts += [f"{speed:.3g} steps/s", f"{clock((course.steps - course.step) / speed)} left"]
        elif running and course.step >= course.steps:
            parts.append("making pictures and mesh")
    share = course.step / max(course.steps, 1) if course else 0.0
    below = "".join(f"<div>{escape(line)}</div>" for line in words)
    return (
        '<div style="max-width: 64rem; font: 14px/1.5 system-ui, sans-serif">'
        f'<div style="overflow-wrap: anywhere"><b>{escape(title)}</b> · {" · ".join(parts)}</div>'
        f'<progress max="1" value="{share:.4f}" aria-label="steps done" style="width: 100%"></progress>'
        f'<div style="font: 12px/1.4 monospace; opacity: .75; overflow-wrap: anywhere">{below}</div></div>'
    )


def clock(seconds: float) -> str:
    """Returns a time as m:ss, or h:mm:ss from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
