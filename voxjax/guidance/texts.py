"""Whether a CLIP can take texts, before its weights are read."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

from voxjax.errors import UserError
from voxjax.guidance import names
from voxjax.guidance.tokens import known_words, tokenise

_MOST_TOKENS = 77
"""Of every CLIP that is fetched by name, start and end included."""


def refuse_unfit(model: str, path: str, texts: Iterable[str]) -> bool:
    """Looks whether a model can take texts.

    Args:
      model: name, hub name or folder.
      path: folder to read it from instead; "" to look the name up.
      texts: what it shall read.

    Returns:
      Whether the model is on this machine to ask; else only the number of words was looked at.

    Raises:
      UserError: a text that it cannot take, or a path that is no complete folder.
    """
    folder, missing = (names.locate(model, path=path), []) if path else names.find(model)
    if folder is None or missing:
        for text in texts:
            # A word is a token at least.
            if len(text.split()) + 2 > _MOST_TOKENS:
                raise UserError(
                    f"the prompt has {len(text.split())} words, and {model} takes {_MOST_TOKENS} tokens, "
                    f"start and end included: {text!r}"
                )
        return False
    tokenizer, max_tokens, eos_token_id = _reader(folder)
    tokenise(known_words(list(texts), folder), tokenizer, max_tokens=max_tokens, eos_token_id=eos_token_id)
    return True


@functools.cache
def _reader(folder: Path) -> tuple:
    from voxjax.guidance import hf, loading  # takes seconds

    described = loading.describe(folder, "float32")
    return hf.read_tokenizer(folder), described.max_tokens, described.eos_token_id
