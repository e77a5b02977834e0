"""The table of `voxjax evaluate` for reading: lines for the terminal, and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxjax.evaluation.scores import TOP
from voxjax.evaluation.table import judge_tables

_PER_CENT, _RANK, _COSINE = "{:.1%}".format, "{:.2f}".format, "{:.3f}".format
_PLACES = {
    "evaluation_view": "at the evaluation view",
    "per_view": "per view",
    "per_object": "per object",
}
_COLUMNS = (
    ("R-P@1", "r_precision_at_1_evaluation_view", _PER_CENT),
    (f"R-P@{TOP}", f"r_precision_at_{TOP}_evaluation_view", _PER_CENT),
    ("mean rank", "mean_rank_evaluation_view", _RANK),
    ("cosine", "mean_cosine_evaluation_view", _COSINE),
    ("R-P@1 per object", "r_precision_at_1_per_object", _PER_CENT),
    ("R-P@1 per view", "r_precision_at_1_per_view", _PER_CENT),
)


def named(said: Mapping[str, Any]) -> str:
    """Returns a judge's name, with the mark that it guided."""
    if not said.get("mark"):
        return said["judge"]
    return f"{said['judge']} ({said['mark']}, guided {said['guided_runs']} of {len(said['runs'])} runs)"


def cell(figures: Mapping[str, Any], name: str, form: Any = None) -> str:
    """Returns a figure with its interval, `75.0% [50.0%, 100.0%]`; a dash where there is none."""
    if figures.get(name) is None:
        return "-"
    form = form or next((form for _, column, form in _COLUMNS if column == name), _COSINE)
    interval = figures.get("intervals", {}).get(name)
    around = "" if interval is None else f" [{form(interval[0])}, {form(interval[1])}]"
    return form(figures[name]) + around


