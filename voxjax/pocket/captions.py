"""What the pocket models can be told: their words, their captions and their tokenizer.

A caption names one object ("a red sphere"), one object on another ("a red sphere on a blue cube"), or one of
the things that are no object at all ("a red cloud", "red debris", "nothing"); the last are what training sets
against fog and crumbs.
"""

from __future__ import annotations

import json
from pathlib import Path

from voxjax.pocket.shapes import SHAPES

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
_BEGIN, _END = "<|startoftext|>", "<|endoftext|>"


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
    """Writes CLIP tokenizer files for `words()` into `folder`: lower-cased, BPE layout.

    Every word is one token (but "3d", which is two).

    Files: tokenizer.json, vocab.json, merges.txt, tokenizer_config.json, vocabulary.json (the words that a
    prompt may use, and the captions to choose from).
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    alphabet = sorted({letter for word in words() for letter in word})
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=_END))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[\p{L}\p{N}]+|[^\s\p{L}\p{N}]+"), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        show_progress=False,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        special_tokens=[],
        min_frequency=1,
    )
    tokenizer.train_from_iterator([" ".join(words())], trainer)
    tokenizer.add_special_tokens([_BEGIN, _END])
    begin, end = tokenizer.token_to_id(_BEGIN), tokenizer.token_to_id(_END)
    tokenizer.post_processor = processors.RobertaProcessing(
        sep=(_END, end), cls=(_BEGIN, begin), add_prefix_space=False, trim_offsets=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.model.save(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary |= {_BEGIN: begin, _END: end}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, indent=0, ensure_ascii=False))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": _BEGIN,
        "eos_token": _END,
        "pad_token": _END,
        "unk_token": _END,
        "do_lower_case": True,
        "model_max_length": TEXT_LENGTH,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    known = {"words": words(), "captions": single_captions()}
    (folder / "vocabulary.json").write_text(json.dumps(known, indent=0))


def encode(sentences: list[str], folder: Path) -> list[list[int]]:
    """Token ids of each sentence, padded with the end token to TEXT_LENGTH."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end = tokenizer.token_to_id(_END)
    rows = [tokenizer.encode(sentence).ids for sentence in sentences]
    assert max(map(len, rows)) <= TEXT_LENGTH, "a caption is longer than the text tower"
    return [row + [end] * (TEXT_LENGTH - len(row)) for row in rows]


def special_ids(folder: Path) -> tuple[int, int, int]:
    """(vocabulary size, begin id, end id) of a written tokenizer."""
    vocabulary = json.loads((folder / "vocab.json").read_text())
    return len(vocabulary), vocabulary[_BEGIN], vocabulary[_END]


def seen_mask(*, hold_out: bool) -> list[list[bool]]:
    """[shape][colour], False for the pairs that training leaves out."""
    held = set(HELD_OUT) if hold_out else set()
    return [[(colour, shape) not in held for colour in COLOURS] for shape in SHAPES]


def pair_codes() -> list[tuple[int, int]]:
    """All (lower shape, upper shape) combinations as indices into SHAPES."""
    return [(lower, upper) for lower in range(len(SHAPES)) for upper in range(len(SHAPES))]
