"""A trace of some steps of a run, for Perfetto or TensorBoard's profiler."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp

FIRST, COUNT = 10, 10
"""Steps of a process that pass before those that are recorded, and how many these are: none that compiles."""


class Profile:
    """Records steps FIRST to FIRST + COUNT - 1 after the first one of this process.

    Args:
      folder: for the trace; None to record nothing.
      start: the first step of this process.
    """

    def __init__(self, folder: Path | None, start: int):
        self._folder, self._first = folder, start + FIRST
        self._running = False

    def before(self, step: int) -> None:
        """To be called before each step is queued."""
        if self._folder is None:
            return
        if step == self._first:
            jax.profiler.start_trace(self._folder)
            self._running = True
        elif step == self._first + COUNT:
            self.close()

    def close(self) -> None:
        """Ends the recording, wherever it is; what was queued is waited for."""
        if self._running:
            jax.block_until_ready(jnp.zeros(()) + 1)  # queued behind the steps
            jax.profiler.stop_trace()
            self._running = False
