"""Retrieval scores: is an object's own caption the nearest of all?

Notation. r runs, v views of each, c captions. `cosines` is [r, v, c]: unit image embeddings times unit text
embeddings. `own` is [r], the index of each run's caption. The first view is the evaluation view.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOP = 5


@dataclass(frozen=True)
class Scores:
    """Scores of a set of objects.

    Attributes:
      n_captions: c.
      view_ranks: [r, v] int, rank of the own caption, from 1 (best) to c.
      object_ranks: [r] int, rank by the mean embedding of the views (the mean of the cosines ranks alike).
      view_best: [r, v] int, index of the nearest caption.
      object_best: [r] int, index of the caption nearest by the mean over the views.
      view_cosines: [r, v], cosine with the own caption, in [-1, 1].
    """

    n_captions: int
    view_ranks: np.ndarray
    object_ranks: np.ndarray
    view_best: np.ndarray
    object_best: np.ndarray
    view_cosines: np.ndarray

    def figures(self) -> dict[str, np.ndarray]:
        """What the means are taken of, [r] each; R-Precision as in Dream Fields (arXiv 2112.01455).

        Returns:
          `r_precision_at_1_evaluation_view` (own caption nearest at the first view: the papers' figure),
          `..._per_view` (share of the run's views), `..._per_object` (by the mean embedding), the same
          `_at_5` where there are more than five captions (else every object is right), `mean_rank` and
          `mean_cosine` over the views, and both at the evaluation view.
        """
        return figures(self.view_ranks, self.object_ranks, self.view_cosines, n_captions=self.n_captions)


def figures(
    view_ranks: np.ndarray, object_ranks: np.ndarray, view_cosines: np.ndarray, *, n_captions: int
) -> dict[str, np.ndarray]:
    """`Scores.figures` from ranks [r, v], [r] and cosines [r, v], as tables keep them."""
    found = {}
    for k in (1, TOP) if n_captions > TOP else (1,):
        right = view_ranks <= k
        found[f"r_precision_at_{k}_per_view"] = right.mean(axis=1)
        found[f"r_precision_at_{k}_per_object"] = (object_ranks <= k).astype(np.float64)
        found[f"r_precision_at_{k}_evaluation_view"] = right[:, 0].astype(np.float64)
    found["mean_rank"] = view_ranks.mean(axis=1)
    found["mean_cosine"] = view_cosines.mean(axis=1)
    found["mean_rank_evaluation_view"] = view_ranks[:, 0].astype(np.float64)
    found["mean_cosine_evaluation_view"] = view_cosines[:, 0]
    return found


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
    return Scores(
        n_captions=cosines.shape[-1],
        view_ranks=ranks(cosines, own),
        object_ranks=ranks(by_object, own),
        view_best=np.argmax(cosines, axis=-1),
        object_best=np.argmax(by_object, axis=-1),
        view_cosines=np.take_along_axis(cosines, own[:, None, None], axis=-1)[..., 0],
    )
