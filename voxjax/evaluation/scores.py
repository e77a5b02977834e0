"""Retrieval scores: is an object's own caption the nearest of all?

Notation. r runs, v views of each, c captions. `cosines` is [r, v, c]: unit image embeddings times unit text
embeddings. `own` is [r], the index of each run's caption.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Scores of a set of objects: R-Precision@1 as in Dream Fields (arXiv 2112.01455, section 4).

    Attributes:
      precision_per_view: share of all r * v views whose own caption is the nearest, in [0, 1].
      precision_per_object: share of the r objects whose own caption is the nearest to the mean embedding of
        their views (the mean of the cosines ranks alike), in [0, 1].
      precision_first_view: share of the r objects whose first view alone finds its caption, in [0, 1].
      mean_rank: mean over all views of the rank of the own caption, from 1 (best) to c.
      mean_cosine: mean over all views of the cosine with the own caption, in [-1, 1].
      view_ranks: [r, v] int, rank of the own caption.
      object_ranks: [r] int, rank by the mean over the views.
      view_best: [r, v] int, index of the nearest caption.
      object_best: [r] int, index of the caption nearest by the mean over the views.
      view_cosines: [r, v], cosine with the own caption.
    """

    precision_per_view: float
    precision_per_object: float
    precision_first_view: float
    mean_rank: float
    mean_cosine: float
    view_ranks: np.ndarray
    object_ranks: np.ndarray
    view_best: np.ndarray
    object_best: np.ndarray
    view_cosines: np.ndarray


def ranks(cosines: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Rank of the own caption; a tie counts against it, so that a judge that cannot tell scores nothing.

    Args:
      cosines: [r, ..., c].
      own: [r].

    Returns:
      [r, ...] int, 1 + the number of other captions with at least the own cosine.
    """
    index = np.asarray(own).reshape((-1,) + (1,) * (cosines.ndim - 1))
    mine = np.take_along_axis(cosines, index, axis=-1)
    return np.sum(cosines >= mine, axis=-1)


def retrieval_scores(cosines: np.ndarray, own: np.ndarray) -> Scores:
    """Score all objects.

    Args:
      cosines: [r, v, c].
      own: [r] int in [0, c).

    Returns:
      The scores.

    Raises:
      ValueError: for a shape other than these or a cosine that is not finite.
    """
    cosines, own = np.asarray(cosines, np.float64), np.asarray(own)
    if cosines.ndim != 3 or own.shape != cosines.shape[:1] or cosines.size == 0:
        raise ValueError(f"cosines {cosines.shape} and own {own.shape} must be [r, v, c] and [r]")
    if not np.isfinite(cosines).all():
        raise ValueError("a cosine is not finite")
    by_object = cosines.mean(axis=1)
    view_ranks, object_ranks = ranks(cosines, own), ranks(by_object, own)
    view_cosines = np.take_along_axis(cosines, own[:, None, None], axis=-1)[..., 0]
    return Scores(
        precision_per_view=float(np.mean(view_ranks == 1)),
        precision_per_object=float(np.mean(object_ranks == 1)),
        precision_first_view=float(np.mean(view_ranks[:, 0] == 1)),
        mean_rank=float(np.mean(view_ranks)),
        mean_cosine=float(np.mean(view_cosines)),
        view_ranks=view_ranks,
        object_ranks=object_ranks,
        view_best=np.argmax(cosines, axis=-1),
        object_best=np.argmax(by_object, axis=-1),
        view_cosines=view_cosines,
    )
