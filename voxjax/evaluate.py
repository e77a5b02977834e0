"""Judge finished runs: `python -m voxjax.evaluate --runs='runs/demo/*' --prompts=FILE --clip=pocket-eval`.

Each object is rendered on white from the evaluation view (azimuth 30 degrees, elevation 45) and from even
turns of it, and a CLIP that did not guide it ranks all captions of a file for each picture.
"""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxjax.command import Parser, run_command, whole_number
from voxjax.ensemble import guide_specs
from voxjax.errors import UserError
from voxjax.files import write_text
from voxjax.guidance import load_guidance
from voxjax.judge import EVAL_ELEVATION_DEG, eval_azimuths, judge_runs, normalise_prompt, read_prompts
from voxjax.run import CONFIG, Run, load_run, read_config
from voxjax.scores import Scores


def find_runs(patterns: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """The runs among the folders that match.

    Args:
      patterns: globs of workdirs.

    Returns:
      (workdirs in sorted order, reason why each other folder is left out).

    Raises:
      UserError: if no run matches one of them.
    """
    found: set[Path] = set()
    left_out = {}
    for pattern in patterns:
        folders = {Path(match) for match in glob.glob(pattern) if Path(match).is_dir()}
        runs = {folder for folder in folders if (folder / CONFIG).is_file()}
        if not runs:
            raise UserError(f"--runs={pattern}: no run there; name workdirs, such as 'runs/demo/*'")
        found |= runs
        left_out.update({str(folder): f"no {CONFIG}" for folder in sorted(folders - runs)})
    return sorted(found), left_out


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


def open_runs(
    patterns: Sequence[str], prompts: Sequence[str], prompts_file: str
) -> tuple[list[Run], dict[str, str]]:
    """Open the finished runs; all prompts are checked before the first checkpoint is read.

    Args:
      patterns: globs of workdirs.
      prompts: normalised captions.
      prompts_file: their file, for the message.

    Returns:
      (runs, reason why each other folder is left out).

    Raises:
      UserError: no finished run, or a run whose prompt is not among the captions.
    """
    folders, left_out = find_runs(patterns)
    for folder in folders:
        prompt = normalise_prompt(read_config(folder).prompt)
        if prompt not in prompts:
            raise UserError(f"{folder}: its prompt {prompt!r} is not a line of {prompts_file}")
    runs = []
    for folder in folders:
        try:
            run = load_run(folder)
        except UserError as error:
            left_out[str(folder)] = str(error)
            continue
        if run.finished:
            runs.append(run)
        else:
            left_out[str(folder)] = f"not finished: step {run.step} of {run.config.steps}"
    if not runs:
        reasons = "; ".join(f"{folder}: {reason}" for folder, reason in left_out.items())
        raise UserError(f"--runs={' '.join(patterns)}: no finished run ({reasons})")
    return runs, left_out


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser(prog="python -m voxjax.evaluate", description="Judge finished runs with a CLIP.")
    parser.add_argument(
        "--runs",
        required=True,
        action="append",
        help="glob of workdirs, quoted: 'runs/demo/*'; may be given again",
    )
    parser.add_argument("--prompts", required=True, help="file of captions, one a line")
    parser.add_argument(
        "--clip", default="pocket-eval", help="the judge, not the guide (default: %(default)s)"
    )
    parser.add_argument(
        "--azimuths", type=whole_number(1, 360), default=4, help="views of an object (default: 4)"
    )
    parser.add_argument("--out", default="", help="JSON file for the table")
    flags = parser.parse_args(arguments)

    prompts = read_prompts(flags.prompts)
    runs, left_out = open_runs(flags.runs, prompts, flags.prompts)
    for folder, reason in left_out.items():
        print(f"voxjax: left out {folder}: {reason}", file=sys.stderr)
    if any(flags.clip == spec.model for run in runs for spec in guide_specs(run.config)):
        print(
            f"voxjax: {flags.clip} guided some of these runs; judging them proves little",
            file=sys.stderr,
        )
    guidance, texts = load_guidance(flags.clip, prompts=prompts)
    azimuths = eval_azimuths(flags.azimuths)
    scores = judge_runs(runs, prompts, guidance, texts, azimuths)
    table = {"judge": flags.clip, "prompts": flags.prompts, **table_of(runs, prompts, scores, azimuths)}
    table["left_out"] = left_out
    if flags.out:
        write_text(flags.out, json.dumps(table, indent=2) + "\n")
    print(summary(table))


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


if __name__ == "__main__":
    run_command(main)