def grid(table: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of figures: a row for each judge, one more where it saw the shapes without texture."""
    rows = []
    for said in judge_tables(table):
        rows.append([named(said), *(cell(said, name, form) for _, name, form in _COLUMNS)])
        if "untextured" in said:
            shape = said["untextured"]
            rows.append(
                [f"{named(said)}, without texture", *(cell(shape, name, form) for _, name, form in _COLUMNS)]
            )
    best = table.get("best_of")
    if best:
        for name, figures in best["all_seeds"].items():
            cells = (cell(figures, column, form) for _, column, form in _COLUMNS)
            rows.append([f"{name}, all {best['n']} seeds", *cells])
    return ["judge", *(head for head, _, _ in _COLUMNS)], rows


def _missing(table: Mapping[str, Any]) -> list[str]:
    """What is not in the figures, a line for each kind."""
    if "counts" not in table:
        return []
    told = table["counts"]
    kinds = (("not_a_run", "no run"), ("unfinished", "not finished"), ("unreadable", "cannot be read"))
    parts = [f"{told[key]} {words}" for key, words in kinds if told[key]]
    more = (("otherwise_left_out", "left out otherwise"), ("not_picked", "not picked"))
    parts += [f"{told[key]} {words}" for key, words in more if told[key]]
    folders = f"{told['judged']} of {told['folders']} folders judged" + (
        f" ({', '.join(parts)})" if parts else ""
    )
    return [folders, f"{told['captions_without_run']} of {told['captions']} captions have no run"]


def _choice(table: Mapping[str, Any]) -> list[str]:
    best = table.get("best_of")
    if not best:
        return []
    mark = f" ({best['mark']})" if best["mark"] else ""
    return [f"of each prompt the best of {best['n']} seeds, picked by {best['pick']}{mark}"]


def _coherence(table: Mapping[str, Any]) -> list[str]:
    if "silhouette_coherence" not in table:
        return []
    figures = {
        "value": table["silhouette_coherence"],
        "intervals": {"value": table["silhouette_coherence_interval"]},
    }
    return [f"silhouette coherence {cell(figures, 'value')}: how much of each view's outline all views share"]


def summary(table: Mapping[str, Any]) -> str:
    """The table for the terminal.

    Args:
      table: see `table_of`, with what `counts` returns.

    Returns:
      One line a run under the first judge, the figures of every judge, and what is missing.
    """
    lines = [f"{'rank':>4}  {'views right':>11}  {'cosine':>6}  prompt (nearest caption if another)"]
    for row in table["runs"]:
        right = sum(view["rank"] == 1 for view in row["views"])
        cosine = np.mean([view["cosine"] for view in row["views"]])
        other = "" if row["rank"] == 1 else f"  ({row['nearest']})"
        views = f"{right} of {len(row['views'])}"
        lines.append(f"{row['rank']:>4}  {views:>11}  {cosine:>6.3f}  {row['prompt']}{other}")
    for said in judge_tables(table):
        lines += _in_sentences(said, table)
    return "\n".join([*lines, *_coherence(table), *_choice(table), *_missing(table)])


def _in_sentences(said: Mapping[str, Any], table: Mapping[str, Any]) -> list[str]:
    def precisions(figures: Mapping[str, Any], k: int) -> str:
        found = [
            f"{cell(figures, f'r_precision_at_{k}_{place}', _PER_CENT)} {words}"
            for place, words in _PLACES.items()
            if f"r_precision_at_{k}_{place}" in figures
        ]
        return f"R-Precision@{k} {', '.join(found)}" if found else ""

    lines = [f"judge {named(said)}: {len(said['runs'])} runs, {table['n_captions']} captions"]
    parts = [precisions(said, 1), precisions(said, TOP)]
    parts.append(f"mean rank {cell(said, 'mean_rank', _RANK)}, mean cosine {cell(said, 'mean_cosine')}")
    if "untextured" in said:
        parts.append(f"without texture: {precisions(said['untextured'], 1)}")
    lines += [f"  {part}" for part in parts if part]
    if said["confused"]:
        worst = said["confused"][0]
        lines.append(
            f"  most confused: {worst['prompt']} taken for {worst['nearest']} in {worst['views']} views"
        )
    return lines


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a Markdown table."""
    clean = [[text.replace("|", "\\|").replace("\n", " ") for text in row] for row in [heads, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in clean]
    return [lines[0], "| " + " | ".join("---" for _ in heads) + " |", *lines[1:]]


def markdown(table: Mapping[str, Any]) -> str:
    """The table as Markdown: figures of every judge, per-prompt rows, confusions, what is missing."""
    azimuths = [f"{azimuth:.0f}" for azimuth in table["azimuths_deg"]]
    lines = [
        "# R-Precision",
        "",
        f"{table['n_runs']} runs ranked among {table['n_captions']} captions, at the evaluation view "
        f"(azimuth {azimuths[0]}, elevation {table['elevation_deg']:.0f} degrees) where no column says "
        f"otherwise; views: azimuths {', '.join(azimuths)}. In brackets: {table['interval_method']}.",
        "",
        *markdown_table(*grid(table)),
        "",
        *(f"{line[0].upper()}{line[1:]}.  " for line in _coherence(table) + _choice(table) + _missing(table)),
    ]
    for said in judge_tables(table):
        lines += ["", f"## {named(said)}", "", *_prompts(said)]
        if said["confused"]:
            rows = [[pair["prompt"], pair["nearest"], str(pair["views"])] for pair in said["confused"]]
            lines += ["", "Most confused:", "", *markdown_table(["prompt", "taken for", "views"], rows)]
    if table.get("left_out"):
        rows = [[folder, reason] for folder, reason in table["left_out"].items()]
        lines += ["", "## Left out", "", *markdown_table(["folder", "why"], rows)]
    if table.get("captions_without_run"):
        lines += [
            "",
            "## Captions without a run",
            "",
            *(f"- {each}" for each in table["captions_without_run"]),
        ]
    return "\n".join(lines) + "\n"


def _prompts(said: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            row["prompt"],
            str(row["n_runs"]),
            _PER_CENT(row["r_precision_at_1_evaluation_view"]),
            _RANK(row["mean_rank_evaluation_view"]),
            _COSINE(row["mean_cosine_evaluation_view"]),
            ", ".join(f"{nearest} ({n})" for nearest, n in list(row["taken_for"].items())[:2]),
        ]
        for row in said["per_prompt"]
    ]
    return markdown_table(["prompt", "runs", "R-P@1", "mean rank", "cosine", "views taken for"], rows)
