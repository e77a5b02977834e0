"""Scores of runs as a table: one dict for JSON, and lines for reading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from voxjax.evaluation.judge import EVAL_ELEVATION_DEG, normalise_prompt
from voxjax.evaluation.scores import Scores
from voxjax.guidance.ensemble import guide_specs
from voxjax.run import Run


def table_of(
    runs: Sequence[Run], prompts: Sequence[str], scores: Scores, azimuths: Sequence[float]
) -> dict[str, Any]:
    """The scores as plain numbers and texts.

    Args:
      runs: r runs.
      prompts: c captions.
      scores: of these.
      azimuths: v angles in degrees.

    Returns:
      A dict for JSON: the figures over all runs, then each run with its views.
    """
    rows = []
    for r, run in enumerate(runs):
        views = [
            {
                "azimuth_deg": float(azimuth),
                "rank": int(scores.view_ranks[r, v]),
                "cosine": float(scores.view_cosines[r, v]),
                "nearest": prompts[scores.view_best[r, v]],
            }
            for v, azimuth in enumerate(azimuths)
        ]
        rows.append(
            {
                "workdir": str(run.workdir),
                "prompt": normalise_prompt(run.prompt),
                "seed": int(run.config.seed),
                "guided_by": " + ".join(spec.model for spec in guide_specs(run.config)),
                "rank": int(scores.object_ranks[r]),
                "nearest": prompts[scores.object_best[r]],
                "views": views,
            }
        )
    return {
        "n_runs": len(runs),
        "n_captions": len(prompts),
        "elevation_deg": EVAL_ELEVATION_DEG,
        "azimuths_deg": [float(a) for a in azimuths],
        "r_precision_at_1_per_view": scores.precision_per_view,
        "r_precision_at_1_per_object": scores.precision_per_object,
        "r_precision_at_1_evaluation_view": scores.precision_first_view,
        "mean_rank": scores.mean_rank,
        "mean_cosine": scores.mean_cosine,
        "runs": rows,
    }


def summary(table: dict[str, Any]) -> str:
    """The table for reading.

    Args:
      table: see `table_of`, with `judge`.

    Returns:
      One line a run, then the figures over all.
    """
    lines = [f"{'rank':>4}  {'views right':>11}  {'cosine':>6}  prompt (nearest caption if another)"]
    for row in table["runs"]:
        right = sum(view["rank"] == 1 for view in row["views"])
        cosine = np.mean([view["cosine"] for view in row["views"]])
        other = "" if row["rank"] == 1 else f"  ({row['nearest']})"
        views = f"{right} of {len(row['views'])}"
        lines.append(f"{row['rank']:>4}  {views:>11}  {cosine:>6.3f}  {row['prompt']}{other}")
    lines.append(
        f"{table['n_runs']} runs, {table['n_captions']} captions, judge {table['judge']}: R-Precision@1 "
        f"{table['r_precision_at_1_per_view']:.1%} per view, "
        f"{table['r_precision_at_1_per_object']:.1%} per object, "
        f"{table['r_precision_at_1_evaluation_view']:.1%} at the evaluation view; "
        f"mean rank {table['mean_rank']:.2f}, mean cosine {table['mean_cosine']:.3f}"
    )
    return "\n".join(lines)
