"""The two models that ship: complete, small, alike in words and in nothing else, and not blind."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxjax.guidance import load_guidance, names, shipped, tokens
from voxjax.picturebook import names as words

MODELS = ("picturebook", "picturebook-eval")


def test_together_they_are_small():
    folders = [names.locate(model) for model in MODELS]
    assert sum(file.stat().st_size for folder in folders for file in folder.iterdir()) < 25e6


def test_both_know_the_words_of_the_list_and_its_captions():
    for model in MODELS:
        folder = names.locate(model)
        assert tokens.vocabulary(folder) == words.words()
        assert tokens.captions(folder) == words.plain_captions()


def test_they_are_of_two_kinds():
    kinds = [names.is_open_clip({file.name for file in names.locate(model).iterdir()}) for model in MODELS]
    assert kinds == [False, True]
    assert shipped.held_out_of(["picturebook"]) == ["picturebook-eval"]


@pytest.mark.parametrize("model", MODELS)
def test_the_colour_of_a_disc_is_named(model):
    """What can be drawn here and was trained: the colours."""
    captions = [words.COLOUR_ONLY.format(colour) for colour in words.COLOURS]
    guidance, texts = load_guidance(model, prompts=captions)
    size = guidance.image_size
    y, x = (np.mgrid[:size, :size] + 0.5) * 2 / size - 1
    disc = (x**2 + y**2 < 0.6**2)[..., None]
    light = (1.0 - 0.25 * (x + y))[..., None]  # lit from one corner, as things are
    grey = np.full((size, size, 3), 0.75)
    images = np.stack(
        [np.where(disc, np.clip(light * colour, 0, 1), grey) for colour in words.COLOURS.values()]
    )
    cosines = np.asarray(
        jax.jit(guidance.encode)(guidance.params, jnp.asarray(images, jnp.float32)) @ texts.T
    )
    named = [captions[i] for i in cosines.argmax(axis=1)]
    assert np.mean([a == b for a, b in zip(named, captions, strict=True)]) >= 0.75, named


@pytest.mark.parametrize("model", MODELS)
def test_other_words_for_a_thing_mean_the_same(model):
    """Among the captions of all things, a thing's other names stand nearest to itself."""
    listed = [thing for thing in words.things() if thing.others][::4]
    plain = words.plain_captions()
    others = [words.with_article(thing.others[0]) for thing in listed]
    _, texts = load_guidance(model, prompts=[*plain, *others])
    texts = np.asarray(texts)
    nearest = (texts[len(plain) :] @ texts[: len(plain)].T).argmax(axis=1)
    own = [plain.index(words.with_article(thing.name)) for thing in listed]
    assert np.mean(nearest == own) > 0.9


def test_scores_stand_beside_the_weights():
    for model in MODELS:
        stored = json.loads((names.locate(model) / "scores.json").read_text())
        assert stored["model"] == model and stored["scores"]["all"]["plain"]["top5"] > 0.3
