"""How well a model names pictures of the other one's sources, which it never saw, among all names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.guidance import load_guidance
from voxjax.picturebook import drawing, names
from voxjax.picturebook.bank import Bank
from voxjax.picturebook.furniture import N_VIEWS

_AT_ONCE = 128
_EVERY = 6  # so many views of a 3D model stand behind one that is named: two of twelve


def score(folder: Path, bank: Bank) -> dict[str, Any]:
    """Loads a checkpoint as any other and has it name pictures.

    Args:
      folder: of the checkpoint.
      bank: of the other model.

    Returns:
      Source -> `plain` and `cluttered` -> `top1`, `top5` (shares of its pictures) and `pictures` (how many);
      `all` for all sources together. Plain is on white, cluttered as in training at its full clutter.

    Raises:
      UserError: no checkpoint there.
    """
    guidance, texts = load_guidance(str(folder), prompts=names.plain_captions(), dtype="float32")
    bank = thinned(bank)
    encode, size = jax.jit(guidance.encode), guidance.image_size
    key = jax.random.key(0, impl="rbg")
    plain = jax.jit(drawing.plain_images, static_argnames="size")
    draw = jax.jit(drawing.draw_images, static_argnames="size")
    untinted, full = np.full(_AT_ONCE, -1), jnp.float32(1.0)
    ranks: dict[str, list[np.ndarray]] = {"plain": [], "cluttered": []}
    for start in range(0, len(bank.pictures), _AT_ONCE):
        rows = np.arange(start, start + _AT_ONCE) % len(bank.pictures)  # the last ones again, to fill up
        pictures = bank.pictures[rows]
        shown = {"plain": plain(pictures, size=size)}
        shown["cluttered"], _ = draw(jax.random.fold_in(key, start), pictures, untinted, full, size=size)
        for kind, images in shown.items():
            cosines = np.asarray(encode(guidance.params, images) @ texts.T)
            ranks[kind].append(rank_of(cosines, bank.things[rows]))
    joined = {kind: np.concatenate(each)[: len(bank.pictures)] for kind, each in ranks.items()}
    groups = {name: bank.source_ids == i for i, name in enumerate(bank.sources)}
    groups["all"] = np.ones(len(bank.pictures), bool)
    return {
        name: {kind: summarise(ranks[chosen]) for kind, ranks in joined.items()}
        for name, chosen in groups.items()
    }


def thinned(bank: Bank) -> Bank:
    """All pictures that were drawn, and some views of each 3D model."""
    models = np.array([source == "models" for source in bank.sources])[bank.source_ids]
    place = np.cumsum(models) - 1  # of a view among those of its source, where a model's lie in a row
    kept = ~models | (place % N_VIEWS % _EVERY == 0)
    return Bank(bank.pictures[kept], bank.things[kept], bank.source_ids[kept], bank.sources)


def rank_of(cosines: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """How many names are nearer than the right one: [n, names], [n] -> [n]."""
    return np.sum(cosines > cosines[np.arange(len(truth)), truth][:, None], axis=-1)


def summarise(ranks: np.ndarray) -> dict[str, float]:
    """Shares of ranks below 1 and below 5."""
    return {
        "top1": round(float(np.mean(ranks < 1)), 4),
        "top5": round(float(np.mean(ranks < 5)), 4),
        "pictures": len(ranks),
    }
