"""Runs as pages: `python -m voxjax.report --workdir=runs/bonsai`, or `--runs='runs/*' --out=index.html`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from voxjax.command import Parser, run_command
from voxjax.errors import UserError
from voxjax.evaluation.report import write_mesh, write_report
from voxjax.evaluation.report_index import MADE_BY, counted, index_page, read_card
from voxjax.evaluation.runs import matching_runs
from voxjax.files import refuse_unwritable_file, write_text
from voxjax.run import MESH, REPORT, load_run, read_config


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser("report")
    parser.add_argument(
        "--workdir", help="folder of a run: its report is written again, and its mesh if missing"
    )
    many = "glob of workdirs; may be given again: an index of them, and the reports that are missing"
    parser.add_argument("--runs", action="append", help=many)
    parser.add_argument("--out", help=f"the page; default: WORKDIR/{REPORT}, or index.html for --runs")
    flags = parser.parse_args(arguments)
    if bool(flags.workdir) == bool(flags.runs):
        raise UserError("give either --workdir, for the report of one run, or --runs, for an index of many")
    if flags.runs:
        _index(flags.runs, Path(flags.out or "index.html"))
    else:
        _report(flags.workdir, Path(flags.out or Path(flags.workdir) / REPORT))


def _report(workdir: str, out: Path) -> None:
    config = read_config(workdir)
    refuse_unwritable_file(out, "--out")
    why = ""
    if config.output.mesh and not (Path(workdir) / MESH).exists():
        run = load_run(workdir)
        why = write_mesh(run) if run.finished else ""
    print(write_report(workdir, out, why_no_mesh=why))


def _index(patterns: Sequence[str], out: Path) -> None:
    folders, left_out = matching_runs(patterns)
    refuse_unwritable_file(out, "--out")
    # Another page of this name, a comparison's say, is nobody's to overwrite.
    if out.exists() and f'content="{MADE_BY}"' not in out.read_text(encoding="utf-8", errors="replace"):
        raise UserError(f"--out={out}: there is another page of this name; give another name")
    cards = [read_card(folder) for folder in sorted(folders)]
    for card in cards:
        if card.finished and not (card.workdir / REPORT).exists():
            try:
                print(write_report(card.workdir))
            except (OSError, UserError) as error:  # a folder of somebody else's, say: a card without a link
                print(f"{card.workdir}: no report: {error}", file=sys.stderr)
    write_text(out, index_page(cards, left_out, out))
    print(counted(cards, left_out))
    for card in cards:
        if card.trouble:
            print(f"{card.workdir}: {card.trouble}", file=sys.stderr)
    print(out)


if __name__ == "__main__":
    run_command(main)
