"""Config files as programs: by name or path, the shipped ones in reach, every error in one line."""

import sys

import pytest
from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.config.naming import shipped_names, split_spec
from voxjax.config.programs import expand
from voxjax.errors import UserError

PROMPT = [("prompt", "a red cube")]


def test_a_broken_file_is_refused_and_a_foreign_one_works(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("def get_config(:\n")
    with pytest.raises(UserError, match="line 1: SyntaxError: invalid syntax"):
        load(str(broken), PROMPT)
    empty = tmp_path / "empty.py"
    empty.write_text("steps = 3\n")
    with pytest.raises(UserError, match="no get_config"):
        load(str(empty), PROMPT)
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from configs import demo\n\ndef get_config():\n"
        "    c = demo.get_config()\n    c.steps = 7\n    return c\n"
    )
    assert load(str(mine), PROMPT).steps == 7
    with pytest.raises(UserError, match="no variants"):
        load(f"{mine}:low", PROMPT)


def test_all_stands_for_every_variant_in_order(tmp_path):
    path = f"{ROOT}/configs/figure6.py"
    names = ("vox_exp", "vox_imp", "dream_fields")
    assert expand(f"{path}:all") == [f"{path}:{name}" for name in names]
    assert expand(f"{path}:vox_exp") == [f"{path}:vox_exp"] and expand("any.py") == ["any.py"]
    with pytest.raises(UserError, match="lists no VARIANTS"):
        expand(f"{ROOT}/configs/vox_exp.py:all")
    with pytest.raises(UserError, match="no such file"):
        expand(f"{tmp_path}/none.py:all")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    return 1 / 0", "line 3: ZeroDivisionError: division by zero"),
        ("    return math.sqrt(-1)", "line 3: ValueError: math domain error"),
        ("    return {}['kl']", "line 3: KeyError: 'kl'"),
        ("    c = demo.get_config()\n    c.loss.kl.x = 2\n    return c", "line 4: AttributeError"),
        ("    return demo.get_config('huge')", "mine.py: unknown variant 'huge'"),
        ("    raise ValueError('only on Sundays')", "mine.py: only on Sundays"),
        ("    raise SystemExit('enough')", "line 3: SystemExit: enough"),
        ("    assert False", "line 3: AssertionError"),
    ],
)
def test_a_config_that_raises_is_told_in_one_line(tmp_path, body, words):
    mine = tmp_path / "mine.py"
    mine.write_text(f"import math; from configs import demo\ndef get_config():\n{body}\n")
    with pytest.raises(UserError) as caught:
        load(str(mine), PROMPT)
    message = str(caught.value)
    assert message.startswith(f"--config={mine}: ") and words in message and "\n" not in message


def test_a_shipped_config_goes_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load("demo:vox_imp", PROMPT) == load(f"{ROOT}/configs/demo.py:vox_imp", PROMPT)
    assert split_spec("vox_exp") == (ROOT / "configs" / "vox_exp.py", None)
    assert expand("figure6:all") == ["figure6:vox_exp", "figure6:vox_imp", "figure6:dream_fields"]
    for spec in ("vox_xep", "configs", "../configs/demo", "demo.txt", ""):
        with pytest.raises(UserError, match=f"those that ship are {', '.join(shipped_names())}"):
            load(spec, PROMPT)


def test_a_config_sees_its_neighbours_and_leaves_no_trace(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "half.py").write_text("STEPS = 5\n")
    (tmp_path / "mine" / "whole.py").write_text(
        "from configs import base, half\n\ndef get_config():\n"
        "    c = base.get_config()\n    c.steps = half.STEPS\n    return c\n"
    )
    before, paths = set(sys.modules), list(sys.path)
    assert load(str(tmp_path / "mine" / "whole.py"), PROMPT).steps == 5
    assert sys.path == paths
    assert not {name for name in set(sys.modules) - before if name.startswith(("configs", "half"))}
