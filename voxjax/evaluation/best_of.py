"""Best of N: of the seeds of a prompt one judge keeps one, and others say what that is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from voxjax.errors import UserError
from voxjax.evaluation.judging import OVERFIT, Judge, Judged
from voxjax.evaluation.table import figures_of


def pick_best(
    judged: Sequence[Judged], n: int, pick: Judge, prompts: Sequence[str]
) -> tuple[list[Judged], dict[str, str], dict[str, Any]]:
    """Keeps one run of every prompt: the one with the largest mean cosine over its views.

    Args:
      judged: runs that `pick` has seen, too.
      n: seeds of a prompt that are looked at, the smallest ones where there are more.
      pick: the judge who chooses; another one should score what it keeps.
      prompts: c captions.

    Returns:
      (the runs kept, folder -> why it takes no part, what was done for the table).

    Raises:
      UserError: two runs of a prompt have the same seed, or no prompt has so many seeds.
    """
    groups: dict[int, list[Judged]] = {}
    for run in judged:
        groups.setdefault(run.own, []).append(run)
    kept, left_out, rows, taking_part = [], {}, [], []
    for own, runs in groups.items():
        runs.sort(key=lambda run: run.seed)
        _refuse_twins(runs, prompts[own])
        for run in runs[n:]:
            left_out[str(run.workdir)] = f"best of {n}: a seed more than that"
        if len(runs) < n:
            for run in runs:
                left_out[str(run.workdir)] = f"best of {n}: its prompt has {len(runs)} finished seeds"
            continue
        scores = {run.seed: float(np.mean(run.cosines[pick.name][:, own])) for run in runs[:n]}
        best = max(runs[:n], key=lambda run: scores[run.seed])
        kept.append(best)
        taking_part += runs[:n]
        rows.append({"prompt": prompts[own], "seed": best.seed, "cosines": scores})
    if not kept:
        raise UserError(f"--best-of={n}: no prompt has so many finished seeds; give a smaller number")
    guided = any(pick.guided(run.guides) for run in taking_part)
    said = {"n": n, "pick": pick.name, "mark": OVERFIT if guided else "", "picks": rows}
    judges = [name for name in kept[0].cosines if name != pick.name]
    said["all_seeds"] = {
        name: figures_of(taking_part, [run.cosines[name] for run in taking_part])[2] for name in judges
    }
    return kept, left_out, said


def _refuse_twins(runs: Sequence[Judged], prompt: str) -> None:
    for one, other in zip(runs, runs[1:], strict=False):
        if one.seed == other.seed:
            raise UserError(
                f"--best-of: {one.workdir} and {other.workdir} are both seed {one.seed} of {prompt!r}; seeds "
                "of one config are what it chooses from: let --runs match those only"
            )
