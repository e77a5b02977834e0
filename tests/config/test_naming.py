"""What a config is called, and the folder that its runs go to."""

from pathlib import Path

from voxjax.config.naming import default_workdir, slug


def test_default_workdir():
    assert default_workdir("configs/demo.py", "A green torus!") == Path("runs/demo/a-green-torus")
    assert default_workdir("configs/vox_exp.py:low", "x") == Path("runs/vox_exp-low/x")
    assert len(slug("word " * 50)) <= 60 and not slug("word " * 50).endswith("-")
    assert slug("...") == "unnamed"
