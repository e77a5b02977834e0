"""Curves over the steps of a run, with the windows of its schedules below them on the same axis.

Only lines are SVG, stretched to the width of the page; every text is HTML, so that it keeps its size on a
phone. The plots share one horizontal axis, from step 0 to the last one. A script shows the values under the
pointer; without it the last ones stand there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from voxjax.evaluation.report_schedule import Moments, Schedule, Span

# Most points of a curve: what a screen can show.
_POINTS = 400
# Units of the stretched plots, whose vertical axis points downwards.
_WIDTH, _HEIGHT, _MARGIN = 1000.0, 100.0, 6.0

STYLE = """
.curves { position: relative; margin-top: .75rem; display: grid; gap: .35rem; }
.lane { display: grid; grid-template-columns: 13rem 1fr; align-items: center; gap: 0 1rem; }
.lane dl, .lane dt, .lane dd { margin: 0; }
.lane dt { font-size: .9rem; font-weight: 600; line-height: 1.3; }
.lane dd { font-size: .8rem; color: var(--quiet); line-height: 1.35; font-variant-numeric: tabular-nums; }
.lane dd b { color: var(--ink); font-size: .95rem; font-weight: 500; }
.plot { position: relative; min-width: 0; margin-right: 3.6rem; background: var(--card);
  border-radius: .4rem; }
.plot svg { display: block; width: 100%; height: 3.4rem; overflow: visible; }
.tall .plot svg { height: 6.5rem; }
.bars .plot svg { height: 1rem; }
.plot span { position: absolute; left: calc(100% + .5rem); white-space: nowrap; font-size: .7rem;
  line-height: 1; color: var(--quiet); font-variant-numeric: tabular-nums; pointer-events: none; }
.plot .hi { top: .1rem; } .plot .lo { bottom: .1rem; }
.plot path { fill: none; stroke: var(--accent); stroke-width: 1.75; vector-effect: non-scaling-stroke;
  stroke-linejoin: round; stroke-linecap: round; }
.plot path.aim { stroke: var(--quiet); stroke-width: 1.25; stroke-dasharray: 4 4; }
.plot line { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; }
.plot line.cross { stroke: var(--ink); opacity: 0; } .seen line.cross { opacity: .45; }
.plot rect { fill: var(--accent); } .plot rect.band { opacity: .1; }
.plot .opacity { fill: var(--amber); } .plot .kl { fill: var(--violet); } .plot .tv { fill: var(--green); }
.plot .rate, .plot .field { fill: var(--grey); }
.plot line.moment { stroke: var(--ink); stroke-width: 2; }
.axis { margin-right: 3.6rem; display: flex; justify-content: space-between; font-size: .75rem;
  color: var(--quiet); font-variant-numeric: tabular-nums; }
@media (max-width: 40rem) { .lane { grid-template-columns: 1fr; gap: .15rem; margin-bottom: .3rem; }
  .lane dl { display: flex; gap: .6rem; align-items: baseline; justify-content: space-between; }
  .lane.rule dl { display: none; } .lane dd { text-align: right; } }
