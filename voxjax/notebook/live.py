"""Commands of voxjax beside the kernel, watched from a cell: a bar, the latest preview, the last words.

The process has a session of its own, so that the kernel's interrupt does not reach it unasked, and writes to
a file, so that it does not need the kernel to live. Calling again finds it by its command line.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from voxjax.notebook.course import Pace, bar, last_lines, read_course
from voxjax.notebook.settings import Settings
from voxjax.notebook.showing import Spot, picture_html
from voxjax.notebook.words import CellError
from voxjax.pictures.outputs import PREVIEW

# An interrupt is waited for so long: jax lets go of a program only once it has run or is compiled.
_PATIENCE_S = 30.0
_N_WORDS = 2
# A kernel asks all programs for the colours and bars of a terminal; a log must have plain lines.
_FORCED = ("FORCE_COLOR", "CLICOLOR_FORCE")


@dataclass(frozen=True)
class Job:
    """A command and where it is seen to work.

    Attributes:
      title: for the bar.
      module: of the command.
      arguments: of it; `--workdir=` is among them and names the job.
      workdirs: of the runs that it trains.
      log: file that takes what it says.
    """

    title: str
    module: str
    arguments: tuple[str, ...]
    workdirs: tuple[Path, ...]
    log: Path


def train_live(settings: Settings, *, seconds: float = 1.0) -> Path:
    """Trains, showing how it goes; goes on where an earlier call was stopped, and leaves a finished run be.

    Args:
      settings: from `make_settings`.
      seconds: between two looks.

    Returns:
      The run's folder, with all its pictures.

    Raises:
      CellError: the training failed; its last line. Or it was interrupted.
    """
    workdir = settings.workdir
    arguments = (f"--config={settings.config}", f"--workdir={workdir}", f"--config.prompt={settings.prompt}")
    log = workdir.with_name(f"{workdir.name}.log")
    title = f"{settings.prompt}: {settings.config}"
    follow(Job(title, "voxjax.train", (*arguments, *settings.flags), (workdir,), log), seconds=seconds)
    return workdir


def compare_live(settings: Settings, *, seconds: float = 1.0) -> Path:
    """Trains the rival on the same prompt and sets the two side by side, a finished run being taken as it is.

    Args:
      settings: from `make_settings`.
      seconds: between two looks.

    Returns:
      The comparison's page.

    Raises:
      CellError: a run or the judging failed, or it was interrupted.
    """
    specs = (settings.config, settings.rival)
    arguments = [f"--config={spec}" for spec in specs]
    arguments += [f"--prompt={settings.prompt}", f"--workdir={settings.folder}", *settings.flags]
    workdirs = (settings.workdir, settings.rival_workdir)
    title = f"{settings.prompt}: {' and '.join(specs)}"
    job = Job(title, "voxjax.compare", tuple(arguments), workdirs, settings.folder / "compare.log")
    follow(job, seconds=seconds)
    return settings.folder / "index.html"


def follow(job: Job, *, seconds: float = 1.0) -> None:
    """Runs a job to its end, after one that an earlier call has left running.

    Args:
      job: what to run.
      seconds: between two looks.

    Raises:
      CellError: it failed, with its last words, or was interrupted, which also stops the process.
    """
    view = _View(job)
    process = find_running(job)
    try:
        if process is not None:
            view.watch(process, seconds)
            process = None
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("wb") as log:
            process = psutil.Popen(
                [sys.executable, "-m", job.module, *job.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={name: value for name, value in os.environ.items() if name not in _FORCED},
                start_new_session=True,
            )
        view.watch(process, seconds)
    except KeyboardInterrupt:
        # It may have come before this function knew the process.
        process = process or find_running(job)
        if process is not None:
            stop(process)
        view.show(running=False)
        raise CellError("stopped; run this cell again to go on from the last checkpoint") from None
    if process.returncode:
        raise CellError(_last_words(job.log, process.returncode))


def find_running(job: Job) -> psutil.Process | None:
    """Returns the process of this user that does the job already, in the same folder; None without one."""
    flag = next(each for each in job.arguments if each.startswith("--workdir="))
    workdir, user = flag.removeprefix("--workdir="), psutil.Process().username()
    for process in psutil.process_iter(["cmdline", "cwd", "username"]):
        line, cwd = process.info["cmdline"] or [], process.info["cwd"] or ""
        # A workdir may be relative: the same words in another folder are then another job.
        same = process.info["username"] == user and Path(cwd, workdir) == Path.cwd() / workdir
        if same and job.module in line and flag in line and process.pid != os.getpid():
            return process
    return None


def stop(process: psutil.Process) -> None:
    """Ends a process and what it started: as Ctrl-C would, and by force where that does not help."""
    members = [process, *process.children(recursive=True)] if process.is_running() else []
    for kind in (signal.SIGINT, signal.SIGKILL):
        for each in members:
            try:
                each.send_signal(kind)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        _, members = psutil.wait_procs(members, timeout=_PATIENCE_S)


def _last_words(log: Path, status: int) -> str:
    """Why a command failed: its own line, or the end of a traceback."""
    lines = last_lines(log)
    if lines and lines[-1].startswith("voxjax: "):
        return lines[-1].removeprefix("voxjax: ")
    end = "\n".join(lines[-12:])
    return f"the process ended with status {status}; all it said is in {log}, at its end\n{end}"


class _View:
    """The places of a cell's output that are renewed while a job runs."""

    def __init__(self, job: Job):
        self._job, self._pace = job, Pace()
        self._bar, self._picture = Spot(), Spot()
        self._shown: Any = None

    def watch(self, process: Any, seconds: float) -> None:
        """Looks until the process has ended."""
        while True:
            self.show()
            try:
                process.wait(timeout=seconds)
            except psutil.TimeoutExpired:
                continue
            break
        self.show(running=False)

    def show(self, *, running: bool = True) -> None:
        """Renews what has changed."""
        active = _latest(self._job.workdirs)
        course = read_course(active)
        speed = self._pace.seen(course.step, time.monotonic()) if course else 0.0
        self._bar.show(bar(self._job.title, course, speed, _words(self._job.log), running=running))
        picture = active / PREVIEW
        stamp = (picture, picture.stat().st_mtime_ns) if picture.is_file() else None
        if stamp is not None and stamp != self._shown:
            self._picture.show(picture_html(picture, f"{self._job.title}, from eight azimuths"))
            self._shown = stamp


def _words(log: Path) -> Sequence[str]:
    """All warnings, and the last lines."""
    lines = last_lines(log, n_bytes=None)
    warnings = [line for line in lines[:-_N_WORDS] if "warning: " in line]
    return [*warnings, *lines[-_N_WORDS:]]


def _latest(workdirs: Sequence[Path]) -> Path:
    """The folder that was written to last."""

    def time_of(workdir: Path) -> float:
        files = (workdir / name for name in ("metrics.jsonl", "config.json"))
        return max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)

    return max(workdirs, key=time_of)
