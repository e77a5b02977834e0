"""What jax finds, asked in another process."""

import subprocess
from types import SimpleNamespace

import jax
import pytest

from voxjax import devices
from voxjax.devices import Devices, JaxFailure, find_devices


def test_it_is_what_jax_says_here(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert find_devices() == Devices("cpu", "cpu", 1, 0, 0, jax.__version__)


def test_the_last_line_counts(monkeypatch):
    said = f'a warning\n["gpu", "a card", 2, {8 << 30}, {5 << 30}, "0.9"]\n'
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=said))
    assert find_devices() == Devices("gpu", "a card", 2, 8 << 30, 5 << 30, "0.9")


@pytest.mark.parametrize(
    ("said", "complaint", "reason"),
    [("", "", "exit status 3"), ("[1]", "x\nImportError: no\n", "ImportError: no"), ("{", "a\n", "a")],
)
def test_no_answer_is_a_failure_with_the_last_line(said, complaint, reason, monkeypatch):
    done = SimpleNamespace(stdout=said, stderr=complaint, returncode=3)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    with pytest.raises(JaxFailure, match=reason):
        find_devices()


def test_a_jax_that_hangs_is_not_waited_for(monkeypatch, tmp_path):
    (tmp_path / "jax.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(devices, "_PATIENCE_S", 0.5)
    with pytest.raises(JaxFailure, match="timed out after 0.5"):
        find_devices()
