"""How far a run is, how fast it goes, and how long it will take; `displays` shows it.

All times are read where the loop stops for the device anyway, but for one early wait: once `EARLY` steps are
done after compiling, so that the expected time is known long before the first cadence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from voxjax.training.displays import Display, choose_display

EARLY = 20
"""Steps after compiling from which the expected time is told."""


class Progress:
    """Loss, CLIP similarity, steps/s and time left, and once the time that the whole will take.

    Args:
      start: steps finished when this process began.
      steps: steps of the whole run.
      opening: the first line, what will happen; "" for none.
      later: what makes later steps slower, for the expected time; "" for nothing.
      display: where it is shown; None for the one that fits this process.
      clock: seconds from any start, never running backwards.
    """

    def __init__(
        self,
        start: int,
        steps: int,
        *,
        opening: str = "",
        later: str = "",
        display: Display | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._start, self._steps, self._later, self._clock = start, steps, later, clock
        self._display = display or choose_display(steps)
        # (steps done, time) from which the speed is taken; the same of the latest compiling, and time aside.
        self._window = (start, clock())
        self._compiled = (*self._window, 0.0)
        self._speed, self._aside, self._told = 0.0, 0.0, False
        if opening:
            self._display.say(opening)
        self._display.show(start, "compiling", "")

    def compiled(self, step: int) -> None:
        """A program was compiled; `step` steps were done before the one that is running now."""
        self._window = (step, self._clock())
        self._compiled = (*self._window, self._aside)

    def wants_wait(self, step: int) -> bool:
        """Whether the loop shall wait for the device after `step` steps, and call `expect`."""
        return not self._told and step - self._compiled[0] == EARLY and step < self._steps

    def expect(self, step: int) -> None:
        """Tells the expected time; the device is idle after `step` steps."""
        self._told = True
        first, since, aside = self._compiled
        seconds = (self._clock() - since - (self._aside - aside)) / (step - first)
        left = clock_words((self._steps - step) * seconds)
        words = f"expected time: {left} more, at {1 / max(seconds, 1e-9):.2f} steps/s"
        self._display.say(f"{words}; {self._later}" if self._later else words)

    def update(self, step: int, *, loss: float, similarity: float) -> None:
        """Shows the state after `step` steps."""
        now = self._clock()
        if step > self._window[0]:
            self._speed = (step - self._window[0]) / max(now - self._window[1], 1e-9)
        self._window = (step, now)
        words = f"loss {loss:.4f}  CLIP {similarity:.4f}  {self._speed:.2f} steps/s"
        self._display.show(step, words, self._left(step))

    def _left(self, step: int) -> str:
        """The time that is left, at the present speed and with as much other work as until now."""
        if not self._speed:
            return ""
        aside = self._aside / max(step - self._start, 1)
        return clock_words((self._steps - step) * (1 / self._speed + aside))

    @contextmanager
    def aside(self, step: int) -> Iterator[None]:
        """Work after `step` steps that is no step: pictures, checkpoints. It does not count as slowness."""
        began = self._clock()
        yield
        self._window = (step, self._clock())
        self._aside += self._window[1] - began

    def say(self, text: str) -> None:
        """Leaves a line of words."""
        self._display.say(text)

    def close(self) -> None:
        """Leaves the display as it is and goes on below it."""
        self._display.close()


def clock_words(seconds: float) -> str:
    """A duration as 0:05, 12:34 or 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{int(seconds):02d}" if hours else f"{minutes}:{int(seconds):02d}"
