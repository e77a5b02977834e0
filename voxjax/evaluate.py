"""Judge finished runs: `python -m voxjax.evaluate --runs='runs/demo/*' --prompts=FILE --clip=pocket-eval`.

Each object is rendered on white from the evaluation view (azimuth 30 degrees, elevation 45) and from even
turns of it, and CLIPs that did not guide it rank all captions of a file for each picture. Renders are kept
beside the run: another judge of like resolution renders nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from voxjax.command import Parser, run_command, whole_number
from voxjax.errors import UserError
from voxjax.evaluation.best_of import pick_best
from voxjax.evaluation.judge import eval_azimuths, read_prompts
from voxjax.evaluation.judging import OVERFIT, Judge, judge_run
from voxjax.evaluation.runs import find_runs, finished_runs
from voxjax.evaluation.table import counts, judge_tables, table_of
from voxjax.evaluation.table_text import markdown, summary
from voxjax.files import refuse_unwritable_file, write_text
from voxjax.guidance import load_guidance
from voxjax.guidance.shipped import fit, held_out_of


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    flags = _read_flags(arguments)
    prompts = read_prompts(flags.prompts)
    clips = flags.clip or held_out_of([fit(prompts).model])
    if flags.pick in clips:
        raise UserError(
            f"--pick={flags.pick}: who picks is pleased with what it picked; score with another --clip"
        )
    for out in flags.out:
        refuse_unwritable_file(out, "--out")
    folders, left_out = find_runs(flags.runs, prompts, flags.prompts)
    n_folders = len(folders) + len(left_out)
    names = [*clips, *([flags.pick] if flags.best_of else [])]
    judges = [Judge(name, *load_guidance(name, prompts=prompts)) for name in names]
    azimuths = eval_azimuths(flags.azimuths)
    judged = [
        judge_run(run, prompts, judges, azimuths, geometry=flags.geometry)
        for run in finished_runs(folders, left_out)
    ]
    chosen = {}
    if flags.best_of:
        pick = judges.pop()
        judged, not_chosen, chosen["best_of"] = pick_best(judged, flags.best_of, pick, prompts)
        left_out |= not_chosen
    for folder, reason in left_out.items():
        print(f"voxjax: left out {folder}: {reason}", file=sys.stderr)
    table = {**table_of(judged, judges, prompts, azimuths), "prompts": flags.prompts, **chosen}
    table |= counts(n_folders, left_out, judged, prompts)
    for said in judge_tables(table):
        if said["mark"]:
            print(
                f"voxjax: {OVERFIT}: {said['judge']} guided some of these runs; judging them proves little",
                file=sys.stderr,
            )
    for out in flags.out:
        text = markdown(table) if out.endswith(".md") else json.dumps(table, indent=2) + "\n"
        write_text(out, text)
    print(summary(table))


def _read_flags(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("evaluate")
    runs = "glob of workdirs, quoted: 'runs/demo/*'; may be given again"
    parser.add_argument("--runs", required=True, action="append", help=runs)
    parser.add_argument("--prompts", required=True, help="file of captions, one a line")
    judge = "a judge, not the guide; may be given again (default: the small one that knows the captions)"
    parser.add_argument("--clip", action="append", help=judge)
    views = "views of an object (default: 4)"
    parser.add_argument("--azimuths", type=whole_number(1, 360), default=4, help=views)
    geometry = "judge the shape without its texture, too, and the silhouettes; five times the rendering"
    parser.add_argument("--geometry", action="store_true", help=geometry)
    best = "score only the best of so many seeds of each prompt"
    parser.add_argument("--best-of", type=whole_number(2, 1000), metavar="N", help=best)
    parser.add_argument("--pick", help="the judge who picks the best; none of --clip")
    out = "file for the table, Markdown if it ends in .md, else JSON; may be given again"
    parser.add_argument("--out", action="append", default=[], help=out)
    flags = parser.parse_args(arguments)
    for name in flags.clip or []:
        if flags.clip.count(name) > 1:
            raise UserError(f"--clip={name}: it is given twice; name every judge once")
    if bool(flags.best_of) != bool(flags.pick):
        raise UserError("--best-of=N needs --pick=CLIP, the judge who picks, and the other way round")
    return flags


if __name__ == "__main__":
    run_command(main)
