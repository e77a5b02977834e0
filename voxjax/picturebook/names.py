"""What the models know: things and their names, colours, and the captions made of both.

`things.tsv` is the list of things: a category, the plain name, other names, the Unicode code points that show
it, and the names under which the catalogues of 3D models have it ("-" for none).
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FILE = Path(__file__).with_name("things.tsv")

COLOURS = {
    "red": (0.85, 0.09, 0.09),
    "orange": (0.96, 0.48, 0.05),
    "yellow": (0.95, 0.85, 0.10),
    "green": (0.10, 0.62, 0.15),
    "turquoise": (0.10, 0.75, 0.75),
    "blue": (0.12, 0.20, 0.85),
    "purple": (0.48, 0.13, 0.68),
    "pink": (0.98, 0.52, 0.72),
    "brown": (0.45, 0.26, 0.12),
    "white": (0.95, 0.95, 0.95),
    "gray": (0.52, 0.52, 0.52),
    "black": (0.12, 0.12, 0.12),
}
TEMPLATES = (
    "a {}",
    "{}",
    "the {}",
    "a photo of a {}",
    "a picture of a {}",
    "a render of a {}",
    "a 3d model of a {}",
    "a drawing of a {}",
)
# Where the colour stands: mostly before the thing.
_COLOURED = ("{colour} {thing}",) * 4 + ("{thing} in {colour}", "{thing} that is {colour}")
COLOUR_ONLY = "a {} thing"
TEXT_LENGTH = 16
_SHUFFLED = 0.05  # share of the captions whose words come in any order


@dataclass(frozen=True)
class Thing:
    """One thing.

    Attributes:
      category: in the list.
      name: plain English, the first caption.
      others: further names.
      code_points: of the Unicode characters that show it, such as `1f415-200d-1f9ba`.
      models: names of it in the catalogues of 3D models.
    """

    category: str
    name: str
    others: tuple[str, ...]
    code_points: tuple[str, ...]
    models: tuple[str, ...]


@functools.cache
def things() -> tuple[Thing, ...]:
    """All things, in the order of the list."""
    rows = [line.split("\t") for line in _FILE.read_text(encoding="utf-8").splitlines()[1:]]
    split = lambda cell, mark: () if cell == "-" else tuple(cell.split(mark))  # noqa: E731
    return tuple(
        Thing(category, name, split(others, "; "), split(points, " "), split(models, "; "))
        for category, name, others, points, models in rows
    )


def digest() -> str:
    """Of the list: what was made from another one is made again."""
    return hashlib.sha256(_FILE.read_bytes()).hexdigest()


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def plain_captions() -> list[str]:
    """One caption a thing, as prompts and scores use it: "a strawberry"."""
    return [with_article(thing.name) for thing in things()]


def words() -> list[str]:
    """Every word that the models know, sorted."""
    spoken = [name for thing in things() for name in (thing.name, *thing.others)]
    spoken += [template.replace("{}", " ") for template in (*TEMPLATES, COLOUR_ONLY)]
    spoken += ["an", "in", "that is", *COLOURS]
    return sorted({word for phrase in spoken for word in phrase.split()})


def caption(rng: np.random.Generator, thing: Thing, colour: str | None) -> str:
    """One of the ways to name a thing, its colour included where it was given one."""
    name = thing.name
    if thing.others and rng.random() < 0.3:
        name = thing.others[rng.integers(len(thing.others))]
    if colour is not None:
        name = _COLOURED[rng.integers(len(_COLOURED))].format(colour=colour, thing=name)
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    sentence = template.replace("a {}", with_article(name)).replace("{}", name)
    if rng.random() < _SHUFFLED:
        sentence = " ".join(rng.permutation(sentence.split()))
    return sentence
