"""Commands as processes: what they say is passed on, and how they end is told."""

import threading
import time

import pytest

from voxjax.evaluation.processes import start, stop_all


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("", ""),
        ("import sys; print('voxjax: no room', file=sys.stderr); sys.exit(2)", "no room"),
        ("print('out'); raise RuntimeError('why')", "RuntimeError: why"),
        ("raise SystemExit(3)", "exit status 3"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
    ],
)
def test_the_last_words_of_a_process(code, words, tmp_path, monkeypatch, capsys):
    (tmp_path / "a_module.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = start("a_module", ["--x"], name="a run")
    assert said.startswith(words) if words else said == ""
    heard = capsys.readouterr()
    assert heard.out == "" and all(line.startswith("[a run] ") for line in heard.err.splitlines())


def test_what_runs_in_a_thread_can_be_stopped(tmp_path, monkeypatch, capsys):
    (tmp_path / "a_module.py").write_text(
        "import sys, time; print('up', file=sys.stderr, flush=True); time.sleep(60)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    said = []
    thread = threading.Thread(target=lambda: said.append(start("a_module", [], name="a run")))
    thread.start()
    heard = ""
    while "up" not in heard:
        heard += capsys.readouterr().err
        time.sleep(0.05)
    stop_all()
    thread.join(30)
    assert said == ["killed by SIGTERM; its last words: up"]


def test_processes_side_by_side_are_told_how_many_threads_they_have(tmp_path, monkeypatch):
    (tmp_path / "a_module.py").write_text("import os, sys; sys.exit(os.environ.get('XLA_FLAGS', 'none'))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("XLA_FLAGS", "--before")
    assert start("a_module", [], name="x") == "--before"
    flags = "--before --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=3"
    assert start("a_module", [], name="x", threads=3) == flags
