"""Several configs on one prompt, side by side: `python -m voxjax.compare --config=A --config=B --prompt=P`.

Trains each config in a process of its own, one after another (so that one's memory, and one's crash, is not
another's), has a guiding and a held-out CLIP judge the objects, and writes `index.html` and `compare.json`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import jax

from voxjax.command import Parser, run_command
from voxjax.config.loading import take_overrides
from voxjax.config.naming import slug
from voxjax.errors import UserError
from voxjax.evaluation.comparison import Outcome, compare, summary, to_json
from voxjax.evaluation.comparison_page import page
from voxjax.evaluation.entries import choose_judges, read_entries
from voxjax.evaluation.processes import judge, start
from voxjax.files import refuse_unwritable, write_text

PAGE, TABLE = "index.html", "compare.json"
FLAGS = ("--config", "--prompt", "--workdir", "--held-out")


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right before the first run starts.
      SystemExit: 1 if a run or the judging failed; the page shows the rest.
    """
    flags, rest = _parser().parse_known_args(arguments)
    overrides = [*take_overrides(rest, flags=FLAGS), ("prompt", flags.prompt)]
    if any(key == "prompt" for key, _ in overrides[:-1]):
        raise UserError("--config.prompt: the prompt of all runs is given with --prompt")
    folder = Path(flags.workdir or Path("runs") / "compare" / slug(flags.prompt))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--workdir={folder}: a file of this name exists; give another folder")
    refuse_unwritable(folder, f"--workdir={folder}")
    # Checks run on the CPU: the accelerator's memory belongs to the runs.
    jax.config.update("jax_platforms", "cpu")
    entries = read_entries(flags.config, overrides, folder)
    judges, held_out = choose_judges(entries, flags.held_out, flags.prompt)

    folder.mkdir(parents=True, exist_ok=True)
    settings = [f"--config.{key}={value}" for key, value in overrides]
    errors = {}
    for entry in entries:
        given = [f"--config={entry.spec}", f"--workdir={entry.workdir}", *settings]
        errors[entry.name] = start("voxjax.train", given, name=entry.name)
    finished = [entry for entry in entries if not errors[entry.name]]
    tables, complaint = judge(finished, judges, flags.prompt)
    outcomes = [Outcome(e.name, e.spec, e.config, e.workdir, errors[e.name]) for e in entries]
    result = compare(flags.prompt, outcomes, tables, held_out=held_out, complaint=complaint)
    write_text(folder / TABLE, to_json(result))
    write_text(folder / PAGE, page(result, folder))
    print(summary(result))
    print(folder / PAGE)
    if complaint or any(errors.values()):
        sys.exit(1)


def _parser() -> Parser:
    parser = Parser("compare")
    configs = "config and variant; may be given again; NAME:all is every variant of a config"
    parser.add_argument("--config", required=True, action="append", help=configs)
    parser.add_argument("--prompt", required=True, help="what all of them make")
    parser.add_argument("--workdir", help="folder of the comparison; default: runs/compare/<prompt>")
    held_out = "a CLIP that guides none of them; default: by the guides"
    parser.add_argument("--held-out", default="", help=held_out)
    parser.epilog = "Any key can be set for all configs with --config.key=value; configs/base.py lists them."
    return parser


if __name__ == "__main__":
    run_command(main)
