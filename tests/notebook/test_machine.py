"""What jax finds, asked in another process."""

import sys

import jax
import pytest

from voxjax.notebook import machine
from voxjax.notebook.words import CellError


def test_it_says_what_jax_says(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    found = machine.find_machine()
    assert (found.platform, found.jax_version) == ("cpu", jax.__version__)
    assert found.count >= 1 and found.device and not found.has_gpu


@pytest.mark.parametrize(("driver", "unused"), [(True, True), (False, False)])
def test_a_gpu_that_jax_does_not_find_is_noticed(monkeypatch, tmp_path, driver, unused):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(machine, "_NVIDIA", tmp_path / ("" if driver else "none"))
    assert machine.find_machine().unused_gpu is unused


def test_a_broken_jax_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('jaxlib is older than jax')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert sys.executable
    with pytest.raises(CellError, match="jax does not start: ImportError: jaxlib is older than jax; install"):
        machine.find_machine()
