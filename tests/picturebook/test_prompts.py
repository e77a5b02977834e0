"""The prompts of `make things`: drawn once, by a seed, before anything was made."""

import pytest
from helpers.small_training import ROOT

from launch import things as launcher
from voxjax.errors import UserError
from voxjax.picturebook import names, prompts

LAUNCH = ROOT / "launch"


def test_the_lists_are_the_draw():
    report, tuning = prompts.draw_prompts()
    assert (LAUNCH / "things_prompts.txt").read_text().splitlines() == report
    assert (LAUNCH / "things_tuning.txt").read_text().splitlines() == tuning
    assert (len(report), len(tuning)) == (40, 15)
    assert not set(report) & set(tuning) and len(set(report)) == 40


def test_ten_have_a_colour_and_every_word_is_known():
    report, tuning = prompts.draw_prompts()
    plain = set(names.plain_captions())
    coloured = [prompt for prompt in report if prompt not in plain]
    assert len(coloured) == 10 and set(tuning) <= plain
    for prompt in coloured:
        colour = next(word for word in prompt.split() if word in names.COLOURS)
        assert names.with_article(prompt.split(f"{colour} ", 1)[1]) in plain
    assert {word for prompt in report + tuning for word in prompt.split()} <= set(names.words())


def test_the_gallery_shows_things_that_are_known():
    chosen = (LAUNCH / "gallery_prompts.txt").read_text().splitlines()
    assert len(set(chosen)) == 10, "as many as stand in a row of the sheet"
    assert {word for prompt in chosen for word in prompt.split()} <= set(names.words())
    assert not set(chosen) & set(prompts.draw_prompts()[1]), "none that settings were chosen on"


def test_the_launcher_makes_judges_and_shows(tmp_path, monkeypatch):
    file = tmp_path / "prompts.txt"
    file.write_text("a cactus\na pizza\n")
    called, trained, looked = [], [], []
    monkeypatch.setattr(launcher, "call", lambda *words, **_: called.append(words))
    monkeypatch.setattr(launcher, "train_all", lambda jobs, *, side_by_side: trained.extend(jobs))
    monkeypatch.setattr(launcher, "refuse_unfit", lambda *_, more, **__: looked.append((more, *trained)))
    places = [f"--prompts={file}", f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'out'}"]
    monkeypatch.setattr(
        "sys.argv", ["things", *places, "--variants", "vox_exp", "vox_imp", "--seeds=2", "--config.steps=9"]
    )
    launcher.main()
    assert [(job.config, job.prompt, job.seed) for job in trained[:3]] == [
        ("configs/demo.py:vox_exp", "a cactus", 0),
        ("configs/demo.py:vox_exp", "a pizza", 0),
        ("configs/demo.py:vox_exp", "a cactus", 1),
    ]
    assert len(trained) == 8 and all(job.more == ["--config.steps=9"] for job in trained)
    assert looked == [(["--config.steps=9"],), (["--config.clip.model=picturebook-eval"],)]
    commands = [words[0] for words in called]
    evaluate, sheet = "voxjax.evaluate", "voxjax.evaluation.sheet"
    assert commands == ["voxjax.picturebook.prompts", evaluate, sheet, evaluate, sheet, sheet]
    assert sum(word.startswith("--runs=") for word in called[1]) == 4
    out = tmp_path / "out"
    assert called[-1][1:3] == (f"--table={out / 'vox_exp.json'}", f"--table={out / 'vox_imp.json'}")


def test_an_object_is_ranked_among_all_things():
    report, _ = prompts.draw_prompts()
    captions = prompts.captions(report)
    assert len(captions) == len(names.things()) + 10 == len(set(captions)) and set(report) <= set(captions)


def test_a_prompt_is_a_caption_once_however_it_is_written():
    known = names.plain_captions()
    assert prompts.captions(["A cactus.", "a  cactus"]) == known
    assert prompts.captions(["A blue cactus", "a blue  cactus."]) == [*known, "A blue cactus"]


def test_the_command_writes_the_captions(tmp_path):
    out = tmp_path / "folder" / "captions.txt"
    prompts.main([f"--prompts={LAUNCH / 'things_prompts.txt'}", f"--out={out}"])
    assert out.read_text().splitlines() == prompts.captions(prompts.draw_prompts()[0])
    with pytest.raises(UserError, match="--prompts=nowhere.txt"):
        prompts.main(["--prompts=nowhere.txt", f"--out={out}"])
