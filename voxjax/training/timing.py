"""Where the time of a run goes and how much memory it takes: `summary.json`, kept over stops and restarts.

Every second belongs to one phase: "loading" (guidance models, checkpoint), "compile" (the first call of each
program), "training" (all else in the loop: steps, rescalings, checkpoints) or "picture". The steady speed is
that of steps and occupancy tests, between waits without a first call. It is read only where the loop waits
for the device anyway, so that measuring costs no step.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from voxjax import __version__
from voxjax.files import write_text
from voxjax.run_files import SUMMARY, read_summary

_PHASES = ("loading", "compile", "training", "picture")
_ADDED = (*(f"{name}_seconds" for name in _PHASES), "steady_steps", "steady_seconds", "programs", "starts")


class Timing:
    """The clock of one process that works on a run; it goes on from what earlier processes wrote.

    Args:
      workdir: the run's folder; nothing is written before `write`.
      clock: seconds from any start, never running backwards.
    """

    def __init__(self, workdir: str | Path, *, clock: Callable[[], float] = time.monotonic):
        self._path, self._clock = Path(workdir) / SUMMARY, clock
        self._before = read_summary(workdir)
        self._now: dict[str, float] = dict.fromkeys(_ADDED, 0)
        self._now["starts"] = 1
        self._phase, self._since = "loading", clock()
        # (steps done, time) when the device was last known to be idle; None once something else came between.
        self._window: tuple[int, float] | None = None
        self._no_mesh: str = self._before.get("no_mesh", "")

    def begin(self) -> None:
        """Starts the clock: what came before was work on other runs."""
        self._since = self._clock()

    def enter(self, phase: str) -> None:
        """Books the time until now on the phase before, and begins another."""
        now = self._clock()
        self._now[f"{self._phase}_seconds"] += now - self._since
        self._phase, self._since = phase, now

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase inside another, which goes on afterwards."""
        outer = self._phase
        self.enter(name)
        try:
            yield
        finally:
            self.enter(outer)

    def first_call(self, program: Callable[..., Any]) -> Callable[..., Any]:
        """Returns `program`, whose first call, in which jax compiles it, counts as compiling."""
        called = False

        def timed(*arguments: Any) -> Any:
            nonlocal called
            if called:
                return program(*arguments)
            called = True
            self._window = None  # steps up to the next wait are no measure of the speed
            self._now["programs"] += 1
            with self.phase("compile"):
                return program(*arguments)

        return timed

    def waited(self, step: int) -> None:
        """The loop has just waited for the device: `step` steps are finished and none is queued."""
        now = self._clock()
        if self._window is not None and step > self._window[0]:
            self._now["steady_steps"] += step - self._window[0]
            self._now["steady_seconds"] += now - self._window[1]
        self._window = (step, now)

    def restart(self, step: int) -> None:
        """As `waited`, after work that is no step: the time since the last wait is not counted."""
        self._window = None
        self.waited(step)

    def note_mesh(self, why_none: str) -> None:
        """Keeps why the object has no mesh, so that nobody tries in vain again; empty where it has one."""
        self._no_mesh = why_none

    def write(self, step: int) -> None:
        """Writes the summary after `step` steps, atomically."""
        self.enter(self._phase)
        summed = {name: self._before.get(name, 0) + self._now[name] for name in _ADDED}
        steady = summed["steady_seconds"]
        summary = {
            "step": step,
            "steps_per_second": summed["steady_steps"] / steady if steady > 0 else None,
            "total_seconds": sum(summed[f"{name}_seconds"] for name in _PHASES),
            **summed,
            **_machine(self._before),
            **({"no_mesh": self._no_mesh} if self._no_mesh else {}),
        }
        write_text(self._path, json.dumps(summary, indent=2) + "\n")


class Clocks:
    """The clocks of objects that train as one: what one is told, all are told.

    Args:
      timings: of the objects.
    """

    def __init__(self, timings: Sequence[Timing]):
        self._timings = tuple(timings)

    def enter(self, phase: str) -> None:
        """See `Timing`."""
        for timing in self._timings:
            timing.enter(phase)

    def first_call(self, program: Callable[..., Any]) -> Callable[..., Any]:
        """See `Timing`."""
        for timing in self._timings:
            program = timing.first_call(program)
        return program

    def waited(self, step: int) -> None:
        """See `Timing`."""
        for timing in self._timings:
            timing.waited(step)

    def restart(self, step: int) -> None:
        """See `Timing`."""
        for timing in self._timings:
            timing.restart(step)


def _machine(before: Mapping[str, Any]) -> dict[str, Any]:
    """The device and the peak of its memory; a larger peak of an earlier process is kept."""
    import flax
    import jax

    devices = jax.local_devices()
    of, peak = peak_memory([device.memory_stats() for device in devices])
    if before.get("peak_memory_of") == of:
        peak = max(peak, before["peak_memory_bytes"])
    return {
        "peak_memory_bytes": peak,
        "peak_memory_of": of,
        "device": devices[0].device_kind,
        "device_count": len(devices),
        "voxjax_version": __version__,
        "jax_version": jax.__version__,
        "flax_version": flax.__version__,
        "python_version": platform.python_version(),
    }


def peak_memory(stats: Sequence[Mapping[str, int] | None]) -> tuple[str, int]:
    """The largest memory used so far.

    Args:
      stats: `memory_stats()` of each device.

    Returns:
      ("device", bytes on the fullest device), or ("process", bytes of resident memory) where the backend
      keeps no books, as on CPU.
    """
    peaks = [each["peak_bytes_in_use"] for each in stats if each and "peak_bytes_in_use" in each]
    return ("device", max(peaks)) if peaks else ("process", _resident_peak())


def _resident_peak() -> int:
    """The most memory that this process ever held, bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    # Linux hands `ru_maxrss` down to child processes; the figure in /proc belongs to this one alone.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        import resource  # not there on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
