"""The prompts of `make things`: drawn once, by a seed, before anything was made."""

import pytest
from helpers.small_training import ROOT

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


def test_an_object_is_ranked_among_all_things():
    report, _ = prompts.draw_prompts()
    captions = prompts.captions(report)
    assert len(captions) == len(names.things()) + 10 == len(set(captions)) and set(report) <= set(captions)


def test_the_command_writes_the_captions(tmp_path):
    out = tmp_path / "folder" / "captions.txt"
    prompts.main([f"--prompts={LAUNCH / 'things_prompts.txt'}", f"--out={out}"])
    assert out.read_text().splitlines() == prompts.captions(prompts.draw_prompts()[0])
    with pytest.raises(UserError, match="--prompts=nowhere.txt"):
        prompts.main(["--prompts=nowhere.txt", f"--out={out}"])
