"""Scores of runs as one dict for JSON: for every judge the figures, their intervals, prompts and runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from voxjax.evaluation.intervals import METHOD, bootstrap_intervals
from voxjax.evaluation.judge import EVAL_ELEVATION_DEG
from voxjax.evaluation.judging import OVERFIT, Judge, Judged
from voxjax.evaluation.runs import NO_RUN, UNFINISHED, UNREADABLE
from voxjax.evaluation.scores import Scores, retrieval_scores

_MOST_CONFUSED = 10


def table_of(
    judged: Sequence[Judged], judges: Sequence[Judge], prompts: Sequence[str], azimuths: Sequence[float]
) -> dict[str, Any]:
    """The scores as plain numbers and texts.

    Args:
      judged: r runs.
      judges: who saw all of them.
      prompts: c captions.
      azimuths: v angles in degrees.

    Returns:
      What the first judge says (`judge`, figures over all runs with `intervals`, `per_prompt`, `confused`,
      and `runs` with their views), what the others say in `others`, each in the same form, and what no judge
      is asked for.
    """
    common = {
        "n_runs": len(judged),
        "n_captions": len(prompts),
        "elevation_deg": EVAL_ELEVATION_DEG,
        "azimuths_deg": [float(a) for a in azimuths],
        "interval_method": METHOD,
    }
    first, *others = [_said_by(judge, judged, prompts, azimuths) for judge in judges]
    table = {**common, **first, "others": others}
    coherence = np.array([run.coherence.mean() for run in judged if run.coherence is not None])
    if len(coherence):
        table["silhouette_coherence"] = float(coherence.mean())
        interval = bootstrap_intervals({"it": coherence}, _own(judged))["it"]
        table["silhouette_coherence_interval"] = interval
    return table


def judge_tables(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns what each judge says, the first one's table being the whole."""
    return [table, *table.get("others", ())]


def counts(
    folders: int, left_out: Mapping[str, str], judged: Sequence[Judged], prompts: Sequence[str]
) -> dict[str, Any]:
    """What was asked for, what was judged, and what is missing between the two.

    Args:
      folders: that matched.
      left_out: folder -> reason, see `runs`.
      judged: runs that were.
      prompts: c captions.

    Returns:
      `counts`, `left_out` and `captions_without_run`, for the table.
    """
    begin = {"not_a_run": NO_RUN, "unfinished": UNFINISHED, "unreadable": UNREADABLE}
    kinds = {kind: sum(why.startswith(word) for why in left_out.values()) for kind, word in begin.items()}
    having = {run.own for run in judged}
    without = [prompt for k, prompt in enumerate(prompts) if k not in having]
    return {
        "counts": {
            "folders": folders,
            "judged": len(judged),
            **kinds,
            "otherwise_left_out": len(left_out) - sum(kinds.values()),
            "not_picked": folders - len(judged) - len(left_out),
            "captions": len(prompts),
            "captions_without_run": len(without),
        },
        "left_out": dict(left_out),
        "captions_without_run": without,
    }


def figures_of(
    judged: Sequence[Judged], cosines: Sequence[np.ndarray]
) -> tuple[Scores, dict[str, np.ndarray], dict[str, Any]]:
    """Scores of runs, the figures of each, and the means over all of them with their intervals."""
    scores = retrieval_scores(np.stack(cosines), _own(judged))
    figures = scores.figures()
    means: dict[str, Any] = {name: float(each.mean()) for name, each in figures.items()}
    means["intervals"] = bootstrap_intervals(figures, _own(judged))
    return scores, figures, means


def _own(judged: Sequence[Judged]) -> np.ndarray:
    return np.array([run.own for run in judged])


def _said_by(
    judge: Judge, judged: Sequence[Judged], prompts: Sequence[str], azimuths: Sequence[float]
) -> dict[str, Any]:
    scores, figures, means = figures_of(judged, [run.cosines[judge.name] for run in judged])
    guided = [judge.guided(run.guides) for run in judged]
    rows = [
        _row(r, run, scores, prompts, azimuths) | {"judge_guided": guided[r]} for r, run in enumerate(judged)
    ]
    said = {
        "judge": judge.name,
        "mark": OVERFIT if any(guided) else "",
        "guided_runs": sum(guided),
        **means,
        "per_prompt": _per_prompt(rows, figures),
        "confused": _confused(rows),
        "runs": rows,
    }
    if judged[0].shape_cosines:
        shape, _, shape_means = figures_of(judged, [run.shape_cosines[judge.name] for run in judged])
        said["untextured"] = shape_means
        for r, row in enumerate(rows):
            row["untextured_rank"] = int(shape.object_ranks[r])
            row["untextured_nearest"] = prompts[shape.object_best[r]]
    return said


def _row(
    r: int, run: Judged, scores: Scores, prompts: Sequence[str], azimuths: Sequence[float]
) -> dict[str, Any]:
    views = [
        {
            "azimuth_deg": float(azimuth),
            "rank": int(scores.view_ranks[r, v]),
            "cosine": float(scores.view_cosines[r, v]),
            "nearest": prompts[scores.view_best[r, v]],
        }
        for v, azimuth in enumerate(azimuths)
    ]
    row = {
        "workdir": str(run.workdir),
        "prompt": prompts[run.own],
        "seed": run.seed,
        "guided_by": " + ".join(spec.model for spec in run.guides),
        "rank": int(scores.object_ranks[r]),
        "nearest": prompts[scores.object_best[r]],
        "views": views,
    }
    if run.coherence is not None:
        row["silhouette_coherence"] = float(np.mean(run.coherence))
    return row


def _per_prompt(rows: Sequence[Mapping[str, Any]], figures: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """One row for each prompt, in the order of the runs: means over its runs, and what it is taken for."""
    found = []
    for prompt in dict.fromkeys(row["prompt"] for row in rows):
        mine = [r for r, row in enumerate(rows) if row["prompt"] == prompt]
        taken = Counter(view["nearest"] for r in mine for view in rows[r]["views"])
        taken.pop(prompt, None)
        found.append(
            {
                "prompt": prompt,
                "n_runs": len(mine),
                **{name: float(each[mine].mean()) for name, each in figures.items()},
                "taken_for": dict(taken.most_common()),
            }
        )
    return found


def _confused(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The pairs of captions that views are most often confused between, the most frequent first."""
    pairs = Counter(
        (row["prompt"], view["nearest"])
        for row in rows
        for view in row["views"]
        if view["nearest"] != row["prompt"]
    )
    return [
        {"prompt": prompt, "nearest": nearest, "views": n}
        for (prompt, nearest), n in pairs.most_common(_MOST_CONFUSED)
    ]
