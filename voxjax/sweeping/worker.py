"""What a worker does with one run: `voxjax train` in a process of its own, watched until it ends.

Neither jax nor Ray is known here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from voxjax.files import Busy, locked
from voxjax.run_files import LOCK, METRICS
from voxjax.sweeping.record import RECORD, now

LOG = "train.log"
"""What the training processes of a run said, in its folder."""

# Endings: the run is finished; its process failed; or this was no place for it.
DONE, FAILED, UNFIT = "done", "failed", "unfit"

_TELL_EVERY_S = 2.0
# A process that lost its node may take a while to let go of the folder.
_LOCK_WAIT_S = 60.0
_BLIND_S = 10.0
_LAST_LINES = 20
_LEASH = "voxjax.sweeping.leash"


@dataclass(frozen=True)
class Order:
    """A run to be trained.

    Attributes:
      name: of the run.
      ticket: how many times the run was ordered; tells this order from earlier ones.
      root: the sweep's folder.
      module: the command that trains.
      arguments: of it.
      environment: variables of its process.
    """

    name: str
    ticket: int
    root: str
    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Fact:
    """How far a run is.

    Attributes:
      ticket: of its order.
      node: where it runs.
      started: UTC, ISO 8601.
      step: last step that it told of; 0 before the first.
      speed: steps a second of this process; 0 if unknown.
    """

    ticket: int
    node: str
    started: str
    step: int = 0
    speed: float = 0.0


@dataclass(frozen=True)
class Ending:
    """How an order ended.

    Attributes:
      how: "done", "failed", or "unfit": not the run's own fault.
      node: where.
      started: UTC, ISO 8601.
      last: last lines that it said, if it did not end well.
    """

    how: str
    node: str
    started: str
    last: tuple[str, ...] = ()


def work(order: Order, node: str, tell: Callable[[Fact], None]) -> Ending:
    """Trains one run to its end, or to its failure.

    Args:
      order: the run.
      node: what this machine is called.
      tell: told how far the run is, at the start and every few seconds.
    """
    root, workdir, started = Path(order.root), Path(order.root) / order.name, now()
    if not (root / RECORD).exists():
        time.sleep(_BLIND_S)  # or this node, being free, would be given one run after another
        return Ending(UNFIT, node, started, (f"{node} does not see {root}: mount the shared folder there",))
    try:
        _wait_until_free(workdir)
    except Busy:
        return Ending(UNFIT, node, started, (f"another process is training in {workdir}",))
    tell(Fact(order.ticket, node, started))
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / LOG).open("ab") as log:
        log.write(f"== {started} on {node}, start {order.ticket}\n".encode())
        log.flush()
        begin = log.tell()
        code = _watch(
            order, workdir, log, lambda step, speed: tell(Fact(order.ticket, node, started, step, speed))
        )
    if code == 0:
        return Ending(DONE, node, started)
    return Ending(FAILED, node, started, _last_lines(workdir / LOG, begin, code))


def _wait_until_free(workdir: Path) -> None:
    if (workdir / LOCK).exists():
        with locked(workdir / LOCK, wait_s=_LOCK_WAIT_S):
            pass


def _watch(order: Order, workdir: Path, log: IO[bytes], tell: Callable[[int, float], None]) -> int:
    """Runs the process to its end; returns its exit status."""
    command = [sys.executable, "-m", _LEASH, str(os.getpid()), order.module, *order.arguments]
    told = last_step(workdir / METRICS)  # by an earlier process
    process = subprocess.Popen(
        command,
        env=_environment(order),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the sweep, which ends its workers
    )
    first: tuple[int, float] | None = None
    try:
        while True:
            try:
                return process.wait(_TELL_EVERY_S)
            except subprocess.TimeoutExpired:
                step, at = last_step(workdir / METRICS), time.monotonic()
            if step <= told:
                told = step  # less where the run has cut its metrics back to what it goes on from
                continue
            if first is None:
                first = (step, at)  # what came before was loading and compiling
            told = step
            tell(step, (step - first[0]) / (at - first[1]) if at > first[1] else 0.0)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _environment(order: Order) -> dict[str, str]:
    found = {**os.environ, **order.environment}
    if "XLA_FLAGS" in order.environment:  # behind those of the user, of which XLA takes the last of a kind
        found["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {order.environment['XLA_FLAGS']}".strip()
    return found


def last_step(metrics: Path) -> int:
    """The step of the last whole line of a run's metrics; 0 without one."""
    try:
        with metrics.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 65536, 0))
            lines = file.read().split(b"\n")
    except OSError:
        return 0
    for line in reversed(lines[:-1]):
        try:
            return int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def _last_lines(log: Path, begin: int, code: int) -> tuple[str, ...]:
    try:
        with log.open("rb") as file:
            file.seek(max(begin, file.seek(0, os.SEEK_END) - 16384))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    if code < 0:
        lines.append(f"killed by {_signal_name(-code)}")
    said = [line.rstrip() for line in lines if line.strip()]
    return tuple(said[-_LAST_LINES:]) or (f"exit status {code}",)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
