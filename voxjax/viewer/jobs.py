"""Commands of voxjax that the viewer starts: each a process of its own, what it says kept for the page.

Trainings are stopped with Ctrl-C's signal, on which they end at once and keep their last checkpoint; those
that still run when the viewer ends are stopped with it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from voxjax.config.naming import digits
from voxjax.errors import UserError

TRAIN = "voxjax.train"
"""The command that trains."""

# Seconds that a process gets to end by itself after it was asked to, before it is asked less kindly.
_PATIENCE_S = 10.0
# Lines kept of what it says.
_LINES = 200


class Job:
    """A command that runs.

    Args:
      module: of the command, "voxjax.train".
      arguments: what follows its name.
    """

    def __init__(self, module: str, arguments: Sequence[str]):
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._stopped = False
        # A session of its own: Ctrl-C in the viewer's terminal is for the viewer, which then stops its jobs.
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def stopped(self) -> bool:
        """Whether it was stopped by `stop`."""
        return self._stopped

    def wait(self) -> str:
        """Waits for the end; returns why it failed in one line, empty if it did not."""
        self._process.wait()
        return self.complaint()

    def complaint(self) -> str:
        """Why it failed in one line; empty while it runs, and if it did not fail or was stopped."""
        if self.running or self._process.returncode == 0 or self._stopped:
            return ""
        self._listener.join(1.0)
        last = next((line.strip() for line in reversed(self._lines) if line.strip()), "")
        if self._process.returncode < 0:
            name = signal.Signals(-self._process.returncode).name
            return f"killed by {name}" + (f"; its last words: {last}" if last else "")
        return last.removeprefix("voxjax: ") or f"exit status {self._process.returncode}"

    def stop(self) -> None:
        """Interrupts it; whatever ignores that is terminated, and then killed."""
        for ask in (lambda: self._process.send_signal(signal.SIGINT), self._process.terminate):
            if not self.running:
                return
            self._stopped = True
            ask()
            try:
                self._process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                continue
        if self.running:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            self._lines.extend(lines)


class Trainings:
    """The trainings that this viewer started, at most one in each folder."""

    def __init__(self) -> None:
        self._jobs: dict[Path, Job] = {}
        self._lock = threading.Lock()
        self._files: tempfile.TemporaryDirectory[str] | None = None

    def start(self, workdir: Path, arguments: Sequence[str]) -> Job:
        """Starts `voxjax train`.

        Args:
          workdir: of the run, which the command makes.
          arguments: its other flags.

        Raises:
          UserError: one runs there already.
        """
        with self._lock:
            job = self._jobs.get(workdir.absolute())
            if job is not None and job.running:
                raise UserError(f"{workdir}: a training started here is still running; stop it first")
            job = Job(TRAIN, [*arguments, f"--workdir={workdir}"])
            self._jobs[workdir.absolute()] = job
            return job

    def go_on(self, workdir: Path) -> Job:
        """Starts the training of a run again with the config that it has.

        Raises:
          UserError: one runs there already.
        """
        # The command takes configs as programs only: this one reads the run's own.
        with self._lock:
            if self._files is None:
                self._files = tempfile.TemporaryDirectory(prefix="voxjax-view-")
        # A name for each folder: the process before may not have read its file yet.
        file = Path(self._files.name) / f"going_on_{digits(str(workdir.absolute()))}.py"
        file.write_text(
            "from voxjax.run import read_config\n\n\n"
            f"def get_config():\n    return read_config({str(workdir.absolute())!r})\n",
            encoding="utf-8",
        )
        return self.start(workdir, [f"--config={file}"])

    def of(self, workdir: Path) -> Job | None:
        """The job of a folder, running or not; None if none was started here."""
        return self._jobs.get(workdir.absolute())

    def close(self) -> list[Path]:
        """Stops all of them; returns the folders of those that still ran."""
        with self._lock:
            running = [workdir for workdir, job in self._jobs.items() if job.running]
            for workdir in running:
                self._jobs[workdir].stop()
            if self._files is not None:
                self._files.cleanup()
            return running
