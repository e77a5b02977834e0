"""Loads the guiding CLIPs of a run (`ensemble` lists them) and what their images are compared with."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax.errors import UserError
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


def load_guides(configs: Sequence[ConfigDict]) -> list[Loaded]:
    """Loads the models that guide some objects and encodes their prompts with each; text towers are dropped.

    Args:
      configs: of the objects; they differ in the prompt only.

    Returns:
      For each object the models, which all share, and what is its own: targets and negatives.

    Raises:
      UserError: an unknown model, a prompt that one of them cannot take, or prompts of which "auto" makes
        different models.
    """
    config, c = configs[0], configs[0].clip
    specs, plans = _one_choice(configs), [prompt_plan(each) for each in configs]
    # What is quickly known to be wrong comes first: weights may take minutes to read.
    for spec in specs:
        names.locate(spec.model, path=spec.path or None)
    if config.prompts.image:
        read_picture(config.prompts.image, 1)
    guides, params, targets, negatives = [], [], [], []
    for spec in specs:
        guidance, embedded = load_guidance(
            spec.model,
            prompts=(*(text for plan in plans for text in plan.texts), *c.negatives),
            dtype=None if c.dtype == "auto" else c.dtype,
            path=spec.path or None,
            remat=c.remat,
        )
        ends = list(itertools.accumulate((len(plan.texts) for plan in plans), initial=0))
        picture = _picture(config, guidance)
        targets.append(
            [
                make_targets(plan, embedded[start:end], picture=picture)
                for plan, start, end in zip(plans, ends[:-1], ends[1:], strict=True)
            ]
        )
        negatives.append(embedded[ends[-1] :])
        guides.append(
            Guide(
                spec.term,
                guidance.encode,
                guidance.image_size,
                c.scale if c.objective == "contrastive" else None,
                _micro_batch(config, guidance, len(configs)),
            )
        )
        params.append(jax.device_get(guidance.params))
    return [
        Loaded(specs, tuple(guides), tuple(params), tuple(each[i] for each in targets), tuple(negatives))
        for i in range(len(configs))
    ]


def _one_choice(configs: Sequence[ConfigDict]) -> tuple[GuideSpec, ...]:
    """The models of all configs, which are the same ones."""
    specs = guide_specs(configs[0])
    for config in configs[1:]:
        found = guide_specs(config)
        if found != specs:
            raise UserError(
                f"--config.clip.model={config.clip.model}: {configs[0].prompt!r} is guided by "
                f"{specs[0].model} and {config.prompt!r} by {found[0].model}; objects of different models "
                "cannot be trained as one"
            )
    return specs


def _picture(config: ConfigDict, guidance: Guidance) -> np.ndarray | None:
    """Weighted embedding [d] of the picture that the object shall be like."""
    if not config.prompts.image:
        return None
    pixels = read_picture(config.prompts.image, guidance.image_size)
    embedding = jax.jit(guidance.encode)(guidance.params, jnp.asarray(pixels)[None])[0]
    return config.prompts.image_weight * np.asarray(embedding)


def _micro_batch(config: ConfigDict, guidance: Guidance, together: int) -> int:
    """Images of one object that the model sees at a time, a divisor of those of a step."""
    n = config.cameras.views_per_step * config.augment.n_diff * config.augment.n_back
    free = free_bytes()
    # What several models, or a model for several objects, keep for the backward pass is there at one time.
    each = None if free is None else free // (len(guide_specs(config)) * together)
    return choose_micro_batch(guidance, n, wanted=config.clip.micro_batch, free=each)
