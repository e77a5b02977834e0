"""Commands as processes: what they say is passed on, and how they end is told."""

import pytest

from voxjax.evaluation.processes import start


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
