"""Loads the guiding CLIPs of a run (`ensemble` lists them) and what their images are compared with."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax.guidance import Guidance, load_guidance, names
from voxjax.guidance.ensemble import GuideSpec, guide_specs, prompt_plan
from voxjax.guidance.memory import choose_micro_batch, free_bytes
from voxjax.guidance.pixels import read_picture
from voxjax.guidance.prompts import make_targets
from voxjax.structs import Array
from voxjax.training.parts import Guide, Inputs


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The models of a run; what is large lies in the host's memory.

    Attributes:
      specs: the models.
      guides: as the step sees them.
      params: of each model, NumPy arrays.
      targets: [b, d] of each.
      negatives: [m, d] of each.
    """

    specs: tuple[GuideSpec, ...]
    guides: tuple[Guide, ...]
    params: tuple[Any, ...]
    targets: tuple[Array, ...]
    negatives: tuple[Array, ...]

    def inputs(self, key: Array, active: tuple[int, ...]) -> Inputs:
        """What a step of these models is given, besides the state.

        Args:
          key: base key of the run.
          active: indices of the models that take part.
        """
        pick = lambda values: tuple(values[i] for i in active)  # noqa: E731
        return Inputs(key, pick(self.params), pick(self.targets), pick(self.negatives))


def load_guides(config: ConfigDict) -> Loaded:
    """Loads the models of a config and encodes its prompts with each; the text towers are dropped.

    Raises:
      UserError: an unknown model, or a prompt that one of them cannot take.
    """
    c, plan, specs = config.clip, prompt_plan(config), guide_specs(config)
    # What is quickly known to be wrong comes first: weights may take minutes to read.
    for spec in specs:
        names.locate(spec.model, path=spec.path or None)
    if config.prompts.image:
        read_picture(config.prompts.image, 1)
    guides, params, targets, negatives = [], [], [], []
    for spec in specs:
        guidance, embedded = load_guidance(
            spec.model,
            prompts=(*plan.texts, *c.negatives),
            dtype=None if c.dtype == "auto" else c.dtype,
            path=spec.path or None,
            remat=c.remat,
        )
        texts, others = embedded[: len(plan.texts)], embedded[len(plan.texts) :]
        targets.append(make_targets(plan, texts, picture=_picture(config, guidance)))
        negatives.append(others)
        guides.append(
            Guide(
                spec.term,
                guidance.encode,
                guidance.image_size,
                c.scale if c.objective == "contrastive" else None,
                _micro_batch(config, guidance),
            )
        )
        params.append(jax.device_get(guidance.params))
    return Loaded(specs, tuple(guides), tuple(params), tuple(targets), tuple(negatives))


def _picture(config: ConfigDict, guidance: Guidance) -> np.ndarray | None:
    """Weighted embedding [d] of the picture that the object shall be like."""
    if not config.prompts.image:
        return None
    pixels = read_picture(config.prompts.image, guidance.image_size)
    embedding = jax.jit(guidance.encode)(guidance.params, jnp.asarray(pixels)[None])[0]
    return config.prompts.image_weight * np.asarray(embedding)


def _micro_batch(config: ConfigDict, guidance: Guidance) -> int:
    """Images that the model sees at a time, a divisor of those of a step."""
    n = config.cameras.views_per_step * config.augment.n_diff * config.augment.n_back
    free = free_bytes()
    # What several models keep for the backward pass is there at the same time.
    each = None if free is None else free // len(guide_specs(config))
    return choose_micro_batch(guidance, n, wanted=config.clip.micro_batch, free=each)
