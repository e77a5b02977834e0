"""What came out: one dict for JSON, a row for each variant, and the same as cells for reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxjax.evaluation.intervals import METHOD, bootstrap_intervals
from voxjax.evaluation.judging import OVERFIT
from voxjax.evaluation.scores import figures
from voxjax.evaluation.table import judge_tables
from voxjax.evaluation.table_text import cell, markdown_table
from voxjax.evaluation.words import duration, size
from voxjax.reproduction.items import Item, Plan
from voxjax.reproduction.runs import Job
from voxjax.run_files import read_summary

_AT_1, _PER_OBJECT = "r_precision_at_1_evaluation_view", "r_precision_at_1_per_object"
_JUDGED = (
    ("R-P@1", _AT_1, "{:.0%}".format),
    ("R-P@1 per object", _PER_OBJECT, "{:.0%}".format),
    ("without texture", "untextured_r_precision_at_1", "{:.0%}".format),
    ("cosine", "mean_cosine", "{:.3f}".format),
)


def results(
    item: Item,
    plan: Plan,
    jobs: Sequence[Job],
    table: Mapping[str, Any] | None,
    errors: Mapping[Path, str],
    *,
    scale: str,
    side_by_side: int,
) -> dict[str, Any]:
    """Gathers everything that is known of an item.

    Args:
      item: what was asked.
      plan: at this scale.
      jobs: its runs.
      table: what `voxjax.evaluate` found; None where nobody judged.
      errors: workdir -> why a run failed, or its judging (under the workdir of no run).
      scale: name of the plan.
      side_by_side: runs at a time, which their times depend on.

    Returns:
      A dict for JSON.
    """
    said = judge_tables(table) if table else []
    variants = []
    for variant in plan.variants:
        mine = [job for job in jobs if job.variant == variant]
        n_captions = table["n_captions"] if table else 0
        judged = {each["judge"]: _under(each, mine, n_captions) for each in said}
        variants.append(
            {
                "name": variant.name,
                "config": variant.config,
                "settings": dict(plan.settings_of(variant)),
                "runs": len(mine),
                "finished": sum(job.done for job in mine),
                "judges": {name: found for name, found in judged.items() if found},
                "coherence": _coherence(table, mine),
                "cost": _cost(mine),
                "published": item.published.get(variant.name),
            }
        )
    return {
        "item": item.name,
        "title": item.title,
        "about": item.about,
        "scale": scale,
        "prompts": list(dict.fromkeys(job.prompt for job in jobs)),
        "seeds": sorted({job.seed for job in jobs}),
        "n_captions": table["n_captions"] if table else None,
        "interval_method": METHOD,
        "side_by_side": side_by_side,
        "variants": variants,
        "failed": {str(workdir): why for workdir, why in errors.items()},
        "left_out": dict(table["left_out"]) if table else {},
    }


def _rows(said: Mapping[str, Any], jobs: Sequence[Job]) -> list[Mapping[str, Any]]:
    mine = {str(job.workdir) for job in jobs}
    return [row for row in said["runs"] if row["workdir"] in mine]


def _under(said: Mapping[str, Any], jobs: Sequence[Job], n_captions: int) -> dict[str, Any] | None:
    """Figures of one variant under one judge, None if it saw none of its runs."""
    rows = _rows(said, jobs)
    if not rows:
        return None
    view_ranks = np.array([[view["rank"] for view in row["views"]] for row in rows])
    cosines = np.array([[view["cosine"] for view in row["views"]] for row in rows])
    values = figures(view_ranks, np.array([row["rank"] for row in rows]), cosines, n_captions=n_captions)
    if "untextured_rank" in rows[0]:
        values["untextured_r_precision_at_1"] = np.array([row["untextured_rank"] == 1 for row in rows], float)
    guided = sum(row["judge_guided"] for row in rows)
    return {
        "n_runs": len(rows),
        "mark": OVERFIT if guided else "",
        **{name: float(each.mean()) for name, each in values.items()},
        "intervals": bootstrap_intervals(values, np.array([row["prompt"] for row in rows])),
    }


def _coherence(table: Mapping[str, Any] | None, jobs: Sequence[Job]) -> float | None:
    known = [row["silhouette_coherence"] for row in (_rows(table, jobs) if table else ())]
    return float(np.mean(known)) if known else None


def _cost(jobs: Sequence[Job]) -> dict[str, Any]:
    """Mean time, mean speed and largest memory of the finished runs, and the devices they ran on."""
    summaries = [read_summary(job.workdir) for job in jobs if job.done]
    summaries = [summary for summary in summaries if summary.get("total_seconds")]
    if not summaries:
        return {}
    # A run of very few steps never came to a steady speed.
    speeds = [summary["steps_per_second"] for summary in summaries if summary.get("steps_per_second")]
    return {
        "total_seconds": float(np.mean([summary["total_seconds"] for summary in summaries])),
        "steps_per_second": float(np.mean(speeds)) if speeds else None,
        "peak_memory_bytes": max(summary["peak_memory_bytes"] for summary in summaries),
        "peak_memory_of": summaries[0]["peak_memory_of"],
        "device": ", ".join(sorted({f"{each['device_count']} x {each['device']}" for each in summaries})),
    }


def cells(result: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """The table for reading: its heads, and a row for each variant under each judge.

    A dash stands where nothing is known; what no judge is asked for stands in a variant's first row.
    """
    judges = list(dict.fromkeys(name for row in result["variants"] for name in row["judges"]))
    heads = ["", "runs", "judge", *(head for head, _, _ in _JUDGED), "coherence"]
    if not judges:
        heads = ["", "runs"]
    heads += ["time a run", "steps/s", "peak memory", "paper"]
    found = []
    for row in result["variants"]:
        before, after = [row["name"], f"{row['finished']} of {row['runs']}"], _cost_cells(row)
        if judges:
            after.insert(0, "-" if row["coherence"] is None else f"{row['coherence']:.3f}")
        for k, judge in enumerate(judges or [""]):
            judged = _judged_cells(row["judges"].get(judge, {}), judge) if judges else []
            found.append([*before, *judged, *after] if k == 0 else ["", "", *judged, *([""] * len(after))])
    return heads, found


def _judged_cells(figures_: Mapping[str, Any], judge: str) -> list[str]:
    name = f"{judge} ({figures_['mark']})" if figures_.get("mark") else judge
    return [name, *(cell(figures_, figure, form) for _, figure, form in _JUDGED)]


def _cost_cells(row: Mapping[str, Any]) -> list[str]:
    cost, published = row["cost"], row["published"] or "-"
    if not cost:
        return ["-", "-", "-", published]
    speed, memory = cost["steps_per_second"], size(cost["peak_memory_bytes"])
    return [
        duration(cost["total_seconds"]),
        f"{speed:.3g}" if speed else "-",
        f"{memory} ({cost['peak_memory_of']})",
        published,
    ]


def notes(result: Mapping[str, Any]) -> list[str]:
    """What has to be known to read the table, in sentences."""
    prompts, seeds = len(result["prompts"]), len(result["seeds"])
    count = f"{prompts} prompt{'s' * (prompts != 1)}, {seeds} seed{'s' * (seeds != 1)}"
    lines = [f"Scale {result['scale']}: {count}."]
    if result["scale"] == "demo":
        lines.append("Small CLIPs, few steps: it shows that the item runs, not what the paper found.")
    if result["n_captions"]:
        lines.append(
            f"R-Precision among {result['n_captions']} captions, at the evaluation view where nothing else "
            f"is said; in brackets: {result['interval_method']}. Without texture: R-P@1 per object of the "
            "same views in grey."
        )
    devices = sorted({row["cost"]["device"] for row in result["variants"] if row["cost"]})
    if devices:
        at_once = result["side_by_side"]
        beside = "one after another" if at_once == 1 else f"{at_once} at a time, which slows each"
        lines.append(f"Times are means over a variant's runs, {beside}, on {'; '.join(devices)}.")
    if not any(row["published"] for row in result["variants"]):
        lines.append("The paper's own figures are not known here: its column is empty.")
    return lines


def troubles(result: Mapping[str, Any]) -> list[str]:
    """What failed or was left out, a line for each."""
    return [f"{what}: {why}" for part in ("failed", "left_out") for what, why in result[part].items()]


def markdown(result: Mapping[str, Any], drawn: Sequence[str]) -> str:
    """The item as Markdown.

    Args:
      result: of `results`.
      drawn: names of its pictures, which lie beside it.
    """
    lines = [f"# {result['title']}", "", result["about"], "", *(f"- {note}" for note in notes(result)), ""]
    lines += markdown_table(*cells(result))
    for name in drawn:
        lines += ["", f"![{name}]({name})"]
    if troubles(result):
        lines += ["", "Missing:", "", *(f"- {line}" for line in troubles(result))]
    return "\n".join(lines) + "\n"
