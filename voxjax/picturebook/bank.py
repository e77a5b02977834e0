"""The bank: every picture that one of the models learns from, by thing and by source, as uint8 in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxjax.errors import UserError
from voxjax.picturebook import emoji, furniture, names

# Who learns from what: no hand that drew for one draws for the other, and no 3D model is shown to both.
SIDES = {
    "picturebook": ("noto", "fluent", "noto_v1", "fluent_flat", "fxemoji", "streamline", "models"),
    "picturebook-eval": ("twemoji", "openmoji", "emojione", "emojione_v1", "models"),
}
OTHER = {"picturebook": "picturebook-eval", "picturebook-eval": "picturebook"}


@dataclass(frozen=True)
class Bank:
    """Pictures with what they show.

    Attributes:
      pictures: [n, 64, 64, 4] uint8, colours not multiplied by alpha.
      things: [n] int32, places in the list of things.
      source_ids: [n] int32, indices of sources.
      sources: their names.
    """

    pictures: np.ndarray
    things: np.ndarray
    source_ids: np.ndarray
    sources: tuple[str, ...]


def load(side: str, cache: Path, without: tuple[str, ...] = ()) -> Bank:
    """All that a model learns from; fetches and renders what the cache lacks.

    Args:
      side: one of `SIDES`.
      cache: folder of archives and of what is made of them.
      without: sources to leave out.

    Raises:
      UserError: a package cannot be had, or no source is left.
    """
    parts = []
    used = tuple(source for source in SIDES[side] if source not in without)
    if not used:
        raise UserError(f"--without={','.join(without)} leaves {side} nothing to learn from")
    for source in used:
        if source == "models":
            parts.append(furniture.pictures(cache, list(SIDES).index(side)))
        else:
            parts.append(emoji.pictures(source, cache))
    ids = [np.full(len(things), i, np.int32) for i, (_, things) in enumerate(parts)]
    return Bank(
        pictures=np.concatenate([pictures for pictures, _ in parts]),
        things=np.concatenate([things for _, things in parts]),
        source_ids=np.concatenate(ids),
        sources=used,
    )


class Sampler:
    """Draws pictures of things that differ, evenly over things, and over the sources of each.

    3D models count for half of a thing's other sources together: they alone show its sides and its back.
    """

    def __init__(self, bank: Bank, *, n: int, n_alike: int):
        """Sorts the bank.

        Args:
          bank: of one model.
          n: pictures a draw.
          n_alike: of them, things of about the same colour.
        """
        self._n, self._n_alike = n, n_alike
        self.known = np.unique(bank.things)
        if len(self.known) < n:
            raise UserError(
                f"{len(self.known)} things have pictures, and a batch takes {n}; bring more sources"
            )
        models = bank.sources.index("models") if "models" in bank.sources else None
        self._rows = []
        for thing in self.known:
            own = np.unique(bank.source_ids[bank.things == thing])
            turns = [
                source for source in own for _ in range(max(1, len(own) // 2) if source == models else 1)
            ]
            self._rows.append(
                [np.flatnonzero((bank.things == thing) & (bank.source_ids == source)) for source in turns]
            )
        colour = _mean_colours(bank.pictures)
        self._colours = np.stack([colour[bank.things == thing].mean(0) for thing in self.known])

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """[n] rows of the bank, no thing twice; the first `n_alike` are alike in colour."""
        centre = self._colours[rng.integers(len(self.known))]
        order = np.argsort(np.sum((self._colours - centre) ** 2, axis=-1), kind="stable")
        alike = rng.permutation(order[: 2 * self._n_alike])[: self._n_alike]
        rest = np.setdiff1d(np.arange(len(self.known)), alike)
        others = rng.permutation(rest)[: self._n - len(alike)]
        groups = (self._rows[i] for i in np.concatenate([alike, others]))
        return np.array([rng.choice(group[rng.integers(len(group))]) for group in groups])


def _mean_colours(pictures: np.ndarray) -> np.ndarray:
    """[n, 3] in [0, 1], weighted with alpha."""
    coarse = pictures[:, 2::4, 2::4].astype(np.float32) / 255
    weight = coarse[..., 3:] + 1e-3
    return (coarse[..., :3] * weight).sum((1, 2)) / weight.sum((1, 2))


def missing(bank: Bank) -> list[str]:
    """Names of the things that a bank has no picture of."""
    shown = set(bank.things.tolist())
    return [thing.name for i, thing in enumerate(names.things()) if i not in shown]
