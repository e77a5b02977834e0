"""The program of the next grid, compiled while the present one trains.

It is compiled for the cache of compiled programs, in a thread: where the guess of its sizes was right, the
loop finds it there when the grid grows, and where it was wrong nothing is lost but the thread's time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any

import jax


class Ahead:
    """Compiles one program at a time in the background, each once."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._begun: set[Hashable] = set()

    @staticmethod
    def is_of_use() -> bool:
        """Whether there is a cache where the program would be found again, and no process to agree with."""
        return jax.process_count() == 1 and bool(jax.config.jax_compilation_cache_dir)  # type: ignore[attr-defined]

    def start(self, name: Hashable, lower: Callable[[], Any]) -> None:
        """Begins to compile a program, unless it was begun before or another one is at work.

        Args:
          name: of the program.
          lower: traces it and returns what jax calls lowered; called in the thread.
        """
        if name in self._begun or (self._thread is not None and self._thread.is_alive()):
            return
        self._begun.add(name)
        self._thread = threading.Thread(target=lambda: lower().compile(), name="compile ahead", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Waits for the thread: a process that ends within XLA's compiler dies of it."""
        if self._thread is not None:
            self._thread.join()
