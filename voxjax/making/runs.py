"""Training as a process of its own, and the files that a finished run ends with."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from voxjax.command import terminated_as_interrupted
from voxjax.config.naming import slug
from voxjax.files import write_text
from voxjax.making.options import QUALITIES, Choice
from voxjax.run_files import CONFIG, MESH, PICTURES, REPORT

MODULE = "voxjax.train"
CHOICE, SEEDS = "make.json", "seeds"
RESULTS = (*PICTURES, MESH, REPORT)
"""What a finished run may end with; a config can switch the last two off."""


def folder_of(prompt: str, quality: str) -> Path:
    """Where an object goes whose config was chosen: `runs/make/<prompt>`, `-draft` or `-best` behind it."""
    return Path("runs") / "make" / (slug(prompt) + ("" if quality == QUALITIES[1] else f"-{quality}"))


def train(config: str, workdir: Path, settings: Sequence[tuple[str, str]], *, force: bool = False) -> int:
    """Runs `voxjax train` to its end, its progress on this process's stderr.

    Args:
      config: name or path of the config.
      workdir: of the run.
      settings: pairs of key and value.
      force: see `voxjax train --help`.

    Returns:
      Its exit status; a signal's number, negative, where one ended it.
    """
    command = [sys.executable, "-m", MODULE, f"--config={config}", f"--workdir={workdir}"]
    command += [f"--config.{key}={value}" for key, value in settings] + ["--force"] * force
    with terminated_as_interrupted(), subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            return process.wait()
        finally:
            # Ctrl-C reaches both; whatever else ends this process shall not leave the other one training.
            if process.poll() is None:
                process.terminate()
                process.wait()


def remember(workdir: Path, quality: str, choice: Choice) -> None:
    """Writes down what was chosen, so that a run goes on with it when memory or network have changed.

    Where one has begun, what it began with stands: this call may yet be refused.
    """
    if is_begun(workdir):
        return
    record = {"quality": quality, **dataclasses.asdict(choice)}
    write_text(workdir / CHOICE, json.dumps(record, indent=2) + "\n")


def recall(workdir: Path, quality: str) -> Choice | None:
    """What an earlier call that got to train chose for this folder; None without one."""
    if not is_begun(workdir):
        return None
    try:
        found = json.loads((workdir / CHOICE).read_text(encoding="utf-8"))
        if found.pop("quality") != quality:
            return None
        return Choice(**{**found, "settings": tuple((key, value) for key, value in found["settings"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def forget(workdir: Path) -> None:
    """Takes the choice away again where no run has begun, and the folder if nothing else is in it."""
    if not is_begun(workdir):
        (workdir / CHOICE).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            workdir.rmdir()


def is_begun(workdir: Path) -> bool:
    """Whether a run, or the first of several seeds, lies in a folder."""
    return (workdir / CONFIG).is_file() or any(workdir.glob(f"{SEEDS}/*/{CONFIG}"))


def results(workdir: Path) -> list[Path]:
    """The files of a run that are there, in the order of `RESULTS`."""
    return [workdir / name for name in RESULTS if (workdir / name).is_file()]
