"""What the pocket models can be told: their words, their captions and their tokenizer.

A caption names one object ("a red sphere"), one object on another ("a red sphere on a blue cube"), or one of
the things that are no object at all ("a red cloud", "red debris", "nothing"); the last are what training sets
against fog and crumbs.
"""

from __future__ import annotations

from pathlib import Path

from voxjax.pocket.shapes import SHAPES
from voxjax.smallclips import tokenizer

COLOURS = {
    "red": (0.85, 0.09, 0.09),
    "green": (0.10, 0.62, 0.15),
    "blue": (0.12, 0.20, 0.85),
    "yellow": (0.95, 0.85, 0.10),
    "orange": (0.96, 0.48, 0.05),
    "purple": (0.48, 0.13, 0.68),
    "pink": (0.98, 0.52, 0.72),
    "cyan": (0.10, 0.80, 0.86),
    "white": (0.95, 0.95, 0.95),
    "black": (0.07, 0.07, 0.07),
}

TEMPLATES = (
    "a {}",
    "{}",
    "the {}",
    "a photo of a {}",
    "a render of a {}",
    "a single {}",
    "a 3d model of a {}",
)
PAIR_TEMPLATES = ("a {} on a {}", "a {} on top of a {}", "the {} on the {}", "a photo of a {} on a {}")
NEGATIVES = ("a {} cloud", "{} debris")
NOTHING = "nothing"

# Pairs of colour and shape that `pocket` never sees in training, neither alone nor in a pair; one a shape.
HELD_OUT = (
    ("purple", "sphere"),
    ("orange", "cube"),
    ("yellow", "cone"),
    ("pink", "cylinder"),
    ("cyan", "torus"),
    ("blue", "pyramid"),
    ("green", "capsule"),
    ("red", "cross"),
)

# The fixed prompts of the report: each shape at least twice, each colour exactly twice, all of HELD_OUT.
REPORT_PAIRS = HELD_OUT + (
    ("red", "sphere"),
    ("blue", "cube"),
    ("orange", "cone"),
    ("purple", "cylinder"),
    ("green", "torus"),
    ("pink", "pyramid"),
    ("yellow", "capsule"),
    ("cyan", "cross"),
    ("white", "cube"),
    ("white", "torus"),
    ("black", "sphere"),
    ("black", "cone"),
)

TEXT_LENGTH = 12


def caption(colour: str, shape: str) -> str:
    """The plain caption of one object, as prompts and evaluation use it."""
    return with_article(f"{colour} {shape}")


def with_article(phrase: str) -> str:
    """The phrase after "a" or "an"."""
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def single_captions() -> list[str]:
    """The 80 plain captions, shape-major: entry 10 * shape + colour."""
    return [caption(colour, shape) for shape in SHAPES for colour in COLOURS]


def words() -> list[str]:
    """Every word that the models know, sorted."""
    sentences = [
        *TEMPLATES,
        *PAIR_TEMPLATES,
        *NEGATIVES,
        NOTHING,
        "a {} object",
        "an",
        *COLOURS,
        *SHAPES,
    ]
    return sorted({word for sentence in sentences for word in sentence.replace("{}", " ").split()})


def write_tokenizer(folder: Path) -> None:
    """Writes the tokenizer files and `vocabulary.json` for `words()`; see `smallclips.tokenizer`."""
    tokenizer.write(folder, words(), single_captions(), text_length=TEXT_LENGTH)


def encode(sentences: list[str], folder: Path) -> list[list[int]]:
    """Token ids of each sentence, padded with the end token to TEXT_LENGTH."""
    return tokenizer.encode(sentences, folder, text_length=TEXT_LENGTH)


def seen_mask(*, hold_out: bool) -> list[list[bool]]:
    """[shape][colour], False for the pairs that training leaves out."""
    held = set(HELD_OUT) if hold_out else set()
    return [[(colour, shape) not in held for colour in COLOURS] for shape in SHAPES]


def pair_codes() -> list[tuple[int, int]]:
    """All (lower shape, upper shape) combinations as indices into SHAPES."""
    return [(lower, upper) for lower in range(len(SHAPES)) for upper in range(len(SHAPES))]
