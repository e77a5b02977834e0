"""The report of one run: one HTML file that holds its pictures, videos, mesh and curves and opens offline."""

from __future__ import annotations

from html import escape
from pathlib import Path

from voxjax.evaluation import report_sections
from voxjax.evaluation.judge import EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG
from voxjax.evaluation.page_parts import TURN_BUTTON, TURN_SCRIPT, alarms, captioned, document, picture
from voxjax.evaluation.report_data import Report
from voxjax.evaluation.report_mesh import counts, viewer_page
from voxjax.evaluation.words import FIELDS, duration, optional, size

MADE_BY = "voxjax report"
_NO_MESH = "no mesh.glb in the folder; voxjax report --workdir=... of a finished run makes one"

_STYLE = (
    report_sections.STYLE
    + """
.chips { display: flex; flex-wrap: wrap; gap: .4rem; margin: .75rem 0 1.5rem; padding: 0; list-style: none; }
.chips li { padding: .1rem .7rem; border: 1px solid var(--line); border-radius: 1rem; font-size: .85rem;
  color: var(--quiet); overflow-wrap: anywhere; } .chips b { color: var(--ink); font-weight: 500; }
.looks { display: grid; gap: clamp(.5rem, 1.5vw, 1.25rem); grid-template-columns: 2fr 1fr 1fr; }
.looks > :first-child { grid-row: span 2; }
.looks iframe, .looks video, .looks img { display: block; width: 100%; height: auto; aspect-ratio: 1;
  object-fit: contain; background: #fff; border: 1px solid var(--line); border-radius: .5rem; }
.hint { margin: .35rem 0 0; font-size: .8rem; }
.figures { display: grid; grid-template-columns: 1fr 1fr; gap: .75rem 1rem; margin: 0; align-content: start; }
.figures dt { font-size: .8rem; color: var(--quiet); } .figures dd { margin: 0; font-size: 1.25rem;
  line-height: 1.25; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.figures + p { margin: 1rem 0 0; } .figures small { display: block; font-size: .75rem; color: var(--quiet); }
.sheet > * { max-width: 68rem; } .sheet .missing { aspect-ratio: 4; }
footer { margin-top: 3rem; font-size: .85rem; color: var(--quiet); }
@media (max-width: 60rem) { .looks { grid-template-columns: 1fr 1fr 1fr; }
  .looks > :first-child { grid-column: 1 / -1; grid-row: auto; } .looks > :last-child { grid-column: 1 / -1; }
  .figures { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); } }
@media (max-width: 40rem) { .looks figcaption { font-size: .8rem; } }
"""
)
# The mesh is drawn once it comes near the screen; the page itself opens at once.
_SCRIPT = (
    TURN_SCRIPT
    + report_sections.SCRIPT
    + """
const near = new IntersectionObserver(seen => seen.forEach(({ isIntersecting, target }) => {
  if (isIntersecting) { near.unobserve(target); target.srcdoc = target.dataset.page; }
}), { rootMargin: '200px' });
addEventListener('load', () => document.querySelectorAll('iframe').forEach(each => near.observe(each)));
"""
)


def page(report: Report, *, why_no_mesh: str = "") -> str:
    """The whole page.

    Args:
      report: of `report_data.collect`.
      why_no_mesh: said in place of the mesh where there is none.

    Returns:
      HTML without a reference to anything outside it.
    """
    body = [
        "<header>",
        f'<p class="over">{escape(MADE_BY)} · {escape(report.name)}</p>',
        f"<h1>{escape(report.prompt)}</h1>",
        _chips(report),
        *alarms(_warnings(report, why_no_mesh)),
        "</header><main>",
        _looks(report, why_no_mesh),
        "<h2>From eight azimuths</h2><p>Colour on white, depth (yellow is near), opacity.</p>",
        '<div class="sheet">',
        picture(report.files.get("preview"), f"{report.prompt}, from eight azimuths"),
        "</div>",
        *report_sections.sections(report),
        "</main>",
    ]

    def whole(length: str) -> str:
        footer = f"<footer>This file ({length}) holds all that it shows, and opens offline.</footer>"
        return document(report.prompt, [*body, footer], style=_STYLE, script=_SCRIPT, made_by=MADE_BY)

    return whole(size(len(whole("").encode())))


def _chips(report: Report) -> str:
    config = report.config
    items = [
        ("field", FIELDS.get(config.field.name, config.field.name)),
        ("guided by", " + ".join(report.guides)),
        ("steps", f"{report.step:,} of {config.steps:,}"),
        ("seed", str(config.seed)),
    ]
    return (
        '<ul class="chips">'
        + "".join(f"<li>{escape(name)} <b>{escape(value)}</b></li>" for name, value in items)
        + "</ul>"
    )


def _warnings(report: Report, why_no_mesh: str) -> list[str]:
    texts = []
    if not report.finished:
        texts.append(f"Not finished: step {report.step:,} of {report.config.steps:,}.")
    if why_no_mesh and "mesh" not in report.files:
        texts.append(f"No mesh: {why_no_mesh}")
    return texts


def _looks(report: Report, why_no_mesh: str) -> str:
    """The mesh, large, and beside it what the renderer drew and the main figures."""
    angle = f"azimuth {EVAL_AZIMUTH_DEG:.0f}°, elevation {EVAL_ELEVATION_DEG:.0f}°"
    mesh = report.files.get("mesh")
    if mesh is None:
        turned = f'<div class="missing">{escape(why_no_mesh or _NO_MESH)}</div>'
    else:
        turned = (
            f'<iframe title="{escape(f"The mesh of {report.prompt}, to turn")}" sandbox="allow-scripts" '
            f'data-page="{escape(viewer_page(mesh))}"></iframe>'
            '<p class="hint">Drag to turn, click and wheel to zoom, double click for the first view.</p>'
        )
    pictures = [
        ("Evaluation view", "evaluation_view", f"{report.prompt}, seen from {angle}"),
        ("Turntable", "turntable", f"{report.prompt}, turning in front of the camera"),
        ("Depth", "turntable_depth", f"{report.prompt}, turning, its depth in colours"),
    ]
    shown = [captioned(name, picture(report.files.get(kind), alt)) for name, kind, alt in pictures]
    return (
        f'<div class="looks">{captioned("Mesh", turned)}{"".join(shown)}'
        f"<div>{_figures(report)}<p>{TURN_BUTTON}</p></div></div>"
    )


def _figures(report: Report) -> str:
    summary, mesh = report.summary, report.files.get("mesh")
    starts = summary.get("starts", 1)
    found = [
        (
            "CLIP similarity",
            optional(report.similarity, lambda s: f"{s:.3f}"),
            "end of training, augmented images",
        ),
        (
            "Speed",
            optional(summary.get("steps_per_second"), lambda s: f"{s:.3g} steps/s"),
            "without compiling",
        ),
        (
            "Total time",
            optional(summary.get("total_seconds"), duration),
            "in one go" if starts == 1 else f"over {starts} starts",
        ),
        (
            "Peak memory",
            optional(summary.get("peak_memory_bytes"), size),
            f"of the {summary.get('peak_memory_of', 'process')}",
        ),
        _mesh_figures(mesh),
    ]
    return (
        '<dl class="figures">'
        + "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
            for name, value, note in found
        )
        + "</dl>"
    )


def _mesh_figures(mesh: Path | None) -> tuple[str, str, str]:
    if mesh is None:
        return "Mesh", "–", "none"
    vertices, faces = counts(mesh)
    return "Mesh", f"{faces:,} faces", f"{vertices:,} vertices, {mesh.name}, {size(mesh.stat().st_size)}"
