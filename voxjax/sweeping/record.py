"""`sweep.json`: what became of each run. It tells; whether a run is finished its own folder says."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voxjax import __version__
from voxjax.errors import UserError
from voxjax.files import write_text
from voxjax.sweeping.plan import Plan, PlannedRun

RECORD = "sweep.json"
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"

_SECONDS_BETWEEN = 1.0  # a thousand short runs must not mean thousands of times the whole file


@dataclass
class Entry:
    """What became of a run; times are UTC, in ISO 8601.

    Attributes:
      status: "waiting", "running", "done" or "failed".
      failures: times that it ended with an error since this sweep was last started.
      lost: times that its worker or node was lost with it, or could not take it; no fault of its own.
      starts: times that it was started, in all.
      node: where it ran last.
      started: when its first process began.
      ended: when its last process ended; None while it runs.
      last: last lines of a run that failed.
    """

    status: str = WAITING
    failures: int = 0
    lost: int = 0
    starts: int = 0
    node: str | None = None
    started: str | None = None
    ended: str | None = None
    last: tuple[str, ...] = ()


class Record:
    """The record of a sweep, in memory and on disk.

    Runs of an earlier plan in the same folder stay in it.

    Args:
      root: the sweep's folder.
      plan: what is to be done.
      finished: names of runs that are finished by their own files.

    Raises:
      UserError: there is a record that cannot be read.
    """

    def __init__(self, root: Path, plan: Plan, finished: Collection[str]):
        self._path, self._written = root / RECORD, 0.0
        self._kept = _read(self._path)
        self.entries: dict[str, Entry] = {}
        self._runs = {run.name: run for run in plan.runs}
        for name in self._runs:
            entry = _entry(self._kept.pop(name, {}))
            entry.failures = 0
            entry.status = DONE if name in finished else WAITING
            entry.last = ()
            self.entries[name] = entry

    def __getitem__(self, name: str) -> Entry:
        return self.entries[name]

    def names(self, status: str) -> list[str]:
        """Names of the runs of the plan with this status, in its order."""
        return [name for name, entry in self.entries.items() if entry.status == status]

    def write(self, *, soon: bool = False) -> None:
        """Writes the record, atomically.

        Args:
          soon: not if it was written within the last second; whoever asks so writes again later.
        """
        if soon and time.monotonic() - self._written < _SECONDS_BETWEEN:
            return
        runs = dict(self._kept)
        for name, entry in self.entries.items():
            runs[name] = {**_what(self._runs[name]), **asdict(entry)}
        write_text(self._path, json.dumps({"voxjax": __version__, "runs": runs}, indent=1) + "\n")
        self._written = time.monotonic()


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _what(run: PlannedRun) -> dict[str, Any]:
    return {
        "config": run.spec,
        "prompt": run.prompt,
        "settings": dict(run.settings),
        "seed": run.seed,
        "steps": run.steps,
    }


def _entry(found: dict[str, Any]) -> Entry:
    names = {field.name for field in fields(Entry)}
    return Entry(**{name: value for name, value in found.items() if name in names})


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        if all(isinstance(entry, dict) for entry in runs.values()):
            return dict(runs)
        raise TypeError("runs")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not the record of a sweep; move it away, finished runs are known by their folders"
        ) from error
