"""The form: what it comes to, and what it refuses before anything starts."""

import dataclasses
from pathlib import Path

import pytest

from voxjax.config.loading import load
from voxjax.config.naming import spec_name
from voxjax.notebook.machine import Machine
from voxjax.notebook.settings import make_settings
from voxjax.notebook.words import CellError

CPU = Machine("cpu", "cpu", 1, 0, "0.12.0")
GPU = Machine("gpu", "Tesla T4", 1, 11 * 2**30, "0.12.0")


def test_the_machine_chooses_where_nothing_is_said():
    assert make_settings("a red cube", machine=CPU).config == "demo"
    assert make_settings("a bonsai tree", machine=GPU).config == "vox_exp:low"
    assert make_settings("a red cube", machine=GPU, config="demo:vox_imp").config == "demo:vox_imp"


def test_fields_of_the_form_become_keys_of_the_config():
    settings = make_settings(
        "a red cube",
        machine=CPU,
        guidance="pocket-eval",
        steps=40,
        seed=3,
        extra="--config.loss.tv=0.2 --config.seed 4",
    )
    config = load(settings.config, [("prompt", settings.prompt), *settings.overrides])
    assert (config.clip.model, config.steps, config.loss.tv) == ("pocket-eval", 40, 0.2)
    assert config.seed == 4  # what is typed last counts, as on the command line
    assert "--config.loss.tv=0.2" in settings.flags and not any("prompt" in flag for flag in settings.flags)
    plain = load("demo", [("prompt", "x"), *make_settings("x", machine=CPU).overrides])
    assert (plain.clip.model, plain.steps) == ("auto", 150)


@pytest.mark.parametrize(("steps", "every"), [(0, 10), (3000, 60)])
def test_previews_are_fifty_at_most(steps, every):
    assert ("output.preview_every", str(every)) in make_settings("x", machine=CPU, steps=steps).overrides


def test_ones_own_preview_cadence_stays():
    settings = make_settings("x", machine=CPU, extra="--config.output.preview_every=7")
    assert [value for key, value in settings.overrides if key == "output.preview_every"] == ["7"]


def test_the_same_form_has_the_same_folder_and_another_form_another():
    first = make_settings("a red cube", machine=CPU, root="here")
    assert first.folder.parent == Path("here") and first.folder.name.startswith("a-red-cube-")
    assert make_settings("a red cube", machine=CPU, root="here") == first
    others = [
        {"steps": 7},
        {"seed": 1},
        {"guidance": "pocket-eval"},
        {"config": "demo:vox_imp"},
        {"extra": "--config.loss.tv=1"},
    ]
    folders = {make_settings("a red cube", machine=CPU, **other).folder for other in others}
    assert len(folders) == len(others) and first.folder not in folders


@pytest.mark.parametrize(
    ("config", "rival", "field"),
    [
        ("demo", "demo:dream_fields", "dream_fields"),
        ("demo:dream_fields", "demo:vox_exp", "vox_exp"),
        ("vox_imp:low", "dream_fields:lq", "dream_fields"),
        ("dream_fields:mq", "vox_exp:low", "vox_exp"),
        ("figure6:vox_imp", "figure6:dream_fields", "dream_fields"),
    ],
)
def test_the_rival_is_the_other_kind_of_field(config, rival, field):
    settings = make_settings("x", machine=GPU, config=config)
    assert settings.rival == rival and load(rival, [("prompt", "x")]).field.name == field
    assert settings.workdir == settings.folder / spec_name(config)
    assert settings.rival_workdir.parent == settings.folder and settings.rival_workdir != settings.workdir


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"config": "dmo"}, "those that ship are"),
        ({"steps": -1}, "steps"),
        ({"extra": "--config.los.tv=1"}, "did you mean --config.loss.tv"),
        ({"extra": "loss.tv=1"}, "unknown argument loss.tv=1"),
        ({"extra": "--config.loss.tv='1"}, "quotation"),
    ],
)
def test_mistakes_are_one_line_without_a_traceback(given, words):
    with pytest.raises(CellError) as caught:
        make_settings("a red cube", machine=CPU, **given)
    (line,) = caught.value._render_traceback_()
    assert words in line and line.startswith("voxjax: ") and "\n" not in line


def test_machines_say_what_they_are_good_for():
    assert "No GPU: the demo" in str(CPU) and "Change runtime type" in str(CPU)
    assert "Tesla T4, 11.0 GiB" in str(GPU) and "any prompt" in str(GPU)
    stuck = dataclasses.replace(CPU, unused_gpu=True)
    assert "cannot use" in str(stuck) and "jax[cuda12]" in str(stuck) and stuck.config == "demo"
