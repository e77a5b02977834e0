"""The tokenizer of whole words: the same files every time, and one token a word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from voxjax.smallclips import tokenizer

WORDS = ["a", "ball", "bald", "all", "tall", "3d", "an", "banana"]


def test_merges_of_two_words_by_hand():
    """ab, abc: (a, b</w>) and (a, b) are as frequent as (b, c</w>); ties go to the smaller pair."""
    assert tokenizer.learn_merges(["abc", "ab"]) == [("a", "b"), ("a", "b</w>"), ("ab", "c</w>")]
    assert tokenizer.learn_merges(["abc", "abc"]) == [("a", "b"), ("ab", "c</w>")], (
        "given twice, counted once"
    )


def test_the_most_frequent_pair_is_merged_first():
    merges = tokenizer.learn_merges(["xay", "zay", "bc"])
    assert merges[0] == ("a", "y</w>")
    assert set(merges) == {("a", "y</w>"), ("x", "ay</w>"), ("z", "ay</w>"), ("b", "c</w>")}


def test_every_word_is_one_token(tmp_path):
    tokenizer.write(tmp_path, WORDS, [], text_length=6)
    size, begin, end = tokenizer.special_ids(tmp_path)
    assert end == size - 1, "open_clip reads at the highest id"
    rows = tokenizer.encode([word for word in WORDS if word != "3d"], tmp_path, text_length=6)
    assert all(row[0] == begin and row[2:] == [end] * 4 for row in rows)
    assert len({row[1] for row in rows}) == len(rows)
    (three,) = tokenizer.encode(["3d"], tmp_path, text_length=6)
    assert three[3:] == [end] * 3, "a number and a letter"


def test_vocab_and_merges_say_what_tokenizer_json_says(tmp_path):
    from transformers.models.clip.tokenization_clip_fast import CLIPTokenizerFast

    tokenizer.write(tmp_path, WORDS, [], text_length=8)
    vocabulary, merges = str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt")
    other = CLIPTokenizerFast(vocab_file=vocabulary, merges_file=merges).backend_tokenizer
    own = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in ("a ball", "banana BALD tall", "an all"):
        assert other.encode(text).ids == own.encode(text).ids


@pytest.mark.parametrize("seed", ["1", "2"])
def test_other_processes_write_the_same_bytes(tmp_path, seed):
    tokenizer.write(tmp_path / "here", WORDS, ["a ball"], text_length=6)
    program = (
        "import sys; from pathlib import Path; from voxjax.smallclips import tokenizer;"
        f"tokenizer.write(Path(sys.argv[1]), {WORDS!r}, ['a ball'], text_length=6)"
    )
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "there")], check=True, env=environment)
    for file in (tmp_path / "here").iterdir():
        assert file.read_bytes() == (tmp_path / "there" / file.name).read_bytes(), file.name
