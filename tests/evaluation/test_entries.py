"""The runs of a comparison before they start: who may judge them."""

from pathlib import Path

import pytest
from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.evaluation import entries

PROMPT = "a red sphere"


@pytest.mark.parametrize(
    ("guides", "judge"),
    [
        (["pocket"], "pocket-eval"),
        (["pocket-eval"], "pocket"),
        (["pocket", "ViT-B/16"], "pocket-eval"),
        (["picturebook"], "picturebook-eval"),
        (["ViT-B/16"], "ViT-B/32"),
        (["ViT-B/32"], "ViT-B/16"),
        (["ViT-B/32", "ViT-B/16"], "ViT-L/14"),
        (["ViT-L/14"], "ViT-B/32"),
    ],
)
def test_the_judge_is_no_guide(guides, judge, monkeypatch):
    monkeypatch.setattr(entries.names, "locate", lambda name, path=None: Path(path or f"/clips/{name}"))
    read = []
    monkeypatch.setattr(entries, "load_guidance", lambda name, *, prompts, path=None: read.append(name))
    configs = [load(f"{ROOT}/configs/demo.py", [("prompt", PROMPT), ("clip.model", name)]) for name in guides]
    runs = [entries.Entry(name, name, c, Path(name)) for name, c in zip(guides, configs, strict=True)]
    judges, held_out = entries.choose_judges(runs, "", PROMPT)
    assert held_out == judge and judges == {name: name for name in [*guides, judge]}
    assert read == [*guides, judge]  # each has read the prompt before the first run
    # The same files under another name are the same guide.
    monkeypatch.setattr(entries.names, "locate", lambda name, path=None: Path("/clips/one"))
    with pytest.raises(UserError, match="--held-out=my-folder: it guides"):
        entries.choose_judges(runs, "my-folder", PROMPT)
