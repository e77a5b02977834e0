"""The guiding CLIPs of a run: which, with what weight, in which window of steps (Pure CLIP guidance, Eq. 6).

A model outside its window is in no program and on no device: `active_at` says which take part in a step, and
whoever runs the steps makes a new program when that changes.
"""

from __future__ import annotations

import dataclasses
import math

from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.guidance import shipped
from voxjax.guidance.prompts import PromptPlan, plan_prompts
from voxjax.schedules import step_number


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
      UserError: an entry of `clip.more` that cannot be read, a step that no model guides, or words that
        none of the models knows which `clip.model = "auto"` chooses from.
    """
    model = config.clip.model
    if model == shipped.AUTO and not config.clip.path:
        model = shipped.choose([*prompt_plan(config).texts, *config.clip.negatives])
    wanted = [("clip", model, config.clip.path, config.clip)]
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
            step_number(start, steps=config.steps, of=config.schedule_steps),
            step_number(end, steps=config.steps, of=config.schedule_steps),
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
    words = text.split()
    numbers: list[float] = []
    while len(words) > 1 and len(numbers) < 3 and _number(words[-1]) is not None:
        numbers.insert(0, float(words.pop()))
    model, (weight, start, end) = " ".join(words), (*numbers, *(1.0, 0.0, 1.0)[len(numbers) :])
    sound = math.isfinite(weight) and 0 <= start < end <= 1
    if not model or _number(model) is not None or not sound:
        raise UserError(
            f"--config.clip.more: {text!r} must be 'name weight' or 'name weight start end', the weight "
            "finite, start and end fractions of the run, such as 'RN50 0.3 0 0.5'"
        )
    return model, "", weight, start, end


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def active_at(specs: tuple[GuideSpec, ...], step: int) -> tuple[int, ...]:
    """Indices of the models that guide a step."""
    return tuple(i for i, spec in enumerate(specs) if spec.start <= step < spec.end)


def changes(specs: tuple[GuideSpec, ...], steps: int) -> list[int]:
    """Steps, 0 included, at which another set of models may begin to guide."""
    return sorted({0, *(s for spec in specs for s in (spec.start, spec.end) if 0 < s < steps)})


def prompt_plan(config: ConfigDict) -> PromptPlan:
    """The texts that every model of a config has to encode."""
    p = config.prompts
    return plan_prompts(
        config.prompt,
        weight=p.weight,
        extra=p.extra,
        templates=p.templates,
        view_dependent=p.view_dependent,
    )
