"""Judge finished runs: `python -m voxjax.evaluate --runs='runs/demo/*' --prompts=FILE --clip=pocket-eval`.

Each object is rendered on white from the evaluation view (azimuth 30 degrees, elevation 45) and from even
turns of it, and a CLIP that did not guide it ranks all captions of a file for each picture.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from voxjax.command import Parser, run_command, whole_number
from voxjax.evaluation.judge import eval_azimuths, judge_runs, read_prompts
from voxjax.evaluation.runs import find_runs, open_runs
from voxjax.evaluation.table import summary, table_of
from voxjax.files import refuse_unwritable_file, write_text
from voxjax.guidance import load_guidance
from voxjax.guidance.ensemble import guide_specs


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    flags = _read_flags(arguments)
    prompts = read_prompts(flags.prompts)
    if flags.out:
        refuse_unwritable_file(flags.out, "--out")
    folders, left_out = find_runs(flags.runs, prompts, flags.prompts)
    guidance, texts = load_guidance(flags.clip, prompts=prompts)
    runs = open_runs(folders, left_out)
    for folder, reason in left_out.items():
        print(f"voxjax: left out {folder}: {reason}", file=sys.stderr)
    if any(flags.clip == spec.model for run in runs for spec in guide_specs(run.config)):
        print(
            f"voxjax: {flags.clip} guided some of these runs; judging them proves little",
            file=sys.stderr,
        )
    azimuths = eval_azimuths(flags.azimuths)
    scores = judge_runs(runs, prompts, guidance, texts, azimuths)
    table = {"judge": flags.clip, "prompts": flags.prompts, **table_of(runs, prompts, scores, azimuths)}
    table["left_out"] = left_out
    if flags.out:
        write_text(flags.out, json.dumps(table, indent=2) + "\n")
    print(summary(table))


def _read_flags(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("evaluate")
    runs = "glob of workdirs, quoted: 'runs/demo/*'; may be given again"
    parser.add_argument("--runs", required=True, action="append", help=runs)
    parser.add_argument("--prompts", required=True, help="file of captions, one a line")
    judge = "the judge, not the guide (default: %(default)s)"
    parser.add_argument("--clip", default="pocket-eval", help=judge)
    views = "views of an object (default: 4)"
    parser.add_argument("--azimuths", type=whole_number(1, 360), default=4, help=views)
    parser.add_argument("--out", default="", help="JSON file for the table")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    run_command(main)
