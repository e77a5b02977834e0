"""Commands of voxjax as processes of their own, so that one's memory, and one's crash, is not another's."""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from voxjax.evaluation.entries import Entry

_running: set[subprocess.Popen] = set()


def start(module: str, arguments: Sequence[str], *, name: str, threads: int | None = None) -> str:
    """Runs `python -m module` to its end, passing on what it says.

    Args:
      module: a command of this package.
      arguments: its arguments.
      name: put before each line.
      threads: how many it may use on CPU, for processes side by side; None for its own choice.

    Returns:
      Empty if all went well, else its last words.
    """
    last = ""
    command = [sys.executable, "-m", module, *arguments]
    environment = dict(os.environ)
    if threads:
        flags = f"--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads={threads}"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {flags}".strip()
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        _running.add(process)
        try:
            for line in process.stderr:
                print(f"[{name}] {line.rstrip()}", file=sys.stderr, flush=True)
                last = line.strip() or last
        finally:
            _running.discard(process)
    if process.returncode < 0:
        return f"killed by {signal.Signals(-process.returncode).name}; its last words: {last}"
    return (
        (last.removeprefix("voxjax: ") or f"exit status {process.returncode}") if process.returncode else ""
    )


def stop_all() -> None:
    """Ends every process that `start` waits for in some thread; a run that trains goes on another time."""
    for process in tuple(_running):
        process.terminate()


def judge(entries: Sequence[Entry], judges: dict[str, str], prompt: str) -> tuple[dict[str, dict], str]:
    """Shows the finished runs to each CLIP.

    Args:
      entries: finished runs.
      judges: label -> what `--clip` takes.
      prompt: the caption.

    Returns:
      (label -> table of `voxjax.evaluate`, what went wrong or "").
    """
    tables: dict[str, dict] = {}
    complaints = ""
    with tempfile.TemporaryDirectory() as folder:
        captions = Path(folder) / "captions.txt"
        captions.write_text(" ".join(prompt.split()) + "\n", encoding="utf-8")
        runs = [f"--runs={glob.escape(os.fspath(entry.workdir))}" for entry in entries]
        for label, clip in judges.items() if entries else ():
            out = Path(folder) / "table.json"
            error = start(
                "voxjax.evaluate",
                [*runs, f"--prompts={captions}", f"--clip={clip}", f"--out={out}"],
                name=f"judge {label}",
            )
            if error:
                complaints = f"judging by {label} failed: {error}"
            else:
                tables[label] = json.loads(out.read_text())
    return tables, complaints
