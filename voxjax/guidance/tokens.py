"""From prompts to token ids, by the tokenizer files of the checkpoint.

Notation: p prompts, l tokens (the text length of the model, start and end tokens included).
"""

from __future__ import annotations

import difflib
import itertools
import json
import re
import unicodedata
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from voxjax.errors import UserError

VOCABULARY = "vocabulary.json"
_FEW = 60  # words that a message can list


def vocabulary(folder: Path) -> list[str] | None:
    """The words in `vocabulary.json`; None where the folder has none, and so takes any.

    Raises:
      UserError: a file that is not `{"words": [...]}`.
    """
    return _read(folder)["words"] if (folder / VOCABULARY).is_file() else None


def captions(folder: Path) -> list[str]:
    """The captions in `vocabulary.json` that its model was made to tell apart; none where it lists none.

    Raises:
      UserError: a file that is not `{"words": [...], "captions": [...]}`, the latter at will.
    """
    return _read(folder).get("captions", []) if (folder / VOCABULARY).is_file() else []


def _read(folder: Path) -> dict[str, list[str]]:
    file = folder / VOCABULARY
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        for texts in (found["words"], found.get("captions", [])):
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise TypeError("words and captions are lists of texts")
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'cannot read {file}, which should be {{"words": [...]}}: {error!r}') from error


def known_words(prompts: Sequence[str], folder: Path) -> list[str]:
    """Holds the prompts against `vocabulary.json` (`{"words": [...]}`), if the folder has one.

    A small model maps words that it never saw to nothing in particular; better to say so than to guide
    towards noise. Such a model knows words, of letters and digits, and nothing else: case and punctuation
    are taken out of the prompts, and an emoji, which may be all that is asked for, is an unknown word.

    Returns:
      The prompts to tokenise; untouched where there is no `vocabulary.json`.

    Raises:
      UserError: naming the unknown words and the known ones: all of them, or of a long list the nearest;
        or naming a prompt without any word.
    """
    if vocabulary(folder) is None:
        return list(prompts)
    for prompt in prompts:
        if not any(map(str.isalnum, prompt)):
            raise UserError(f"the prompt {prompt!r} is empty to this CLIP: no word of letters or digits")
    unknown = unknown_words(prompts, folder)
    if unknown:
        words = ", ".join(map(repr, unknown))
        raise UserError(f"this CLIP does not know {words}; {known_instead(unknown, [folder])}")
    return [" ".join(_words(prompt)) for prompt in prompts]


def known_instead(unknown: Sequence[str], folders: Sequence[Path]) -> str:
    """What to say in place of unknown words, in words: every known one if they are few, else the nearest.

    Args:
      unknown: words.
      folders: those whose `vocabulary.json` together say what is known.
    """
    known = list(dict.fromkeys(word for folder in folders for word in vocabulary(folder) or []))
    if len(known) <= _FEW:
        return f"the words it knows: {', '.join(known)}"
    near = [nearest_words(word, known) for word in unknown]
    hints = [f"for {word!r} {' or '.join(each)}" for word, each in zip(unknown, near, strict=True) if each]
    knows = "it knows" if len(folders) == 1 else "they know"
    nearest = f"the nearest that {knows}: {', '.join(hints)}; " if hints else ""
    files = " and ".join(str(folder / VOCABULARY) for folder in folders)
    return f"{nearest}all {len(known)} words stand in {files}"


def nearest_words(word: str, known: Sequence[str], *, n: int = 3) -> list[str]:
    """Up to n known words that are spelt much like this one, the nearest first."""
    return difflib.get_close_matches(word, known, n=n, cutoff=0.6)


def unknown_words(prompts: Sequence[str], folder: Path) -> list[str]:
    """The words of the prompts, each once, that are not in `vocabulary.json`; none without such a file."""
    known = vocabulary(folder)
    return [] if known is None else words_outside(prompts, set(known))


def words_outside(prompts: Sequence[str], known: Set[str]) -> list[str]:
    """The words of the prompts, each once, that are none of these; case and punctuation do not count."""
    used = itertools.chain.from_iterable(map(_words, prompts))
    return [word for word in dict.fromkeys(used) if word not in known]


def _words(prompt: str) -> list[str]:
    """Runs of letters and digits, and each picture (an emoji, a heart) by itself; no signs of other kinds."""
    found = re.findall(r"[^\W_]+|[^\w\s]", prompt.lower())
    return [word for word in found if word.isalnum() or unicodedata.category(word) == "So"]


def tokenise(
    prompts: Sequence[str], tokenizer: Any, *, max_tokens: int, eos_token_id: int
) -> tuple[np.ndarray, np.ndarray]:
    """Token ids of each prompt, and where its text embedding is read.

    Args:
      prompts: p texts.
      tokenizer: a `tokenizers.Tokenizer` that adds the start and end tokens itself.
      max_tokens: l, the model's limit, start and end tokens included.
      eos_token_id: of the model's config. 2 marks configs written before transformers knew the true
        number: there the embedding is read at the token with the highest id.

    Returns:
      ids [p, l] int32, filled up with the end token (which, being behind the end, is never seen by what
      is read), and the position of the end token [p] int32.

    Raises:
      UserError: an empty prompt, one over the limit, one with an unknown token, or a tokenizer that does
        not go with the config.
    """
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = getattr(tokenizer.model, "unk_token", None)
    ids = np.zeros((len(prompts), max_tokens), np.int32)
    ends = np.zeros(len(prompts), np.int32)
    for row, prompt in enumerate(prompts):
        encoding = tokenizer.encode(prompt)
        tokens = encoding.ids
        if len(tokens) <= 2:
            raise UserError(f"the prompt {prompt!r} is empty")
        if len(tokens) > max_tokens:
            raise UserError(
                f"the prompt has {len(tokens)} tokens, start and end included, and this CLIP takes"
                f" {max_tokens}: {prompt!r}"
            )
        strange = [i for i in range(1, len(tokens) - 1) if encoding.tokens[i] == unknown]
        if strange:
            start, stop = encoding.offsets[strange[0]]
            raise UserError(f"this CLIP has no token for {prompt[start:stop]!r} in the prompt {prompt!r}")
        ids[row] = tokens[-1]
        ids[row, : len(tokens)] = tokens
        ends[row] = len(tokens) - 1
        pooled = np.argmax(ids[row]) if eos_token_id == 2 else np.argmax(ids[row] == eos_token_id)
        if pooled != ends[row]:
            raise UserError(
                f"the end token of the prompt {prompt!r} is not where the model's config"
                f" (eos_token_id {eos_token_id}) looks for it: does the tokenizer belong to this checkpoint?"
            )
    return ids, ends