"""
SCRIPT = """
document.querySelectorAll('.curves').forEach(box => {
  const lanes = [...box.querySelectorAll('[data-points]')].map(lane => ({ value: lane.querySelector('b'),
    points: JSON.parse(lane.dataset.points), last: lane.querySelector('b').textContent }));
  const step = box.querySelector('.step'), plot = box.querySelector('.plot'), last = step.textContent;
  const show = event => {
    const frame = plot.getBoundingClientRect(), steps = +box.dataset.steps;
    const share = Math.min(1, Math.max(0, (event.clientX - frame.left) / frame.width)), at = share * steps;
    box.classList.add('seen');
    box.querySelectorAll('.cross').forEach(line => {
      const x = line.closest('svg').viewBox.baseVal.width ? 1000 * share : 100 * share + '%';
      line.setAttribute('x1', x); line.setAttribute('x2', x); });
    step.textContent = 'step ' + Math.round(at).toLocaleString('en');
    lanes.forEach(({ value, points }) => { value.textContent = points.reduce((best, point) =>
      Math.abs(point[0] - at) < Math.abs(best[0] - at) ? point : best)[1].toPrecision(3); });
  };
  box.onpointermove = box.onpointerdown = show;
  box.onpointerleave = () => { box.classList.remove('seen'); step.textContent = last;
    lanes.forEach(({ value, last }) => { value.textContent = last; }); };
});
"""


@dataclass(frozen=True)
class Curve:
    """What one plot shows.

    Attributes:
      metric: its name in metrics.jsonl.
      name: for reading.
      note: what it is, in a few words.
      aim: name of the metric that it is to follow, drawn dashed; "" for none.
      kind: of the `Span` in which it acts, tinted behind the curve; "" for none.
      tall: whether it gets more room.
    """

    metric: str
    name: str
    note: str
    aim: str = ""
    kind: str = ""
    tall: bool = False


_KNOWN = (
    Curve("clip_similarity", "CLIP similarity", "cosine, training images", tall=True),
    Curve("loss", "Loss", "sum of the weighted terms", tall=True),
    Curve("transmittance", "Transmittance", "mean; dashed: its target", aim="tau", kind="opacity"),
    Curve("loss/clip", "CLIP term", "weighted"),
    Curve("loss/transmittance", "Transmittance term", "weighted", kind="opacity"),
    Curve("loss/kl", "Sphere prior (KL)", "weighted", kind="kl"),
    Curve("loss/tv", "Total variation (TV)", "weighted", kind="tv"),
    Curve("loss/entropy", "Background entropy", "weighted"),
)


def curves_of(metrics: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Returns the curves that a run told values of, terms that are not known by name last."""
    told = {name for line in metrics for name, value in line.items() if value is not None}
    known = {curve.metric for curve in _KNOWN}
    others = sorted(name for name in told - known if name.startswith("loss/"))
    new = [Curve(name, f"{name.removeprefix('loss/')} term", "weighted") for name in others]
    return [curve for curve in (*_KNOWN, *new) if curve.metric in told]


