"""Prompts held against the words of a small CLIP: what is no word of letters or digits."""

import json

import pytest

from voxjax.errors import UserError
from voxjax.guidance import tokens


@pytest.fixture
def folder(tmp_path):
    (tmp_path / tokens.VOCABULARY).write_text(json.dumps({"words": ["a", "red", "cube"]}))
    return tmp_path


@pytest.mark.parametrize("prompt", ["\N{RED APPLE}", " \N{RED APPLE}\N{RED APPLE} ", "...", "+", ""])
def test_a_prompt_without_a_word_is_refused_as_it_was_written(folder, prompt):
    with pytest.raises(UserError) as caught:
        tokens.known_words(["a cube", prompt], folder)
    assert repr(prompt) in str(caught.value) and "no word of letters or digits" in str(caught.value)


@pytest.mark.parametrize("symbol", ["\N{RED APPLE}", "\N{HEAVY BLACK HEART}", "\N{DEGREE SIGN}"])
def test_a_symbol_beside_words_is_refused_by_name(folder, symbol):
    with pytest.raises(UserError, match=f"does not know {symbol!r}; "):
        tokens.known_words([f"a red{symbol} cube {symbol}"], folder)
    assert tokens.known_words([symbol], folder.parent) == [symbol], "a real CLIP has tokens for it"


def test_punctuation_is_dropped(folder):
    prompt = 'A `red´ + ~cube~ | a "red"\N{EM DASH}cube, (a_cube)\N{HORIZONTAL ELLIPSIS} a/cube & a*cube!'
    assert tokens.known_words([prompt], folder) == ["a red cube a red cube a cube a cube a cube"]
