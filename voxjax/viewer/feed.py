"""A run as it grows on disk: its checkpoints, how far it is, what its metrics say. Only ever read.

The process that trains adds and removes checkpoints at any moment, so that whatever is found may be gone, or
incomplete, when it is opened.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.run import METRICS, kept_steps, load_run, read_config
from voxjax.viewer.exhibit import Exhibit

# Checkpoints kept in memory, so that the slider goes back and forth without reading.
_KEPT = 4


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
      step: optimisation steps done, as far as it told.
      steps: of the whole run.
      similarity: latest cosine with the prompt; None before the first.
      history: (step, similarity) of all that was told, ascending.
    """

    step: int
    steps: int
    similarity: float | None
    history: tuple[tuple[int, float], ...]

    @property
    def finished(self) -> bool:
        """Whether all steps are done."""
        return 0 < self.steps <= self.step


class Feed:
    """One run's folder, which need not hold a run yet.

    Args:
      workdir: the folder.

    Attributes:
      workdir: the same.
    """

    def __init__(self, workdir: str | Path):
        self.workdir = Path(workdir)
        self._lock = threading.Lock()
        self._exhibits: OrderedDict[int, Exhibit] = OrderedDict()
        self._config: ConfigDict | None = None
        self._unreadable: dict[int, tuple[float, float]] = {}  # step -> seconds to wait, when to try again
        self._metrics = _Metrics(self.workdir / METRICS)

    @property
    def config(self) -> ConfigDict | None:
        """Config of the run, None as long as there is none."""
        if self._config is None:
            try:
                self._config = read_config(self.workdir)
            except UserError:
                return None
        return self._config

    @property
    def prompt(self) -> str:
        """What the object is made from; the folder's name as long as nobody knows."""
        return self.config.prompt if self.config is not None else self.workdir.name

    def steps(self) -> list[int]:
        """Steps of the checkpoints, ascending."""
        return kept_steps(self.workdir)

    def open(self, step: int) -> Exhibit:
        """Opens a checkpoint, ready to be drawn without compiling.

        Raises:
          UserError: it is damaged, not complete yet or gone.
        """
        with self._lock:
            exhibit = self._exhibits.pop(step, None) or Exhibit(load_run(self.workdir, step=step)).warm()
            self._exhibits[step] = exhibit
            while len(self._exhibits) > _KEPT:
                self._exhibits.popitem(last=False)
            return exhibit

    def open_latest(self) -> Exhibit:
        """Opens the latest sound checkpoint, and warns about later ones that are not.

        Raises:
          UserError: the folder holds no run, or no sound checkpoint.
        """
        run = load_run(self.workdir)
        with self._lock:
            exhibit = self._exhibits[run.step] = self._exhibits.get(run.step) or Exhibit(run).warm()
            return exhibit

    def forget(self) -> None:
        """Lets go of the checkpoints in memory."""
        with self._lock:
            self._exhibits.clear()

    def newest(self) -> Exhibit | None:
        """Opens the newest checkpoint that can be read; None while there is none.

        One that is not complete yet is tried again, less and less often.

        Raises:
          UserError: there are some, and none can be read.
        """
        complaint: UserError | None = None
        for step in reversed(self.steps()):
            wait, due = self._unreadable.get(step, (0.5, 0.0))
            if time.monotonic() < due:
                continue
            try:
                exhibit = self.open(step)
            except UserError as error:
                complaint = complaint or error
                self._unreadable[step] = (2.0 * wait, time.monotonic() + wait)
                continue
            self._unreadable.pop(step, None)
            return exhibit
        if complaint is not None:
            raise complaint
        return None

    def progress(self) -> Progress:
        """How far the run is now."""
        history = self._metrics.read()
        steps = self.config.steps if self.config is not None else 0
        done = max([step for step, _ in history[-1:]] + self.steps()[-1:], default=0)
        return Progress(done, steps, history[-1][1] if history else None, tuple(history))


def names_of(feeds: Sequence[Feed]) -> tuple[str, ...]:
    """What runs are called side by side: by their prompts, and what else it takes to tell them apart."""
    names = [feed.prompt for feed in feeds]
    fields = [feed.config.field.name if feed.config is not None else "" for feed in feeds]
    for more in (fields, [feed.workdir.name for feed in feeds], [str(feed.workdir) for feed in feeds]):
        counts = Counter(names)
        names = [
            f"{name} · {what}" if counts[name] > 1 else name for name, what in zip(names, more, strict=True)
        ]
    return tuple(names)


class _Metrics:
    """(step, similarity) of every line of a file that somebody else is writing."""

    def __init__(self, path: Path):
        self._path, self._lock = path, threading.Lock()
        self._file: tuple[int, int] = (0, 0)  # inode and bytes read
        self._rows: list[tuple[int, float]] = []

    def read(self) -> list[tuple[int, float]]:
        with self._lock:
            try:
                with self._path.open("rb") as file:
                    state = os.fstat(file.fileno())
                    # A resumed run cuts the file back, which replaces it.
                    if state.st_ino != self._file[0] or state.st_size < self._file[1]:
                        self._file, self._rows = (state.st_ino, 0), []
                    file.seek(self._file[1])
                    whole, newline, _ = file.read().rpartition(b"\n")
            except OSError:
                return []
            self._file = (self._file[0], self._file[1] + len(whole) + len(newline))
            self._rows += [row for line in whole.splitlines() if (row := _row(line)) is not None]
            return list(self._rows)


def _row(line: bytes) -> tuple[int, float] | None:
    try:
        found: dict[str, Any] = json.loads(line)
        return int(found["step"]), float(found["clip_similarity"])
    except (ValueError, KeyError, TypeError):
        return None
