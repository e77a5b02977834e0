"""Where the progress of a run is shown: a terminal, a notebook's cell, or lines in a log."""

from __future__ import annotations

import html
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

Clock = Callable[[], float]


class Display(Protocol):
    """What shows how far a run is."""

    def show(self, step: int, words: str, left: str) -> None:
        """Shows the state after `step` steps: words about it, and the time that is left ("" if unknown)."""

    def say(self, text: str) -> None:
        """Leaves a line for good."""

    def close(self) -> None:
        """Leaves all as it is and goes on below."""


class Terminal:
    """A bar of rich's that stays on the last line of the screen.

    Args:
      steps: of the whole run.
      console: to draw on; by default stderr.
    """

    def __init__(self, steps: int, *, console: Any = None):
        from rich import progress
        from rich.console import Console

        # FORCE_COLOR and a kernel make rich take for a terminal what is none, and the other way round.
        console = console or Console(stderr=True, force_terminal=True, force_jupyter=False)
        self._bar = progress.Progress(
            progress.TextColumn("{task.completed}/{task.total}"),
            progress.BarColumn(),
            progress.TextColumn("{task.description}", markup=False),
            console=console,
        )
        self._task = self._bar.add_task("", total=steps)
        self._bar.start()

    def show(self, step: int, words: str, left: str) -> None:
        """See `Display`."""
        text = f"{words}  {left} left" if left else words
        self._bar.update(self._task, completed=step, description=text, refresh=True)

    def say(self, text: str) -> None:
        """See `Display`."""
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """See `Display`."""
        self._bar.stop()


class Notebook:
    """A bar of plain HTML in the output of the running cell, which is kept with the notebook.

    Args:
      steps: of the whole run.
      seconds_between: least time between two drawings; the last step is always drawn.
      clock: seconds from any start.
    """

    def __init__(self, steps: int, *, seconds_between: float = 0.25, clock: Clock = time.monotonic):
        self._steps, self._seconds, self._clock = steps, seconds_between, clock
        self._drawn, self._lines, self._state = -math.inf, list[str](), (0, "", "")
        self._handle: Any = None

    def show(self, step: int, words: str, left: str) -> None:
        """See `Display`."""
        self._state = (step, words, left)
        if step == self._steps or self._clock() - self._drawn >= self._seconds:
            self._draw()

    def say(self, text: str) -> None:
        """See `Display`."""
        self._lines.append(text)
        self._draw()

    def close(self) -> None:
        """See `Display`."""
        self._draw()

    def _draw(self) -> None:
        from IPython import display

        self._drawn = self._clock()
        page = display.HTML(notebook_page(self._steps, *self._state, self._lines))
        if self._handle is None:
            self._handle = display.display(page, display_id=True)
        else:
            self._handle.update(page)


def notebook_page(steps: int, step: int, words: str, left: str, lines: list[str]) -> str:
    """The HTML of a notebook's bar.

    Args:
      steps: of the whole run.
      step: steps done.
      words: about the state.
      left: time that is left; "" if unknown.
      lines: that stay, above the bar.
    """
    text = html.escape(f"{step}/{steps}  {words}" + (f"  {left} left" if left else ""))
    above = "".join(f"<div>{html.escape(line)}</div>" for line in lines)
    bar = f'<progress value="{step}" max="{steps}" style="width: 16em; vertical-align: middle"></progress>'
    shown = f'{bar} <span style="white-space: pre-wrap">{text}</span>'
    return f'<div style="font-family: monospace">{above}{shown}</div>'


class Lines:
    """A line at a time on stderr, as a log file wants it.

    Args:
      steps: of the whole run.
      seconds_between: least time between two lines about steps; the last step always gets one.
      clock: seconds from any start.
    """

    def __init__(self, steps: int, *, seconds_between: float = 10.0, clock: Clock = time.monotonic):
        self._steps, self._seconds, self._clock = steps, seconds_between, clock
        self._written = -math.inf

    def show(self, step: int, words: str, left: str) -> None:
        """See `Display`."""
        now = self._clock()
        if step < self._steps and now - self._written < self._seconds:
            return
        # What comes before the first step is no reason to hold that one back.
        self._written = now if left else -math.inf
        self.say(f"step {step}/{self._steps}  {words}" + (f"  {left} left" if left else ""))

    def say(self, text: str) -> None:
        """See `Display`."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """See `Display`."""


class Silence:
    """Shows nothing: in a process that trains along with one that does."""

    def show(self, step: int, words: str, left: str) -> None:
        """See `Display`."""

    def say(self, text: str) -> None:
        """See `Display`."""

    def close(self) -> None:
        """See `Display`."""


def choose_display(steps: int) -> Display:
    """The display for where this process shows its words."""
    if in_notebook():
        return Notebook(steps)
    return Terminal(steps) if in_terminal() else Lines(steps)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; nothing is imported to find out."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


def in_terminal() -> bool:
    """Whether a bar can be redrawn on stderr.

    What a kernel starts with `!` is given a terminal too, but the cell behind it draws no bar.
    """
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and "JPY_PARENT_PID" not in os.environ
