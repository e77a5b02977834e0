"""The benchmark beside PyTorch, as far as it goes without PyTorch; `python -m parity peer` does the rest."""

import importlib.util
import json

import pytest

from benchmarks import peer_torch
from benchmarks.guides import LARGEST
from benchmarks.peer import known
from voxjax.command import run_command
from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.guidance import names
from voxjax.guidance.ensemble import GuideSpec


def spec(model, path=""):
    return GuideSpec("clip", model, str(path), 1.0, 0, 1)


def test_without_pytorch_one_line_says_where_it_comes_from(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    with pytest.raises(SystemExit) as stop:
        run_command(peer_torch.main, ["--config=demo"])
    said = capsys.readouterr()
    assert stop.value.code == 2 and said.out == "" and said.err.count("\n") == 1
    assert "voxjax[parity]" in said.err and "make parity" in said.err


@pytest.mark.parametrize("name", ["demo", "vox_exp:paper", "vox_exp:low", "vox_exp:ensemble"])
def test_the_peer_takes_every_vox_exp_of_the_papers_text(name):
    known.check(load(name, LARGEST))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("vox_imp:paper", "field.name"),
        ("demo:dream_fields", "field.name"),
        ("demo:vox_exp-released", "augment"),
    ],
)
def test_what_the_peer_does_not_do_is_refused_by_its_key(name, key):
    with pytest.raises(UserError, match=f"--config.{key}"):
        known.check(load(name, LARGEST))


def test_the_size_of_a_clip_comes_from_its_folder_or_its_name(tiny_clip):
    raw = json.loads((tiny_clip / names.CONFIG).read_text())
    for given in (spec(str(tiny_clip)), spec("ViT-B/32", tiny_clip)):
        assert known.vision_settings(given) == {
            **raw["vision_config"],
            "projection_dim": raw["projection_dim"],
        }
    assert known.vision_settings(spec("pocket"))["image_size"] == 48
    large = known.vision_settings(spec("ViT-L/14"))
    assert (large["hidden_size"], large["num_hidden_layers"], large["num_attention_heads"]) == (1024, 24, 16)
    assert large["hidden_act"] == "quick_gelu"
    assert known.vision_settings(spec("ViT-L-14:laion2b")) == {**large, "hidden_act": "gelu"}
    with pytest.raises(UserError, match="RN50"):
        known.vision_settings(spec("RN50"))


def test_the_sides_take_turns_and_the_first_step_of_a_turn_is_not_timed():
    seen = []
    steps = {name: lambda name=name: seen.append(name) for name in "ab"}
    times = peer_torch.in_turns(steps, rounds=2, per_round=2)
    assert "".join(seen) == "aaa" + "bbb" + "bbb" + "aaa"
    assert {name: len(each) for name, each in times.items()} == {"a": 4, "b": 4}


def test_the_table_has_the_ratio_of_the_medians():
    found = {
        "config": "demo",
        "device": "cpu",
        "cores": 2,
        "versions": {"torch": "2"},
        "dtype": "float32",
        "load_before": 0.0,
        "rays": 4,
        "images": 2,
        "samples": {"PyTorch": 7, "room of voxjax": 8},
        "left_out": 0,
        "times_ms": {"voxjax": [1.0, 2.0, 90.0], "PyTorch": [5.0, 7.0, 6.0]},
        "peak_bytes": {"voxjax": 2**30},
    }
    text = peer_torch.table(found)
    assert "| voxjax | 2 | 1.5 to 46 | 3 | 1024 |" in text and "| PyTorch | 6 | 5.5 to 6.5 | 3 | - |" in text
    assert text.endswith("PyTorch over voxjax: 3.00")
