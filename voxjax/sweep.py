"""Many runs at once: `voxjax sweep --config=vox_exp:low --prompts=FILE --set augment.diff=True,False`.

Prompts x configs x settings x seeds, each a run in a folder of its own under --root, on this machine or on a
cluster of Ray's. Called again, it does what is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from voxjax.command import Parser, run_command, terminated_as_interrupted, whole_number
from voxjax.config.loading import take_overrides
from voxjax.config.prompts import read_prompts
from voxjax.errors import UserError
from voxjax.files import Busy, locked
from voxjax.sweeping.drive import Drive, last_words
from voxjax.sweeping.flags import read_axis, read_seeds
from voxjax.sweeping.found import find_finished, last_saved, read_root
from voxjax.sweeping.plan import Plan, make_plan
from voxjax.sweeping.record import DONE, FAILED, Record
from voxjax.sweeping.refusals import refuse_unfit

FLAGS = (
    *("--config", "--prompt", "--prompts", "--seeds", "--set", "--root"),
    *("--per-gpu", "--cpus", "--address", "--dry-run"),
)
_LOCK = ".sweep.lock"


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right before the first run starts.
      SystemExit: 1 if a run failed.
    """
    flags, rest = _parser().parse_known_args(arguments)
    root = read_root(flags.root)
    plan = make_plan(
        flags.config,
        read_prompts(flags.prompt, flags.prompts),
        seeds=read_seeds(flags.seeds),
        axes=[read_axis(text) for text in flags.set],
        fixed=take_overrides(rest, flags=FLAGS),
    )
    if flags.per_gpu and flags.cpus:
        raise UserError("--per-gpu and --cpus: a run has a share of a GPU or cores of a CPU; leave one away")
    finished = find_finished(plan, root)
    unseen = refuse_unfit(plan, elsewhere=bool(flags.address))
    if unseen:
        print(f"voxjax: {unseen}", file=sys.stderr)
    if flags.dry_run:
        _print_plan(plan, root, finished)
        return
    root.mkdir(parents=True, exist_ok=True)
    try:
        with locked(root / _LOCK):
            record = Record(root, plan, finished)
            record.write()
            if len(finished) < len(plan.runs):
                _run(plan, record, root, flags)
    except Busy as error:
        raise UserError(f"--root={root}: another sweep works there; wait for it or stop it") from error
    _print_summary(record, root, len(finished))
    if record.names(FAILED):
        sys.exit(1)


def _run(plan: Plan, record: Record, root: Path, flags: argparse.Namespace) -> None:
    from voxjax.sweeping.cluster import Cluster
    from voxjax.sweeping.displays import choose_display
    from voxjax.sweeping.slots import choose_slot

    cluster = Cluster(flags.address)
    try:
        slot = choose_slot(flags.per_gpu, flags.cpus, cluster.resources(), may_grow=not cluster.local)
        cluster.refuse_blind(root)
        display = choose_display()
        try:
            with terminated_as_interrupted():
                Drive(plan, record, cluster, root, slot, display).run()
        finally:
            display.close()
    finally:
        cluster.close()


def _print_plan(plan: Plan, root: Path, finished: set[str]) -> None:
    for run in plan.runs:
        saved = 0 if run.name in finished else last_saved(root / run.name)
        state = "finished" if run.name in finished else f"step {saved} of" if saved else "to do,"
        print(f"{run.name}: {state} {'' if run.name in finished else run.steps}".rstrip())
    left = sum(run.steps for run in plan.runs if run.name not in finished)
    print(f"{len(plan.runs)} runs in {root}, {len(finished)} of them finished; {left} steps at most to do")


def _print_summary(record: Record, root: Path, before: int) -> None:
    done, failed = len(record.names(DONE)), record.names(FAILED)
    for name in failed:
        print(f"{root / name}: failed: {last_words(record[name])}")
    earlier = f" ({before} of them before)" if before else ""
    print(f"{len(record.entries)} runs in {root}: {done} done{earlier}, {len(failed)} failed")


def _parser() -> Parser:
    parser = Parser("sweep")
    configs = "config and variant; may be given again; NAME:all is every variant of a config"
    parser.add_argument("--config", required=True, action="append", help=configs)
    parser.add_argument("--prompt", action="append", default=[], help="what to make; may be given again")
    parser.add_argument("--prompts", default="", help="file of prompts, one a line")
    parser.add_argument("--seeds", default="0", help="0,1 or 0-9 (default: 0)")
    values = "KEY=VALUE,VALUE: all values in turn, '(0.,0.5),(0.,1.)' for tuples; may be given again"
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUES", help=values)
    parser.add_argument("--root", required=True, help="folder of the runs, which all machines see")
    per_gpu = "runs that share a GPU (default: 1, where there are GPUs)"
    parser.add_argument("--per-gpu", type=whole_number(1, 64), help=per_gpu)
    cpus = "cores of the CPU that each run takes, no GPU (default: 1, where there is no GPU)"
    parser.add_argument("--cpus", type=whole_number(1, 1024), help=cpus)
    address = "cluster of Ray's: auto, HOST:PORT or ray://HOST:PORT (default: start one here)"
    parser.add_argument("--address", default="", help=address)
    parser.add_argument("--dry-run", action="store_true", help="print the plan and start nothing")
    parser.epilog = "Any key can be set for all runs with --config.key=value; configs/base.py lists them."
    return parser


if __name__ == "__main__":
    run_command(main)
