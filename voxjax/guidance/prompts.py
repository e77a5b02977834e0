"""What the images are to be like: one target direction of the embedding space per kind of view.

Notation. b: kinds of view, 1, or 4 where the prompt depends on the view (see `VIEWS`); j: weighted parts
(the prompt, further prompts, a picture); e_j: unit embedding of a part. The loss is minus the sum of weight_j
times the mean cosine to e_j, which is linear in the image's embedding: one target, sum_j weight_j e_j, stands
for all parts. It has unit length only where there is one part of weight 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from voxjax.errors import UserError
from voxjax.structs import Array

VIEWS = ("front view", "side view", "back view", "overhead view")
"""Kinds of view, and the words that go with them. The front looks along the +x axis: azimuth 0."""

OVERHEAD_DEG = 60.0
"""Elevation from which a view counts as one from overhead."""


@dataclass(frozen=True)
class PromptPlan:
    """Texts to be encoded, and how their embeddings make up the targets.

    Attributes:
      texts: all texts, each once.
      targets: per kind of view the weighted parts, each as (weight, indices into `texts`): the embeddings of
        a part's texts are averaged, and the mean is scaled to unit length.
    """

    texts: tuple[str, ...]
    targets: tuple[tuple[tuple[float, tuple[int, ...]], ...], ...]


def plan_prompts(
    prompt: str,
    *,
    weight: float = 1.0,
    extra: Sequence[str] = (),
    templates: Sequence[str] = (),
    view_dependent: bool = False,
) -> PromptPlan:
    """Lists what has to be encoded.

    Args:
      prompt: the main text.
      weight: of it.
      extra: further texts, each "text:weight"; without a number at the end the weight is 1.
      templates: texts with one `{}`, into which every prompt is put; none means as typed.
      view_dependent: make four targets, with the words of `VIEWS` behind every prompt of positive weight.

    Returns:
      The plan.

    Raises:
      UserError: a weight in `extra` that is not finite.
    """
    parts = [(weight, prompt), *map(split_weight, extra)]
    texts: dict[str, int] = {}
    targets = []
    for view in VIEWS if view_dependent else ("",):
        target = []
        for part_weight, text in parts:
            seen = f"{text}, {view}" if view and part_weight > 0 else text
            filled = [template.replace("{}", seen) for template in templates] or [seen]
            target.append((part_weight, tuple(texts.setdefault(each, len(texts)) for each in filled)))
        targets.append(tuple(target))
    return PromptPlan(tuple(texts), tuple(targets))


def split_weight(part: str) -> tuple[float, str]:
    """(weight, text) of "text:weight"; the weight is 1 where no number follows the last colon.

    Raises:
      UserError: a weight that is not finite.
    """
    text, colon, number = part.rpartition(":")
    try:
        weight = float(number)
    except ValueError:
        return 1.0, part
    if not (colon and text.strip()):
        return 1.0, part
    if not math.isfinite(weight):
        raise UserError(
            f"--config.prompts.extra: {part!r} must be 'text' or 'text:weight', the weight finite"
        )
    return weight, text.strip()


def make_targets(plan: PromptPlan, embeddings: Array, *, picture: ArrayLike | None = None) -> Array:
    """The targets of one model.

    Args:
      plan: from `plan_prompts`.
      embeddings: [len(plan.texts), d], unit length.
      picture: [d], weighted embedding of a picture, added to every target; None without one.

    Returns:
      [b, d] float32.
    """
    rows = []
    for target in plan.targets:
        row = np.zeros(embeddings.shape[-1])
        for weight, indices in target:
            mean = np.mean(np.asarray(embeddings, np.float64)[list(indices)], axis=0)
            row += weight * mean / np.linalg.norm(mean)
        rows.append(row if picture is None else row + np.asarray(picture, np.float64))
    return jnp.asarray(np.stack(rows), jnp.float32)


def kind_of_view(azimuth_deg: Array, elevation_deg: Array) -> Array:
    """Index into `VIEWS` of views at these angles.

    Args:
      azimuth_deg: [...], any number of turns; 0 is the front.
      elevation_deg: [...], degrees above the horizon.

    Returns:
      [...] int32: within 45 degrees of the front, of the back, or at a side; overhead from `OVERHEAD_DEG`.
    """
    away = jnp.abs((azimuth_deg + 180.0) % 360.0 - 180.0)
    around = jnp.where(away <= 45.0, 0, jnp.where(away < 135.0, 1, 2))
    return jnp.where(elevation_deg >= OVERHEAD_DEG, 3, around).astype(jnp.int32)
