"""Which of the small CLIPs that ship guides a prompt, by its words, and which may judge what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from voxjax.errors import UserError
from voxjax.guidance import names, tokens

AUTO = "auto"
"""What stands for the name of a model in a config where the words choose it."""

GUIDES = ("pocket", "picturebook")
"""Those that guide: the one of few words and exact shapes first, the one that knows most things last."""


class Fit(NamedTuple):
    """A small CLIP for some texts.

    Attributes:
      model: its name.
      unknown: the words of the texts that it does not know, each once.
      advice: what to write in place of them.
    """

    model: str
    unknown: tuple[str, ...] = ()
    advice: str = ""


def fit(texts: Sequence[str]) -> Fit:
    """The small CLIP for some texts.

    Args:
      texts: everything that it will have to read.

    Returns:
      The first that knows every word, unless one of them is a thing to a later one that knows them all, and
      stands in no caption of the first: "a cloud", to `pocket`, is what is no object. Where none knows every
      word, the one that lacks the fewest.
    """
    folders = {model: names.locate(model) for model in GUIDES}
    lacking = {model: tuple(tokens.unknown_words(texts, folders[model])) for model in GUIDES}
    knowing = [model for model in GUIDES if not lacking[model]]
    for i, model in enumerate(knowing):
        listed = {word for caption in tokens.captions(folders[model]) for word in caption.split()}
        things = {thing for other in knowing[i + 1 :] for thing in _things(folders[other])}
        if things.isdisjoint(tokens.words_outside(texts, listed)):
            return Fit(model)
    model = min(reversed(GUIDES), key=lambda name: len(lacking[name]))
    # Where the others lack the same words, the one that is meant may be known to any of them.
    equal = [folders[other] for other in GUIDES if lacking[other] == lacking[model]]
    return Fit(model, lacking[model], tokens.known_instead(lacking[model], equal))


def _things(folder: Path) -> set[str]:
    """The things of one word in the captions of a model, "cloud" of "a cloud"."""
    phrases = (caption.split() for caption in tokens.captions(folder))
    return {phrase[1] for phrase in phrases if len(phrase) == 2}


def choose(texts: Sequence[str]) -> str:
    """The name of the small CLIP that "auto" stands for.

    Args:
      texts: everything that the model will have to read.

    Raises:
      UserError: none of them knows all words.
    """
    found = fit(texts)
    if found.unknown:
        words = ", ".join(map(repr, found.unknown))
        raise UserError(
            f"--config.clip.model={AUTO}: no small CLIP that ships knows every word, {found.model} lacks "
            f"{words}; {found.advice}; a real CLIP takes any words: --config.clip.model=ViT-B/32"
        )
    return found.model


def held_out_of(guides: Iterable[str]) -> list[str]:
    """Shipped models that may judge what others of their world guided; those of another know other words.

    Args:
      guides: names; those that do not ship are passed over.
    """
    used = set(guides)
    worlds = {names.SHIPPED[name] for name in used & set(names.SHIPPED)}
    return [name for name, world in names.SHIPPED.items() if world in worlds and name not in used]
