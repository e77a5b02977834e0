"""The papers' tables and figures: `python -m voxjax.reproduce --item=table1 --root=runs/paper --scale=demo`.

Trains what an item needs in processes of their own, has CLIPs judge the objects, and writes `table.md`,
`table.json`, pictures and `index.html` to `<root>/<scale>/<item>/`. Runs lie in `<root>/<scale>/runs/`, which
all items share; what is finished is not trained again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from voxjax.command import Parser, run_command, whole_number
from voxjax.config.loading import take_overrides
from voxjax.devices import count_cores
from voxjax.errors import UserError
from voxjax.evaluation.judge import read_prompts
from voxjax.files import refuse_unwritable, write_text
from voxjax.reproduction.catalogue import ITEMS
from voxjax.reproduction.figures import draw
from voxjax.reproduction.items import SCALES
from voxjax.reproduction.judging import captions_of, judge
from voxjax.reproduction.page import page
from voxjax.reproduction.results import markdown, results
from voxjax.reproduction.runs import fetch_models, jobs_of, train_all

PAGE, TABLE, TEXT = "index.html", "table.json", "table.md"
FLAGS = ("--list", "--item", "--root", "--scale", "--prompts", "--limit", "--seeds", "--jobs")


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right before the first run starts.
      SystemExit: 1 if a run or the judging failed; the page shows the rest.
    """
    flags, rest = _parser().parse_known_args(arguments)
    overrides = tuple(take_overrides(rest, flags=FLAGS))
    if flags.list:
        for item in ITEMS.values():
            print(f"{item.name:<10}{item.title}")
        return
    if flags.item not in ITEMS:
        given = f"--item={flags.item}: no such item" if flags.item else "--item: missing"
        raise UserError(f"{given}; they are {', '.join(ITEMS)}, and --list says what each is")
    item = ITEMS[flags.item]
    plan = item.plans[flags.scale]
    prompts = tuple(read_prompts(flags.prompts)) if flags.prompts else plan.prompts
    if not prompts:
        raise UserError(
            f"--item={item.name} --scale={flags.scale}: needs --prompts=FILE, the captions that are made "
            "and ranked"
        )
    root = Path(flags.root) / flags.scale
    folder = root / item.name
    refuse_unwritable(folder, f"--root={flags.root}")
    # Checks and pictures are made on the CPU: the accelerator's memory belongs to the runs.
    jax.config.update("jax_platforms", "cpu")
    made = prompts[: flags.limit]
    jobs = jobs_of(plan, made, seeds=flags.seeds or plan.seeds, root=root, overrides=overrides)
    captions = captions_of(prompts, flags.scale, bool(flags.prompts))
    fetch_models(jobs, plan.judges, captions)

    cores = count_cores()
    side_by_side = flags.jobs or (cores if flags.scale == "demo" else 1)
    errors = train_all(jobs, side_by_side=side_by_side, cores=cores)
    table, complaint = judge(plan, jobs, captions, folder)
    if complaint:
        errors[folder] = complaint
    result = results(item, plan, jobs, table, errors, scale=flags.scale, side_by_side=side_by_side)
    drawn = draw(item.draw, jobs, folder)
    write_text(folder / TABLE, json.dumps(result, indent=2) + "\n")
    text = markdown(result, drawn)
    write_text(folder / TEXT, text)
    write_text(folder / PAGE, page(result, drawn, folder))
    print(text)
    print(folder / PAGE)
    if errors:
        sys.exit(1)


def _parser() -> Parser:
    parser = Parser("reproduce")
    parser.add_argument("--list", action="store_true", help="say what items there are, and do nothing")
    parser.add_argument("--item", help="one of those that --list names")
    parser.add_argument(
        "--root", default="runs/reproduce", help="folder for all of it (default: %(default)s)"
    )
    scale = "demo: small CLIPs on a CPU, minutes; paper: the real thing (default: %(default)s)"
    parser.add_argument("--scale", choices=SCALES, default="paper", help=scale)
    prompts = "file of captions, one a line, that are made and ranked; tables of the paper need it"
    parser.add_argument("--prompts", help=prompts)
    limit = "make only the first so many of them; all are ranked"
    parser.add_argument("--limit", type=whole_number(1, 100_000), help=limit)
    parser.add_argument("--seeds", type=whole_number(1, 1000), help="seeds of each prompt (default: 1)")
    jobs = "runs at a time (default: the cores at demo scale, else 1)"
    parser.add_argument("--jobs", type=whole_number(1, 256), help=jobs)
    parser.epilog = "Any key can be set for all runs with --config.key=value; give another --root with it."
    return parser


if __name__ == "__main__":
    run_command(main)
