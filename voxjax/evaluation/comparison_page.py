"""The page of a comparison: one HTML file that holds its pictures and videos and needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from voxjax.evaluation.comparison import in_words
from voxjax.evaluation.judge import EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1d20; --quiet: #62666d; --line: #dcdee3;
  --card: #f5f6f8; --alarm: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --ink: #e8e9ec; --quiet: #9ba0a8;
  --line: #33373d; --card: #1e2125; --alarm: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(.75rem, 3vw, 2.5rem) 4rem; max-width: 88rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: clamp(1.4rem, 4vw, 2.1rem); line-height: 1.2; }
h2 { margin: 2.5rem 0 .25rem; font-size: 1.15rem; }
p { margin: .25rem 0 .75rem; color: var(--quiet); max-width: 46rem; }
.row { display: grid; gap: clamp(.4rem, 1.5vw, 1.25rem); overflow-x: auto;
  grid-template-columns: repeat(var(--runs), minmax(6rem, 26rem)); }
.stack { display: grid; gap: 1rem; }
figure { margin: 0; }
figcaption { margin-bottom: .3rem; font-weight: 600; font-size: .9rem; overflow-wrap: anywhere; }
video, img { display: block; width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: .5rem; }
.row video, .row img { aspect-ratio: 1; object-fit: contain; }
.stack img { max-width: 68rem; }
.missing { display: grid; place-content: center; aspect-ratio: 1; padding: .75rem; border-radius: .5rem;
  border: 1px dashed var(--line); background: var(--card); color: var(--quiet); text-align: center; }
.stack .missing { aspect-ratio: auto; }
.alarm { padding: .6rem .9rem; border-left: .25rem solid var(--alarm); background: var(--card);
  color: var(--ink); overflow-wrap: anywhere; max-width: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem 1.1rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { white-space: nowrap; }
tbody th { font-weight: 400; color: var(--quiet); min-width: 9rem; }
tr > :first-child { position: sticky; left: 0; background: var(--paper); }
@media (max-width: 40rem) { table { font-size: .8rem; } th, td { padding-right: .6rem; }
  thead th { white-space: normal; overflow-wrap: anywhere; } tbody th { min-width: 6rem; } }
button { font: inherit; padding: .3rem .9rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); color: var(--ink); cursor: pointer; }
"""
# All videos stop and go together; who asked their system for less motion starts with them stopped.
_SCRIPT = """
const videos = [...document.querySelectorAll('video')], button = document.querySelector('button');
const go = on => { button.textContent = on ? 'Stop turning' : 'Turn';
  videos.forEach(v => { if (on) { v.currentTime = videos[0].currentTime; v.play(); } else v.pause(); }); };
button.hidden = !videos.length;
button.onclick = () => go(videos[0].paused);
if (matchMedia('(prefers-reduced-motion: reduce)').matches) go(false);
"""
_TYPES = {".mp4": "video/mp4", ".png": "image/png"}


def page(result: Mapping[str, Any], folder: str | Path) -> str:
    """The whole page.

    Args:
      result: of `comparison.compare`.
      folder: of the comparison, to which its paths are relative.

    Returns:
      HTML without a reference to anything outside it.
    """
    prompt, runs = escape(result["prompt"]), result["runs"]
    names = ", ".join(run["name"] for run in runs)
    angle = f"azimuth {EVAL_AZIMUTH_DEG:.0f}°, elevation {EVAL_ELEVATION_DEG:.0f}°"
    body = [
        f"<header><h1>{prompt}</h1>",
        f"<p>{len(runs)} runs on one prompt: {escape(names)}.</p>",
        *_alarms(result),
        "</header><main>",
        '<h2>Turntable</h2><p><button type="button" hidden>Stop turning</button></p>',
        _row(result, folder, "turntable", "turns in front of the camera"),
        "<h2>Depth</h2><p>Yellow is near, dark blue is far, each on the scale of its own run.</p>",
        _row(result, folder, "turntable_depth", "turns, its depth in colours"),
        f"<h2>Evaluation view</h2><p>What is judged: {angle}, on white.</p>",
        _row(result, folder, "evaluation_view", f"seen from {angle}"),
        "<h2>Figures</h2>",
        _explain(result),
        _table(["", *(run["name"] for run in runs)], in_words(result)),
        "<h2>From eight azimuths</h2><p>Colour, depth, opacity.</p>",
        _row(result, folder, "preview", "from eight azimuths: colour, depth and opacity", shape="stack"),
        "<h2>In what the configs differ</h2>",
        _differences(result),
        f"</main><script>{_SCRIPT}</script>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # An empty icon, or browsers ask the server for one.
        f'<link rel="icon" href="data:,"><title>{prompt}: {escape(names)}</title>'
        f'<style>{_STYLE}</style></head>\n<body style="--runs: {len(runs)}">'
        + "\n".join(body)
        + "</body></html>\n"
    )


def _alarms(result: Mapping[str, Any]) -> list[str]:
    texts = [f"{run['name']} failed: {run['error']}" for run in result["runs"] if run["error"]]
    texts += [result["judging_error"]] if result["judging_error"] else []
    return [f'<p class="alarm" role="alert">{escape(text)}</p>' for text in texts]


def _row(result: Mapping[str, Any], folder: str | Path, kind: str, what: str, *, shape: str = "row") -> str:
    """The same picture or video of every run, side by side ("row") or one below the other ("stack")."""
    figures = []
    for run in result["runs"]:
        alt = escape(f"{result['prompt']}, made by {run['name']}, {what}")
        inside = '<div class="missing">no picture</div>'
        if kind in run["files"]:
            file = Path(folder) / run["files"][kind]
            content = base64.b64encode(file.read_bytes()).decode("ascii")
            source = f'src="data:{_TYPES[file.suffix]};base64,{content}"'
            inside = (
                f'<video autoplay muted loop playsinline role="img" aria-label="{alt}" {source}></video>'
                if file.suffix == ".mp4"
                else f'<img alt="{alt}" {source}>'
            )
        figures.append(f"<figure><figcaption>{escape(run['name'])}</figcaption>{inside}</figure>")
    return f'<div class="{shape}">{"".join(figures)}</div>'


def _explain(result: Mapping[str, Any]) -> str:
    azimuths = ", ".join(f"{each:.0f}°" for each in result["azimuths_deg"] or ())
    views = f" The mean is over the azimuths {azimuths}." if azimuths else ""
    return (
        f"<p>Similarity is the cosine of a picture on white with “{escape(result['caption'])}”; "
        f"{escape(result['held_out'])} guided none of the runs.{views} Steps/s leave compiling, pictures and "
        "checkpoints out; the total holds them, over all starts of a run.</p>"
    )


def _table(heads: list[str], rows: list[tuple[str, list[str]]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(v)}</td>" for v in values)}</tr>'
        for name, values in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _differences(result: Mapping[str, Any]) -> str:
    names = [run["name"] for run in result["runs"]]
    rows = [
        (key, [_value(values[name]) if name in values else "-" for name in names])
        for key, values in result["differences"].items()
    ]
    return _table(["", *names], rows) if rows else "<p>In nothing.</p>"


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(_value(each) for each in value) + ")"
    return str(value) if value != "" else '""'
