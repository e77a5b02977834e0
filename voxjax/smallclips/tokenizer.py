"""A tokenizer of whole words in the layout that every CLIP has: byte-pair merges that spell each word out.

The merges are those of byte-pair encoding (Sennrich et al. 2016, algorithm 1) on a list that holds each word
once, with ties broken by the pieces themselves: the same words give the same files in every process.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from voxjax.files import write_text

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
_END_OF_WORD = "</w>"


def learn_merges(words: Iterable[str]) -> list[tuple[str, str]]:
    """Merges, in order, after which every word is one piece.

    Args:
      words: without spaces; a word given twice counts once.

    Returns:
      Pairs of pieces; the last piece of a word ends in `</w>`.
    """
    spelt = [[*word[:-1], word[-1] + _END_OF_WORD] for word in sorted(set(words))]
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    holders: dict[tuple[str, str], set[int]] = collections.defaultdict(set)
    for i, pieces in enumerate(spelt):
        for pair in zip(pieces, pieces[1:], strict=False):
            counts[pair] += 1
            holders[pair].add(i)
    merges = []
    while counts:
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        for i in sorted(holders.pop(best)):
            old, new = spelt[i], _merged(spelt[i], best)
            counts.subtract(zip(old, old[1:], strict=False))
            counts.update(zip(new, new[1:], strict=False))
            for pair in zip(new, new[1:], strict=False):
                holders[pair].add(i)
            spelt[i] = new
        counts = +counts  # drops the pairs that are no more
    return merges


def _merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """The pieces of a word with the pair joined wherever it stands, from the left."""
    result: list[str] = []
    i = 0
    while i < len(pieces):
        together = tuple(pieces[i : i + 2]) == pair
        result.append("".join(pair) if together else pieces[i])
        i += 2 if together else 1
    return result


def write(folder: Path, words: Sequence[str], captions: Sequence[str], *, text_length: int) -> None:
    """Writes CLIP tokenizer files, lower-cased, BPE layout.

    Args:
      folder: created where need be.
      words: all that a prompt may use; each is one token, but those that mix digits and letters ("3d").
      captions: what the model is made to tell apart.
      text_length: tokens of a prompt at most, start and end included.

    Files: tokenizer.json, vocab.json, merges.txt, tokenizer_config.json, vocabulary.json (the words and the
    captions).
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    spaced = Regex(r"[\p{L}\p{N}]+|[^\s\p{L}\p{N}]+")
    splitter = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(spaced, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    pieces = {piece for piece, _ in splitter.pre_tokenize_str(" ".join(words)) if piece.strip("Ġ")}
    merges = learn_merges(pieces)
    letters = sorted({letter for piece in pieces for letter in piece})
    last = sorted({piece[-1] + _END_OF_WORD for piece in pieces})
    tokens = dict.fromkeys([*letters, *last, *("".join(pair) for pair in merges), BEGIN, END])
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix=_END_OF_WORD, unk_token=END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = splitter
    tokenizer.add_special_tokens([BEGIN, END])
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=(END, vocabulary[END]),
        cls=(BEGIN, vocabulary[BEGIN]),
        add_prefix_space=False,
        trim_offsets=False,
    )
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": BEGIN,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": True,
        "model_max_length": text_length,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "tokenizer.json", json.dumps(json.loads(tokenizer.to_str()), indent=1) + "\n")
    write_text(folder / "vocab.json", json.dumps(vocabulary, indent=0, ensure_ascii=False))
    lines = "".join(f"{left} {right}\n" for left, right in merges)
    write_text(folder / "merges.txt", f"#version: 0.2\n{lines}")
    write_text(folder / "tokenizer_config.json", json.dumps(settings, indent=2))
    known = {"words": list(words), "captions": list(captions)}
    write_text(folder / "vocabulary.json", json.dumps(known, indent=0))


def encode(sentences: Sequence[str], folder: Path, *, text_length: int) -> list[list[int]]:
    """Token ids of each sentence, filled up with the end token to `text_length`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id(END)
    rows = [each.ids for each in tokenizer.encode_batch(list(sentences))]
    assert max(map(len, rows)) <= text_length, "a caption is longer than the text tower"
    return [row + [end] * (text_length - len(row)) for row in rows]


def special_ids(folder: Path) -> tuple[int, int, int]:
    """(vocabulary size, begin id, end id) of a written tokenizer."""
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    return len(vocabulary), vocabulary[BEGIN], vocabulary[END]
