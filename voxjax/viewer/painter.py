"""The thread that draws for one browser: quickly while things move, in full once they rest.

There is only ever one view to draw, the newest. A picture that was begun for an older one is given up between
two chunks.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from voxjax.rendering.marching import GivenUp

REST_S = 0.2
"""Seconds without a new view after which the camera counts as resting."""

GOAL_S = 1.0 / 17.0
"""Seconds that a quick picture may take: 15 a second, with room for packing and sending it."""

_View = TypeVar("_View")


class Painter(Generic[_View]):
    """Draws the newest view until told to stop.

    Args:
      quick: draws one view quickly and shows it.
      full: (view, wanted) draws it in full and shows it; asks `wanted` now and then and raises GivenUp when
        that says no.
      failed: told about any other error that the two raise, which ends nothing.
      rest_s: see `REST_S`.
    """

    def __init__(
        self,
        quick: Callable[[_View], None],
        full: Callable[[_View, Callable[[], bool]], None],
        failed: Callable[[Exception], None],
        *,
        rest_s: float = REST_S,
    ):
        self._quick, self._full, self._failed, self._rest_s = quick, full, failed, rest_s
        self._changed = threading.Condition()
        self._newest: _View | None = None
        self._number = self._done = 0
        self._open = True
        self._thread = threading.Thread(target=self._work, name="painter", daemon=True)
        self._thread.start()

    def ask(self, view: _View) -> None:
        """Makes `view` the one to draw."""
        with self._changed:
            self._newest, self._number = view, self._number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """Stops drawing, after the chunks that are under way."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._open or self._number > self._done)
                if not self._open:
                    return
                view, number = self._newest, self._number
                self._done = number
            assert view is not None
            self._try(functools.partial(self._quick, view))
            with self._changed:
                moved = self._changed.wait_for(lambda: not self._is_newest(self._done), self._rest_s)
            if not moved:
                self._try(functools.partial(self._full, view, functools.partial(self._is_newest, number)))

    def _is_newest(self, number: int) -> bool:
        return self._open and self._number == number

    def _try(self, draw: Callable[[], None]) -> None:
        try:
            draw()
        except GivenUp:
            pass
        except Exception as error:
            self._failed(error)
