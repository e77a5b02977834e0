"""What a comparison of runs says: figures, similarities, differences; one dict for JSON and for the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from voxjax.config.saved import flatten
from voxjax.evaluation.judge import normalise_prompt
from voxjax.evaluation.words import duration
from voxjax.guidance.ensemble import guide_specs
from voxjax.pictures import outputs
from voxjax.run import REPORT
from voxjax.run_files import read_summary

FILES = {
    "turntable": outputs.TURNTABLE,
    "turntable_depth": outputs.TURNTABLE_DEPTH,
    "evaluation_view": outputs.EVALUATION,
    "preview": outputs.PREVIEW,
    "report": REPORT,
}
"""Name in the table -> file in the workdir of a run."""


@dataclass(frozen=True)
class Outcome:
    """How one run ended.

    Attributes:
      name: of its folder, which lies in that of the comparison.
      spec: the config as typed.
      config: with all overrides.
      workdir: its folder.
      error: empty, or why it failed.
    """

    name: str
    spec: str
    config: ConfigDict
    workdir: Path
    error: str


def similarity(table: Mapping[str, Any], workdir: Path) -> dict[str, Any] | None:
    """The cosines of one run, None if it was not judged.

    Args:
      table: of `voxjax.evaluate`, whose first view is the evaluation view.
      workdir: the run's folder.

    Returns:
      `evaluation_view` and `mean` in [-1, 1], and `views`, the cosine at each azimuth of the table.
    """
    for row in table["runs"]:
        if Path(row["workdir"]) == workdir:
            cosines = [view["cosine"] for view in row["views"]]
            return {"evaluation_view": cosines[0], "mean": float(np.mean(cosines)), "views": cosines}
    return None


def differences(configs: Mapping[str, ConfigDict]) -> dict[str, dict[str, Any]]:
    """The keys in which the runs differ.

    Args:
      configs: name of a run -> its config.

    Returns:
      Dotted key -> name of a run -> value; a run whose config has no such key is absent.
    """
    leaves = {name: dict(flatten(config)) for name, config in configs.items()}
    keys = sorted({key for each in leaves.values() for key in each})
    rows = {key: {name: each[key] for name, each in leaves.items() if key in each} for key in keys}
    return {
        key: row
        for key, row in rows.items()
        if len(row) < len(leaves) or any(value != next(iter(row.values())) for value in row.values())
    }


def compare(
    prompt: str,
    outcomes: Sequence[Outcome],
    tables: Mapping[str, Mapping[str, Any]],
    *,
    held_out: str,
    complaint: str = "",
) -> dict[str, Any]:
    """Gathers everything that is known of the runs.

    Args:
      prompt: what all runs make.
      outcomes: the runs, in the order of the page.
      tables: label of a CLIP -> what `voxjax.evaluate` found with it.
      held_out: label of the CLIP that guided none.
      complaint: empty, or why the judging failed.

    Returns:
      A dict for JSON; paths are relative to the folder of the comparison.
    """
    some = next(iter(tables.values()), {})
    runs = []
    for each in outcomes:
        found = {label: similarity(table, each.workdir) for label, table in tables.items()}
        runs.append(
            {
                "name": each.name,
                "config": each.spec,
                "field": each.config.field.name,
                "guided_by": [spec.model for spec in guide_specs(each.config)],
                "steps": each.config.steps,
                "error": each.error or None,
                "summary": read_summary(each.workdir),
                "similarity": {label: value for label, value in found.items() if value is not None},
                "files": {
                    kind: f"{each.name}/{file}"
                    for kind, file in FILES.items()
                    if (each.workdir / file).is_file()
                },
            }
        )
    return {
        "prompt": prompt,
        "caption": normalise_prompt(prompt),
        "held_out": held_out,
        "judges": list(tables),
        "elevation_deg": some.get("elevation_deg"),
        "azimuths_deg": some.get("azimuths_deg"),
        "judging_error": complaint or None,
        "runs": runs,
        "differences": differences({each.name: each.config for each in outcomes}),
    }


def to_json(result: Mapping[str, Any]) -> str:
    """Returns the dict of `compare` as indented JSON."""
    return json.dumps(result, indent=2) + "\n"


def in_words(result: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The figures as a table for reading.

    Args:
      result: of `compare`.

    Returns:
      (name of a figure, its value for each run), "-" where it is not known.
    """

    def over_runs(value: Any) -> list[str]:
        words = []
        for run in result["runs"]:
            try:
                words.append(value(run))
            except (KeyError, TypeError):  # a run that failed early, or was made before there were summaries
                words.append("-")
        return words

    table = []
    for label in result["judges"]:
        role = "held out" if label == result["held_out"] else "guide"
        for key, place in (("evaluation_view", "evaluation view"), ("mean", "mean of the views")):
            cosines = over_runs(lambda run, label=label, key=key: f"{run['similarity'][label][key]:.3f}")
            table.append((f"similarity, {label} ({role}), {place}", cosines))
    summaries: dict[str, Any] = {
        "guided by": lambda run: " + ".join(run["guided_by"]),
        "steps": lambda run: f"{run['summary']['step']} of {run['steps']}",
        "steps/s": lambda run: f"{run['summary']['steps_per_second']:.3g}",
        "total time": lambda run: duration(run["summary"]["total_seconds"]),
        "compiling": lambda run: (
            f"{duration(run['summary']['compile_seconds'])} (programs: {run['summary']['programs']})"
        ),
        "training": lambda run: duration(run["summary"]["training_seconds"]),
        "pictures": lambda run: duration(run["summary"]["picture_seconds"]),
        "peak memory": lambda run: (
            f"{run['summary']['peak_memory_bytes'] / 2**30:.2f} GiB ({run['summary']['peak_memory_of']})"
        ),
        "device": lambda run: f"{run['summary']['device_count']} x {run['summary']['device']}",
    }
    return table + [(name, over_runs(value)) for name, value in summaries.items()]


def summary(result: Mapping[str, Any]) -> str:
    """The figures as lines for the terminal, and what failed.

    Args:
      result: of `compare`.
    """
    rows = [("", [run["name"] for run in result["runs"]]), *in_words(result)]
    columns = [[name for name, _ in rows], *zip(*(values for _, values in rows), strict=True)]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip((name, *values), widths, strict=True)).rstrip()
        for name, values in rows
    ]
    lines += [f"{run['name']} failed: {run['error']}" for run in result["runs"] if run["error"]]
    return "\n".join(lines + ([result["judging_error"]] if result["judging_error"] else []))
