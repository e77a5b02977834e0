"""The list of things, and the captions made of it."""

import re

import numpy as np
import pytest

from voxjax.picturebook import batches, names
from voxjax.smallclips import tokenizer


def test_the_list_is_sound():
    listed = names.things()
    assert 600 <= len(listed) <= 800
    spoken = [name for thing in listed for name in (thing.name, *thing.others)]
    assert len(set(spoken)) == len(spoken), "no name stands for two things"
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", name) for name in spoken)
    points = [point for thing in listed for point in thing.code_points]
    assert len(set(points)) == len(points) > 600
    assert all(re.fullmatch(r"[0-9a-f]{4,5}(-[0-9a-f]{4,5})*", point) for point in points)
    assert not any("fe0f" in point for point in points), "packages spell the variation selector at will"
    assert all(thing.code_points or len(thing.models) for thing in listed)


def test_every_caption_fits_the_text_tower(tmp_path):
    tokenizer.write(tmp_path, names.words(), names.plain_captions(), text_length=names.TEXT_LENGTH)
    longest = [
        template.replace("{}", f"{name} that is turquoise")
        for template in names.TEMPLATES
        for thing in names.things()
        for name in (thing.name, *thing.others)
    ]
    tokenizer.encode(longest, tmp_path, text_length=names.TEXT_LENGTH)  # asserts
    phrases = batches.Phrasebook(tmp_path)
    some = longest[:: len(longest) // 40]
    wanted = tokenizer.encode(some, tmp_path, text_length=names.TEXT_LENGTH)
    np.testing.assert_array_equal(phrases.encode(some), wanted)


def test_captions_say_thing_and_colour_in_known_words():
    rng = np.random.default_rng(0)
    known = set(names.words())
    thing = next(thing for thing in names.things() if thing.name == "elephant")
    said = {names.caption(rng, thing, "orange") for _ in range(200)}
    assert all("elephant" in each and "orange" in each.split() for each in said)
    assert {"an orange elephant", "the elephant in orange", "a photo of an orange elephant"} <= said
    assert all(set(each.split()) <= known for each in said)
    assert any(each.split()[0] == "elephant" for each in said), "words come in other orders as well"
    plain = {names.caption(rng, thing, None) for _ in range(200)}
    assert "an elephant" in plain and not any("orange" in each for each in plain)


@pytest.mark.parametrize("phrase, said", [("apple", "an apple"), ("bee", "a bee")])
def test_article(phrase, said):
    assert names.with_article(phrase) == said
