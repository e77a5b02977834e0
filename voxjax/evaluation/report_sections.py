"""The lower part of a report: curves, time, what differs from the defaults, and how to repeat the run."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

from voxjax.evaluation import report_curves
from voxjax.evaluation.page_parts import table
from voxjax.evaluation.report_data import Report
from voxjax.evaluation.words import config_value, duration

PHASES = {
    "training": "training",
    "compile": "compiling",
    "loading": "loading",
    "picture": "pictures, mesh, report",
}
"""Phase of `training.timing` -> for reading."""
VERSIONS = {"voxjax": "voxjax", "jax": "JAX", "flax": "Flax", "python": "Python"}
"""Package -> for reading; its version is the summary's `<package>_version`."""

STYLE = (
    report_curves.STYLE
    + """
.phases { display: flex; height: 1.1rem; border-radius: .4rem; overflow: hidden; max-width: 68rem; gap: 2px; }
.phases i { min-width: 2px; background: var(--accent); }
.phases .compile, .key .compile { background: var(--violet); }
.phases .loading, .key .loading { background: var(--grey); }
.phases .picture, .key .picture { background: var(--amber); }
.key { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .6rem 0 0; padding: 0; list-style: none;
  font-size: .9rem; font-variant-numeric: tabular-nums; }
.key i { display: inline-block; width: .7rem; height: .7rem; border-radius: .2rem; margin-right: .45rem;
  background: var(--accent); } .key span { color: var(--quiet); }
.columns { columns: 24rem; column-gap: 3rem; } .columns .wide { break-inside: avoid; margin-bottom: 1.25rem; }
.columns table { width: 100%; table-layout: fixed; }
.columns td, .columns th { min-width: 0; overflow-wrap: anywhere; }
.columns th:first-child { width: 42%; } .columns td:nth-child(2) { color: var(--quiet); }
.again { display: grid; gap: 0 3rem; align-items: start;
  grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); }
@media (max-width: 60rem) { .again { grid-template-columns: minmax(0, 1fr); } }
pre { margin: .5rem 0; padding: .8rem 1rem; background: var(--card); border-radius: .5rem; font-size: .85rem;
  line-height: 1.6; white-space: pre-wrap; overflow-wrap: anywhere; }
"""
)
SCRIPT = (
    report_curves.SCRIPT
    + """
const copy = document.querySelector('#copy');
copy.hidden = !navigator.clipboard;
copy.onclick = () => navigator.clipboard.writeText(document.querySelector('pre').textContent)
  .then(() => { copy.textContent = 'Copied'; });
"""
)


def sections(report: Report) -> Iterator[str]:
    """Yields the HTML of each section, its heading first."""
    yield "<h2>Course</h2>"
    if report.metrics:
        yield "<p>Each curve on its own scale; below them what was on when, on the same axis.</p>"
        yield report_curves.figure(report.metrics, report.schedule)
    else:
        yield "<p>The run told nothing: there is no metrics.jsonl in its folder.</p>"
    yield "<h2>Time</h2>"
    yield _time(report)
    yield "<h2>What differs from the defaults</h2>"
    yield from _changed(report)
    yield "<h2>Do it again</h2>"
    yield f'<div class="again"><div>{_command(report)}</div>{_versions(report)}</div>'


def _time(report: Report) -> str:
    seconds = {phase: report.summary.get(f"{phase}_seconds", 0.0) for phase in PHASES}
    total = sum(seconds.values())
    if not total:
        return "<p>Not known: there is no summary.json in the folder.</p>"
    told = {phase: spent for phase, spent in seconds.items() if spent}
    words = ", ".join(f"{PHASES[phase]} {duration(spent)}" for phase, spent in told.items())
    parts = "".join(f'<i class="{phase}" style="flex: {spent:.3f}"></i>' for phase, spent in told.items())
    key = "".join(
        f'<li><i class="{phase}"></i>{escape(PHASES[phase])} {duration(spent)} '
        f"<span>{spent / total:.0%}</span></li>"
        for phase, spent in told.items()
    )
    return (
        f'<div class="phases" role="img" aria-label="{escape(words)}">{parts}</div><ul class="key">{key}</ul>'
    )


def _changed(report: Report) -> Iterator[str]:
    """A table for each group of keys."""
    rows = [
        (key, ["–" if old is None else config_value(old), config_value(new)])
        for key, (old, new) in sorted(report.changed.items())
        if key != "prompt"
    ]
    yield (
        "<p>Keys of the config whose value is not that of configs/base.py.</p>" if rows else "<p>Nothing.</p>"
    )
    alone = [(key, row) for key, row in rows if "." not in key]
    groups = [("run", alone)] if alone else []
    grouped = groupby((row for row in rows if "." in row[0]), key=lambda row: row[0].split(".")[0])
    groups += [(name, [(key.split(".", 1)[1], row) for key, row in some]) for name, some in grouped]
    tables = "".join(table([name, "default", "here"], some) for name, some in groups)
    yield f'<div class="columns">{tables}</div>'


def _command(report: Report) -> str:
    lost = (
        "<p>The run is of another version of voxjax; these keys are left out, so that it may differ: "
        f"{escape(', '.join(report.lost))}.</p>"
        if report.lost
        else ""
    )
    return (
        f"<pre><code>{escape(report.command)}</code></pre>{lost}"
        '<p><button type="button" id="copy" hidden>Copy</button></p>'
    )


def _versions(report: Report) -> str:
    summary = report.summary
    rows = [(name, [str(summary.get(f"{key}_version", "–"))]) for key, name in VERSIONS.items()]
    if "device" in summary:
        rows.append(("device", [f"{summary.get('device_count', 1)} × {summary['device']}"]))
    return table(["made with", "version"], rows)