def points_of(metrics: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Returns (step, value) of a metric where it was told; of very many, means of even groups."""
    told = [(float(line["step"]), float(line[name])) for line in metrics if line.get(name) is not None]
    group = math.ceil(len(told) / _POINTS) or 1
    groups = [told[i : i + group] for i in range(0, len(told), group)]
    return [(sum(x for x, _ in some) / len(some), sum(y for _, y in some) / len(some)) for some in groups]


def figure(metrics: Sequence[Mapping[str, Any]], schedule: Schedule) -> str:
    """The curves of a run above the windows of its schedules.

    Args:
      metrics: lines of metrics.jsonl, ascending in step.
      schedule: of the run.

    Returns:
      HTML.
    """
    lanes = [_lane(curve, metrics, schedule) for curve in curves_of(metrics)]
    bars = [_bar(span, schedule) for span in schedule.spans]
    bars += [_ticks(each, schedule) for each in (schedule.rescalings, schedule.tests) if each.steps]
    last = int(metrics[-1]["step"]) if metrics else 0
    ticks = "".join(f"<span>{tick:,}</span>" for tick in _ticks_of(schedule.steps))
    axis = (
        f'<div class="lane rule"><dl><dt></dt><dd class="step">step {last:,}</dd></dl>'
        f'<div class="axis">{ticks}</div></div>'
    )
    return f'<div class="curves" data-steps="{schedule.steps}">{"".join([*lanes, axis, *bars])}</div>'


def _lane(curve: Curve, metrics: Sequence[Mapping[str, Any]], schedule: Schedule) -> str:
    points, aim = points_of(metrics, curve.metric), points_of(metrics, curve.aim) if curve.aim else []
    values = [value for _, value in (*points, *aim)]
    low, high = min(values), max(values)
    bands = "".join(
        f'<rect class="band {span.kind}" x="{_x(span.start, schedule):.1f}" y="0" height="{_HEIGHT:.0f}" '
        f'width="{_x(span.end, schedule) - _x(span.start, schedule):.1f}"/>'
        for span in schedule.spans
        if span.kind == curve.kind
    )
    rules = "".join(
        f'<line x1="{_x(step, schedule):.1f}" x2="{_x(step, schedule):.1f}" y1="0" y2="{_HEIGHT:.0f}"/>'
        for step in schedule.rescalings.steps
    )
    lines = f'<path d="{_path(points, low, high, schedule)}"/>'
    lines += f'<path class="aim" d="{_path(aim, low, high, schedule)}"/>' if aim else ""
    (first, start), (last, end) = points[0], points[-1]
    words = (
        f"From {_short(start)} at step {first:.0f} to {_short(end)} at step {last:.0f}; "
        f"smallest {_short(low)}, largest {_short(high)}."
    )
    cross = f'<line class="cross" x1="0" x2="0" y1="0" y2="{_HEIGHT:.0f}"/>'
    shape = f'viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" preserveAspectRatio="none"'
    drawn = _svg(f"{curve.name} over the steps", words, bands + rules + lines + cross, shape)
    data = json.dumps([[round(step), float(f"{value:.4g}")] for step, value in points], separators=(",", ":"))
    return (
        f'<div class="lane{" tall" if curve.tall else ""}" data-points="{data}">'
        f"<dl><dt>{escape(curve.name)}</dt><dd><b>{_short(end)}</b> {escape(curve.note)}</dd></dl>"
        f'<div class="plot">{drawn}<span class="hi">{_short(high)}</span>'
        f'<span class="lo">{_short(low)}</span></div></div>'
    )


def _bar(span: Span, schedule: Schedule) -> str:
    """The window of one schedule."""
    left, right = (100.0 * step / schedule.steps for step in (span.start, span.end))
    words = f"From step {span.start} to step {span.end} of {schedule.steps}; {span.note}."
    shape = (
        f'<rect class="{span.kind}" x="{left:.2f}%" width="{right - left:.2f}%" y="3" height="10" rx="3"/>'
    )
    where = f"{span.start:,}–{span.end:,}"
    return _row(
        span.name, f"{where} · {span.note}", _svg(f"{span.name}: when it is on", words, shape + _CROSS)
    )


def _ticks(moments: Moments, schedule: Schedule) -> str:
    """Single steps."""
    places = [f"{100.0 * step / schedule.steps:.2f}%" for step in moments.steps]
    shapes = "".join(f'<line class="moment" x1="{x}" x2="{x}" y1="3" y2="13"/>' for x in places)
    steps = ", ".join(map(str, moments.steps))
    drawn = _svg(f"{moments.name}: when", f"At the steps {steps}; {moments.note}.", shapes + _CROSS)
    return _row(moments.name, moments.note, drawn)


_CROSS = '<line class="cross" x1="0" x2="0" y1="0" y2="16"/>'


def _row(name: str, note: str, drawn: str) -> str:
    return (
        f'<div class="lane bars"><dl><dt>{escape(name)}</dt><dd>{escape(note)}</dd></dl>'
        f'<div class="plot">{drawn}</div></div>'
    )


def _svg(title: str, words: str, shapes: str, attributes: str = "") -> str:
    return (
        f'<svg role="img" {attributes}>'
        f"<title>{escape(title)}</title><desc>{escape(words)}</desc>{shapes}</svg>"
    )


def _x(step: float, schedule: Schedule) -> float:
    return _WIDTH * step / schedule.steps


def _path(points: Sequence[tuple[float, float]], low: float, high: float, schedule: Schedule) -> str:
    room = _HEIGHT - 2 * _MARGIN
    scale = room / (high - low) if high > low else 0.0
    y0 = _HEIGHT - _MARGIN if high > low else _HEIGHT / 2
    # A path of one point has no length; a cap makes it a dot.
    ends = points if len(points) > 1 else [*points, *points]
    return "M" + "L".join(f"{_x(x, schedule):.1f},{y0 - scale * (y - low):.1f}" for x, y in ends)


def _ticks_of(steps: int) -> list[int]:
    """Five even steps, or all of a very short run."""
    n = min(5, steps)
    return [round(steps * k / n) for k in range(n + 1)]


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
