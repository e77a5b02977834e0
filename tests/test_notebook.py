"""`launch/voxjax_colab.ipynb`: executed whole on the CPU, and what the stored file must and must not hold."""

import ast
import os
import re
import sys

import nbformat
import pytest
from helpers.small_training import ROOT, environment
from nbclient import NotebookClient

from voxjax.config.loading import load
from voxjax.config.naming import split_spec
from voxjax.guidance.names import find

FILE = ROOT / "launch" / "voxjax_colab.ipynb"
SMALL = {
    "field.side": 12,
    "cameras.width_px": 16,
    "augment.crop_px": 2,
    "cameras.views_per_step": 1,
    "log.every": 1,
    "checkpoint.every": 6,
    "output.preview_every": 3,
    "output.preview_width_px": 16,
    "output.eval_width_px": 16,
    "output.turntable_width_px": 16,
    "output.turntable_frames": 2,
    "dream_fields.width": 8,
    "dream_fields.hidden": 8,
    "dream_fields.n_features": 4,
    "dream_fields.n_samples": 8,
    "dream_fields.n_test_samples": 8,
}


def read():
    return nbformat.read(FILE, as_version=4)


def sources():
    """Id of each code cell -> its text, magics left out."""
    return {
        cell.id: re.sub(r"(?m)^(\s*)%.*$", r"\1pass", cell.source)
        for cell in read().cells
        if cell.cell_type == "code"
    }


def fill(notebook, **values):
    """Fills in fields of the form, as one does by hand."""
    for name, value in values.items():
        pattern = re.compile(rf"(?m)^{name} = .*?(?=  # @param)")
        cells = [cell for cell in notebook.cells if pattern.search(cell.source)]
        assert len(cells) == 1, f"{len(cells)} cells have the field {name}"
        cells[0].source = pattern.sub(
            lambda _, value=value, name=name: f"{name} = {value!r}", cells[0].source
        )


@pytest.fixture(scope="module")
def executed(tmp_path_factory, compile_cache):
    """(the notebook after all its cells, the folder where it ran)."""
    folder = tmp_path_factory.mktemp("notebook")
    notebook = read()
    extra = " ".join(
        f"--config.{key}={value}" for key, value in {**SMALL, "cache_dir": compile_cache}.items()
    )
    fill(notebook, EXTRA=extra, STEPS=6)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment(IPYTHONDIR=str(folder / "ipython"), JUPYTER_PLATFORM_DIRS="1"))
    return notebook, folder


def test_run(executed):
    notebook, folder = executed
    import pathlib

    nbformat.write(notebook, "/tmp/h/notebook-runs/executed.ipynb")
    print([p for p in folder.rglob("*") if p.is_file()][:60])
