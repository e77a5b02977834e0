"""What a config is called, and the folder that its runs go to."""

from pathlib import Path

import pytest

from voxjax.config.naming import default_workdir, slug


def test_default_workdir():
    assert default_workdir("configs/demo.py", "A green torus!") == Path("runs/demo/a-green-torus")
    assert default_workdir("configs/vox_exp.py:low", "x") == Path("runs/vox_exp-low/x")


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Word _ (no. 2)", "word-no-2"),
        ("word " * 50, "-".join(["word"] * 12)),
        ("x" * 59 + " y", "x" * 59),
        ("...", "unnamed"),
        ("Красный шар", "красный-шар"),
        ("赤い球", "赤い球"),
        ("लाल गेंद", "लाल-गेंद"),  # with vowels that are marks
        ("Ｒｅｄ　ｂａｌｌ", "red-ball"),  # wide letters are the same letters
        ("cafe\u0301", "caf\u00e9"),  # and so is a letter whose accent comes behind it
        ("字" * 70, "字" * 60),
        ("𐐨" * 70, "𐐨" * 45),  # 180 bytes
    ],
)
def test_names_of_prompts(prompt, name):
    assert slug(prompt) == name
