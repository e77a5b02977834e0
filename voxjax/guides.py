"""The guiding CLIPs of a run: which, with what weight, and when; loading them.

A model outside its window is in no program and on no device: `active_at` says which take part in a step, and
whoever runs the steps makes a new program when that changes.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.guidance import Guidance, load_guidance
from voxjax.guidance.pixels import read_picture
from voxjax.memory import choose_micro_batch, free_bytes
from voxjax.prompts import make_targets, plan_prompts
from voxjax.schedules import steps_from_fraction
from voxjax.step import Guide, Inputs
from voxjax.structs import Array


@dataclasses.dataclass(frozen=True)
class GuideSpec:
    """One model of the ensemble.

    Attributes:
      term: its name in the loss: "clip", "clip2", "clip3", ...
      model: name, hub name or folder.
      path: folder to read it from instead; "" to look the name up.
      weight: of its term.
      start: first step that it guides.
      end: first step that it does not guide any more.
    """

    term: str
    model: str
    path: str
    weight: float
    start: int
    end: int


def guide_specs(config: ConfigDict) -> tuple[GuideSpec, ...]:
    """Lists the models of a config.

    Raises:
      UserError: an entry of `clip.more` that cannot be read, or a step that no model guides.
    """
    wanted = [("clip", config.clip.model, config.clip.path, config.clip)]
    if config.clip2.model:
        wanted.append(("clip2", config.clip2.model, config.clip2.path, config.clip2))
    entries = [(term, model, path, c.weight, c.start, c.end) for term, model, path, c in wanted]
    for i, text in enumerate(config.clip.more):
        entries.append((f"clip{i + 3}", *_read_entry(text)))
    specs = tuple(
        GuideSpec(
            term,
            model,
            path,
            weight,
            steps_from_fraction(start, config.steps),
            steps_from_fraction(end, config.steps),
        )
        for term, model, path, weight, start, end in entries
    )
    bare = next((step for step in changes(specs, config.steps) if not active_at(specs, step)), None)
    if bare is not None:
        raise UserError(
            f"--config.clip.start={config.clip.start} --config.clip.end={config.clip.end}: no CLIP guides "
            f"step {bare} of {config.steps}; let the windows of the models cover the whole run"
        )
    return specs


def _read_entry(text: str) -> tuple[str, str, float, float, float]:
    """(model, path, weight, start, end) of an entry of `clip.more`."""
    model, *numbers = text.rsplit(maxsplit=text.count(" ")) if len(text.split()) <= 4 else [""]
    try:
        weight, start, end = (*map(float, numbers), *(1.0, 0.0, 1.0)[len(numbers) :])
    except ValueError:
        model = ""
        weight = start = end = 0.0
    if not model or not 0 <= start < end <= 1:
        raise UserError(
            f"--config.clip.more: {text!r} must be 'name weight' or 'name weight start end', start and end "
            "fractions of the run, such as 'RN50 0.3 0 0.5'"
        )
    return model, "", weight, start, end


def active_at(specs: tuple[GuideSpec, ...], step: int) -> tuple[int, ...]:
    """Indices of the models that guide a step."""
    return tuple(i for i, spec in enumerate(specs) if spec.start <= step < spec.end)


def changes(specs: tuple[GuideSpec, ...], steps: int) -> list[int]:
    """Steps, 0 included, at which another set of models may begin to guide."""
    return sorted({0, *(s for spec in specs for s in (spec.start, spec.end) if 0 < s < steps)})


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
    c, p = config.clip, config.prompts
    plan = plan_prompts(
        config.prompt,
        weight=p.weight,
        extra=p.extra,
        templates=p.templates,
        view_dependent=p.view_dependent,
    )
    specs = guide_specs(config)
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
    return choose_micro_batch(guidance, n, wanted=config.clip.micro_batch, free=free_bytes())
