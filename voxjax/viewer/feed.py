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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.run import CONFIG, METRICS, kept_steps, load_run, read_config
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
        self._known = _Known(None, _Metrics(self.workdir / METRICS))

    @property
    def config(self) -> ConfigDict | None:
        """Config of the run, None as long as there is none."""
        known = self._of_this_run()
        if known.config is None:
            try:
                known.config = read_config(self.workdir)
            except UserError:
                return None
        return known.config

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
            exhibits = self._of_this_run().exhibits
            exhibit = exhibits.pop(step, None) or Exhibit(load_run(self.workdir, step=step)).warm()
            exhibits[step] = exhibit
            while len(exhibits) > _KEPT:
                exhibits.popitem(last=False)
            return exhibit

    def open_latest(self) -> Exhibit:
        """Opens the latest sound checkpoint, and warns about later ones that are not.

        Raises:
          UserError: the folder holds no run, or no sound checkpoint.
        """
        exhibits = self._of_this_run().exhibits
        run = load_run(self.workdir)
        with self._lock:
            exhibit = exhibits[run.step] = exhibits.get(run.step) or Exhibit(run).warm()
            return exhibit

    def forget(self) -> None:
        """Lets go of the checkpoints in memory."""
        with self._lock:
            self._known.exhibits.clear()

    def newest(self) -> Exhibit | None:
        """Opens the newest checkpoint that can be read; None while there is none.

        One that is not complete yet is tried again, less and less often.

        Raises:
          UserError: there are some, and none can be read.
        """
        complaint: UserError | None = None
        unreadable = self._of_this_run().unreadable
        for step in reversed(self.steps()):
            wait, due = unreadable.get(step, (0.5, 0.0))
            if time.monotonic() < due:
                continue
            try:
                exhibit = self.open(step)
            except UserError as error:
                complaint = complaint or error
                unreadable[step] = (2.0 * wait, time.monotonic() + wait)
                continue
            unreadable.pop(step, None)
            return exhibit
        if complaint is not None:
            raise complaint
        return None

    def progress(self) -> Progress:
        """How far the run is now."""
        history = self._of_this_run().metrics.read()
        steps = self.config.steps if self.config is not None else 0
        done = max([step for step, _ in history[-1:]] + self.steps()[-1:], default=0)
        return Progress(done, steps, history[-1][1] if history else None, tuple(history))

    def _of_this_run(self) -> _Known:
        """What is known of the run that the folder holds now; of the last one where it holds none."""
        try:
            state = (self.workdir / CONFIG).stat()
        except OSError:
            return self._known
        mark = (state.st_ino, state.st_mtime_ns)  # a number alone may be given to a later file
        if mark != self._known.mark:
            self._known = _Known(mark, _Metrics(self.workdir / METRICS))
        return self._known


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


@dataclass
class _Known:
    """What has been read of one run, which its config's file stands for.

    Attributes:
      mark: of that file; None before there is one.
      metrics: of the run.
      config: None as long as it was not read.
      exhibits: checkpoints by their steps, the last used at the end.
      unreadable: step -> seconds to wait, when to try again.
    """

    mark: tuple[int, int] | None
    metrics: _Metrics
    config: ConfigDict | None = None
    exhibits: OrderedDict[int, Exhibit] = field(default_factory=OrderedDict)
    unreadable: dict[int, tuple[float, float]] = field(default_factory=dict)


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
