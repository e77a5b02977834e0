"""The small CLIP that "auto" stands for: by the words, those of every text that it will have to read."""

import pytest
from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.guidance import names, shipped, tokens
from voxjax.guidance.ensemble import guide_specs


def model_of(prompt, **keys):
    pairs = [("prompt", prompt), *((key.replace("__", "."), value) for key, value in keys.items())]
    return guide_specs(load(f"{ROOT}/configs/demo.py", pairs))[0].model


@pytest.mark.parametrize(
    ("prompt", "model"),
    [
        ("a red sphere", "pocket"),
        ("A red sphere.", "pocket"),
        ("a strawberry", "picturebook"),
        ("a 3d model of a blue mushroom", "picturebook"),
        ("a red", "pocket"),  # both know it: the first does
        ("a photo of a red sphere", "pocket"),
        ("a cloud", "picturebook"),  # to pocket that is a word for no object
        ("a white cloud", "picturebook"),
        ("the red cube", "pocket"),  # of the words that both know, none is a thing to picturebook alone
        ("a photo of a red cube", "pocket"),
        ("a render of a blue cone", "pocket"),
        ("a single red capsule", "pocket"),
        ("the red capsule", "pocket"),
        ("a red cube on a blue cone", "pocket"),
        ("an ice cube", "picturebook"),
    ],
)
def test_the_words_choose(prompt, model):
    assert model_of(prompt) == model and shipped.fit([prompt]) == (model, (), "")


def test_every_thing_of_the_list_can_be_a_prompt():
    folder = names.locate("picturebook")
    captions = tokens.captions(folder)
    assert len(captions) > 600 and {shipped.choose([each]) for each in captions} == {"picturebook"}


def test_all_texts_of_a_run_count():
    assert model_of("a red", prompts__extra="('a strawberry:0.5',)") == "picturebook"
    contrastive = {"clip__objective": "contrastive", "clip__negatives": "('a strawberry',)"}
    assert model_of("a red", **contrastive) == "picturebook"
    with pytest.raises(UserError, match="picturebook lacks 'sphere'"):  # each knows one half
        model_of("a red sphere", prompts__extra="('a strawberry:0.5',)")


def test_a_model_that_is_named_stays():
    assert model_of("a strawberry", clip__model="pocket") == "pocket"
    assert model_of("a quokka", clip__path="/a/folder") == "auto"


def test_unknown_words_are_named_with_the_nearest_known_ones():
    with pytest.raises(UserError) as caught:
        model_of("a strawbery on a quokka")
    words = str(caught.value)
    assert "picturebook lacks 'strawbery', 'quokka'" in words.replace("'on', ", "") and "\n" not in words
    for part in ("--config.clip.model=auto", "for 'strawbery' strawberry", "--config.clip.model=ViT-B/32"):
        assert part in words


def test_where_all_lack_a_word_the_nearest_may_be_known_to_any():
    with pytest.raises(UserError, match="lacks 'sphre'; the nearest that they know: for 'sphre' sphere"):
        model_of("a red sphre")
    with pytest.raises(UserError, match="pocket lacks 'strawbery'; the words it knows: 3d, a, an, black"):
        model_of("a strawbery on a cyan sphere")


def test_a_symbol_is_no_word_that_they_know():
    assert shipped.fit(["a red cube \N{HEAVY BLACK HEART}"]).unknown == ("\N{HEAVY BLACK HEART}",)
    assert shipped.fit(["a red cube!"]) == ("pocket", (), "")
