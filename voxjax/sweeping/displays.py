"""Where a sweep is shown: a live table on a terminal, or lines in a log."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Protocol

from voxjax.sweeping.outlook import Outlook
from voxjax.training.displays import Clock, in_terminal
from voxjax.training.progress import clock_words

_ROWS = 20


class Display(Protocol):
    """What shows how far a sweep is."""

    def show(self, outlook: Outlook) -> None:
        """Shows the state."""

    def say(self, text: str) -> None:
        """Leaves a line for good."""

    def close(self) -> None:
        """Leaves all as it is and goes on below."""


class Table:
    """A table of rich's that stays at the bottom of the terminal.

    Args:
      console: to draw on; by default stderr.
    """

    def __init__(self, *, console: Any = None):
        from rich.console import Console
        from rich.live import Live

        self._console = console or Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()

    def show(self, outlook: Outlook) -> None:
        """See `Display`."""
        self._live.update(table(outlook), refresh=True)

    def say(self, text: str) -> None:
        """See `Display`."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """See `Display`."""
        self._live.stop()


class Lines:
    """A line at a time on stderr.

    Args:
      seconds_between: least time between two lines about the whole.
      clock: seconds from any start.
    """

    def __init__(self, *, seconds_between: float = 30.0, clock: Clock = time.monotonic):
        self._seconds, self._clock, self._written = seconds_between, clock, -math.inf
        self._before = ""

    def show(self, outlook: Outlook) -> None:
        """See `Display`."""
        text, now = words(outlook), self._clock()
        if text != self._before and now - self._written >= self._seconds:
            self._written, self._before = now, text
            self.say(text)

    def say(self, text: str) -> None:
        """See `Display`."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """See `Display`."""


def choose_display() -> Display:
    """The display for where this process shows its words."""
    return Table() if in_terminal() else Lines()


def words(outlook: Outlook) -> str:
    """The whole in a line."""
    parts = [f"{outlook.done}/{outlook.total} done", f"{len(outlook.running)} running"]
    if outlook.failed:
        parts.append(f"{outlook.failed} failed")
    if outlook.speed:
        parts.append(f"{outlook.speed:.2f} steps/s")
    if outlook.left_s is not None:
        parts.append(f"{clock_words(outlook.left_s)} left")
    return ", ".join(parts)


def table(outlook: Outlook) -> Any:
    """The runs that are trained at this moment as a table of rich's, under the whole in a line."""
    from rich.table import Table as RichTable
    from rich.text import Text

    # Text throughout: a name may hold what rich would take for markup.
    found = RichTable(title=Text(words(outlook)), title_justify="left", box=None, pad_edge=False)
    for title, side in (
        ("run", "left"),
        ("step", "right"),
        ("steps/s", "right"),
        ("left", "right"),
        ("node", "left"),
    ):
        found.add_column(title, justify=side, overflow="ellipsis", no_wrap=True)  # type: ignore[arg-type]
    for run in outlook.running[:_ROWS]:
        speed = f"{run.speed:.2f}" if run.speed else ""
        left = clock_words((run.steps - run.step) / run.speed) if run.speed else ""
        cells = (run.name, f"{run.step}/{run.steps}", speed, left, run.node)
        found.add_row(*map(Text, cells))
    if len(outlook.running) > _ROWS:
        found.add_row(Text(f"and {len(outlook.running) - _ROWS} more"))
    return found
