"""The fields side by side on primitives, whose shapes are known: `make primitives`.

Makes every prompt with every variant of `configs/demo.py`, has `pocket-eval` judge the results, and writes
one contact sheet and a table for each field. Runs that are finished are reused, so a second call goes on
where the first was stopped. Several runs go side by side, one thread each.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from launch.processes import (
    call,
    jobs_of,
    lines_of,
    read_lines,
    refuse_unfit,
    refuse_unranked,
    train_all,
    whole_number,
)

PROMPTS = Path("launch/pocket_prompts.txt")
CAPTIONS = Path("launch/pocket_captions.txt")


def one_per_shape(prompts: list[str]) -> list[str]:
    """The first prompt of each shape, which is a prompt's last word."""
    first: dict[str, str] = {}
    for prompt in prompts:
        first.setdefault(prompt.split()[-1], prompt)
    return list(first.values())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--prompts", type=lines_of, help=f"file, one a line; default: one per shape of {PROMPTS}"
    )
    parser.add_argument("--variants", nargs="+", default=["vox_exp", "vox_imp", "dream_fields"])
    parser.add_argument("--seeds", type=whole_number, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/primitives"))
    parser.add_argument("--out", type=Path, default=Path("docs/primitives"))
    parser.add_argument("--jobs", type=whole_number, default=os.cpu_count() or 1)
    args, overrides = parser.parse_known_args()
    prompts = args.prompts or one_per_shape(read_lines(PROMPTS))
    refuse_unranked(prompts, read_lines(CAPTIONS))
    configs = [f"configs/demo.py:{variant}" for variant in args.variants]
    refuse_unfit(configs, prompts, runs=args.runs, more=overrides)
    jobs = jobs_of(args.variants, prompts, seeds=args.seeds, runs=args.runs, more=overrides)
    train_all([job for each in jobs.values() for job in each], side_by_side=args.jobs)
    tables = {variant: args.runs / f"{variant}.json" for variant in args.variants}
    for variant, table in tables.items():
        runs = [f"--runs={job.workdir}" for job in jobs[variant]]
        call("voxjax.evaluate", *runs, f"--prompts={CAPTIONS}", "--clip=pocket-eval", f"--out={table}")
    call(
        "voxjax.evaluation.gallery",
        *(f"--table={variant}={table}" for variant, table in tables.items()),
        f"--out={args.out}",
        "--title=What each field makes with the small CLIP",
    )


if __name__ == "__main__":
    main()
