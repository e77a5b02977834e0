"""Training batches: images with their captions, and captions that are wrong by a colour only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from voxjax.picturebook import drawing, names
from voxjax.picturebook.bank import Bank, Sampler
from voxjax.smallclips import tokenizer

Array = jax.Array
N_IMAGES, N_ALIKE, N_WRONG = 128, 32, 24
_TINTED = 0.3


@struct.dataclass
class Batch:
    """One batch; no two images show the same thing.

    Attributes:
      images: [n, s, s, 3] in [0, 1].
      alpha: [n, s, s], where the thing is.
      colour_ids: [n], index into `names.COLOURS` of the tint, -1 for none.
      token_ids: [n + m + c, l]: the captions of the images, m captions with a wrong colour, and one caption
        for each of the c colours.
    """

    images: Array
    alpha: Array
    colour_ids: Array
    token_ids: Array


class Phrasebook:
    """Sentences of known words to token ids, a look-up a word."""

    def __init__(self, folder: Path):
        """Reads the tokenizer files in `folder`."""
        rows = tokenizer.encode(names.words(), folder, text_length=names.TEXT_LENGTH)
        _, self._begin, self._end = tokenizer.special_ids(folder)
        self._ids = {w: row[1 : row.index(self._end)] for w, row in zip(names.words(), rows, strict=True)}

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        """[k, TEXT_LENGTH] int32, filled up with the end token."""
        result = np.full((len(sentences), names.TEXT_LENGTH), self._end, np.int32)
        for row, sentence in zip(result, sentences, strict=True):
            ids = [self._begin, *(i for word in sentence.split() for i in self._ids[word])]
            row[: len(ids)] = ids
        return result


class Draw:
    """(key, generator, clutter) -> a Batch."""

    def __init__(self, bank: Bank, folder: Path, *, size: int):
        """Sorts the bank and reads the tokenizer.

        Args:
          bank: of the model.
          folder: holds the tokenizer files.
          size: side of the images, pixels.
        """
        self._bank, self._phrases = bank, Phrasebook(folder)
        self._sampler = Sampler(bank, n=N_IMAGES, n_alike=N_ALIKE)
        self._images = jax.jit(drawing.draw_images, static_argnames="size")
        self._size = size
        self._colours = self._phrases.encode([names.COLOUR_ONLY.format(colour) for colour in names.COLOURS])

    def __call__(self, key: Array, rng: np.random.Generator, clutter: Array) -> Batch:
        """See the class."""
        rows = self._sampler.draw(rng)
        colour_ids = np.where(
            rng.random(len(rows)) < _TINTED, rng.integers(len(names.COLOURS), size=len(rows)), -1
        )
        sentences = captions(rng, self._bank.things[rows], colour_ids)
        images, alpha = self._images(key, self._bank.pictures[rows], colour_ids, clutter, size=self._size)
        token_ids = np.concatenate([self._phrases.encode(sentences), self._colours])
        return Batch(images, alpha, jnp.asarray(colour_ids), jnp.asarray(token_ids))


def captions(rng: np.random.Generator, things: np.ndarray, colour_ids: np.ndarray) -> list[str]:
    """The captions of images, and N_WRONG that have the thing of a tinted image right and its colour wrong.

    Args:
      rng: draws the words.
      things: [n], places in the list.
      colour_ids: [n], -1 for images that are not tinted.

    Returns:
      n + N_WRONG sentences; images without a tint take part in the latter, as one of no colour, where there
      are too few others.
    """
    colours, listed = list(names.COLOURS), names.things()
    named = [None if colour < 0 else colours[colour] for colour in colour_ids]
    right = [names.caption(rng, listed[thing], colour) for thing, colour in zip(things, named, strict=True)]
    order = np.argsort(colour_ids < 0, kind="stable")[:N_WRONG]
    wrong = []
    for i in order:
        others = [colour for colour in colours if colour != named[i]]
        wrong.append(names.caption(rng, listed[things[i]], others[rng.integers(len(others))]))
    return right + wrong
