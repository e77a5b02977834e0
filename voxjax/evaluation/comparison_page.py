"""The page of a comparison: one HTML file that holds its pictures and videos and needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from voxjax.evaluation.comparison import in_words
from voxjax.evaluation.judge import EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG
from voxjax.evaluation.page_parts import TURN_BUTTON, TURN_SCRIPT, alarms, captioned, document, picture, table
from voxjax.evaluation.words import config_value

_STYLE = """
.row { display: grid; gap: clamp(.4rem, 1.5vw, 1.25rem); overflow-x: auto;
  grid-template-columns: repeat(var(--runs), minmax(6rem, 26rem)); }
.stack { display: grid; gap: 1rem; }
.row video, .row img { aspect-ratio: 1; object-fit: contain; }
.stack img { max-width: 68rem; }
.stack .missing { aspect-ratio: auto; }
"""


def page(result: Mapping[str, Any], folder: str | Path) -> str:
    """The whole page.

    Args:
      result: of `comparison.compare`.
      folder: of the comparison, to which its paths are relative.

    Returns:
      HTML without a reference to anything outside it, but for links to the reports of the runs.
    """
    runs = result["runs"]
    names = ", ".join(run["name"] for run in runs)
    angle = f"azimuth {EVAL_AZIMUTH_DEG:.0f}°, elevation {EVAL_ELEVATION_DEG:.0f}°"
    body = [
        f"<header><h1>{escape(result['prompt'])}</h1>",
        f"<p>{len(runs)} runs on one prompt: {escape(names)}.</p>",
        *_alarms(result),
        "</header><main>",
        f"<h2>Turntable</h2><p>{TURN_BUTTON}</p>",
        _row(result, folder, "turntable", "turns in front of the camera"),
        "<h2>Depth</h2><p>Yellow is near, dark blue is far, each on the scale of its own run.</p>",
        _row(result, folder, "turntable_depth", "turns, its depth in colours"),
        f"<h2>Evaluation view</h2><p>What is judged: {angle}, on white.</p>",
        _row(result, folder, "evaluation_view", f"seen from {angle}"),
        "<h2>Figures</h2>",
        _explain(result),
        table(["", *(run["name"] for run in runs)], in_words(result)),
        _reports(result),
        "<h2>From eight azimuths</h2><p>Colour, depth, opacity.</p>",
        _row(result, folder, "preview", "from eight azimuths: colour, depth and opacity", shape="stack"),
        "<h2>In what the configs differ</h2>",
        _differences(result),
        "</main>",
    ]
    title = f"{result['prompt']}: {names}"
    return document(
        title, body, style=_STYLE, script=TURN_SCRIPT, columns=len(runs), made_by="voxjax compare"
    )


def _alarms(result: Mapping[str, Any]) -> list[str]:
    texts = [f"{run['name']} failed: {run['error']}" for run in result["runs"] if run["error"]]
    return alarms(texts + ([result["judging_error"]] if result["judging_error"] else []))


def _reports(result: Mapping[str, Any]) -> str:
    """Links to the reports that lie in the workdirs."""
    links = [
        f'<a href="{escape(quote(run["files"]["report"]))}">{escape(run["name"])}</a>'
        for run in result["runs"]
        if "report" in run["files"]
    ]
    return f"<p>The report of each run, with its mesh: {', '.join(links)}.</p>" if links else ""


def _row(result: Mapping[str, Any], folder: str | Path, kind: str, what: str, *, shape: str = "row") -> str:
    """The same picture or video of every run, side by side ("row") or one below the other ("stack")."""
    figures = []
    for run in result["runs"]:
        file = Path(folder) / run["files"][kind] if kind in run["files"] else None
        alt = f"{result['prompt']}, made by {run['name']}, {what}"
        figures.append(captioned(run["name"], picture(file, alt)))
    return f'<div class="{shape}">{"".join(figures)}</div>'


def _explain(result: Mapping[str, Any]) -> str:
    azimuths = ", ".join(f"{each:.0f}°" for each in result["azimuths_deg"] or ())
    views = f" The mean is over the azimuths {azimuths}." if azimuths else ""
    return (
        f"<p>Similarity is the cosine of a picture on white with “{escape(result['caption'])}”; "
        f"{escape(result['held_out'])} guided none of the runs.{views} Steps/s leave compiling, pictures and "
        "checkpoints out; the total holds them, over all starts of a run.</p>"
    )


def _differences(result: Mapping[str, Any]) -> str:
    names = [run["name"] for run in result["runs"]]
    rows = [
        (key, [config_value(values[name]) if name in values else "-" for name in names])
        for key, values in result["differences"].items()
    ]
    return table(["", *names], rows) if rows else "<p>In nothing.</p>"
