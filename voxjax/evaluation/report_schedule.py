"""What was on when in a run: the windows of its schedules in steps, as its config states them."""

from __future__ import annotations

from dataclasses import dataclass

from ml_collections import ConfigDict

from voxjax.factory import make_plan, step_of
from voxjax.fields import FIELDS, has_grid
from voxjax.guidance.ensemble import guide_specs


@dataclass(frozen=True)
class Span:
    """Steps start <= step < end in which something is on.

    Attributes:
      name: what, for reading.
      kind: "guide", "opacity", "kl", "tv", "rate" or "field".
      start: first step inside.
      end: first step after, at most the number of steps of the run.
      note: what it does, in a few words.
    """

    name: str
    kind: str
    start: int
    end: int
    note: str


@dataclass(frozen=True)
class Moments:
    """Steps at which something happens.

    Attributes:
      name: what, for reading.
      steps: ascending.
      note: what it does, in a few words.
    """

    name: str
    steps: tuple[int, ...]
    note: str


@dataclass(frozen=True)
class Schedule:
    """When what acts.

    Attributes:
      steps: of the run.
      spans: in the order of reading.
      rescalings: of the grid; without steps where it has one size.
      tests: that switch empty vertices off.
    """

    steps: int
    spans: tuple[Span, ...]
    rescalings: Moments
    tests: Moments


def schedule_of(config: ConfigDict) -> Schedule:
    """Returns the schedule of a run.

    Raises:
      UserError: a config that cannot be trained.
    """
    steps, plan = config.steps, make_plan(config)
    scaled = tuple(step for step in plan.boundaries if step < steps and plan.rescales_before(step))
    sizes = ["×".join(map(str, plan.stage_at(step).shape)) for step in (0, *scaled)]
    tested = tuple(step for step in range(1, steps) if plan.tests_before(step))
    return Schedule(
        steps=steps,
        spans=tuple(span for span in _spans(config) if span.start < span.end),
        rescalings=Moments("Rescalings", scaled, f"vertices: {' → '.join(sizes)}"),
        tests=Moments("Occupancy tests", tested, "empty vertices are switched off"),
    )


def _spans(config: ConfigDict) -> list[Span]:
    loss = config.loss

    def span(name: str, kind: str, window: tuple[float, float], note: str) -> Span:
        start, end = (min(step_of(config, fraction), config.steps) for fraction in window)
        return Span(name, kind, start, end, note)

    spans = [
        Span(
            f"CLIP {spec.model}", "guide", spec.start, min(spec.end, config.steps), f"weight {spec.weight:g}"
        )
        for spec in guide_specs(config)
    ]
    if loss.transmittance:
        ends = f"target {loss.opacity_start:.0%} → {loss.opacity_end:.0%}"
        spans.append(span("Opacity annealing", "opacity", (0.0, loss.opacity_anneal), ends))
    if config.field.name in FIELDS and has_grid(FIELDS[config.field.name]):
        if loss.kl:
            spans.append(span("Sphere prior (KL)", "kl", loss.kl_window, f"weight {loss.kl:g}"))
        if loss.tv:
            spans.append(span("Total variation (TV)", "tv", loss.tv_window, f"weight {loss.tv:g}"))
    elif config.field.name == "dream_fields":
        note = "Gaussians shrink to their size"
        spans.append(span("Widened Gaussians", "field", (0.0, config.dream_fields.widen), note))
    spans.append(span("Warm-up", "rate", (0.0, config.optimiser.warmup), "rates rise to their value"))
    return spans
