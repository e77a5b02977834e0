"""Things made under the small CLIP that knows them, and named by the other: `make things`.

Makes every prompt with variants of `configs/demo.py`, has `picturebook-eval` rank the names of all things for
each object, and writes a table and one contact sheet a variant, none left out, and one of all variants. `make
gallery` is the same with ten prompts of its own. Runs that are finished are reused, so a second call goes on
where the first was stopped. Several runs go side by side, one thread each.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from launch.processes import call, jobs_of, lines_of, refuse_unfit, train_all, whole_number

PROMPTS = Path("launch/things_prompts.txt")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--prompts", type=lines_of, default=str(PROMPTS), help=f"file, one a line; default: {PROMPTS}"
    )
    parser.add_argument("--variants", nargs="+", default=["vox_exp", "vox_imp", "dream_fields"])
    parser.add_argument("--seeds", type=whole_number, default=3)
    parser.add_argument("--judge", default="picturebook-eval")
    parser.add_argument("--runs", type=Path, default=Path("runs/things"))
    parser.add_argument("--out", type=Path, default=Path("docs/things"))
    parser.add_argument("--jobs", type=whole_number, default=os.cpu_count() or 1)
    args, overrides = parser.parse_known_args()
    prompts, captions = args.prompts, args.runs / "captions.txt"
    configs = [f"configs/demo.py:{variant}" for variant in args.variants]
    refuse_unfit(configs, prompts, runs=args.runs, more=overrides)
    # The judge has to read them too, which is found out as if it were to guide.
    judge = [f"--config.clip.model={args.judge}"]
    refuse_unfit(configs[:1], prompts, runs=args.runs, more=judge)
    file = args.runs / "prompts.txt"  # a pipe can be read but once
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{prompt}\n" for prompt in prompts), encoding="utf-8")
    call("voxjax.picturebook.prompts", f"--prompts={file}", f"--out={captions}")
    jobs = jobs_of(args.variants, prompts, seeds=args.seeds, runs=args.runs, more=overrides)
    train_all([job for each in jobs.values() for job in each], side_by_side=args.jobs)
    tables = {variant: args.out / f"{variant}.json" for variant in jobs}
    for variant, made in jobs.items():
        table = tables[variant]
        runs = [f"--runs={job.workdir}" for job in made]
        outs = [f"--out={table}", f"--out={table.with_suffix('.md')}"]
        call("voxjax.evaluate", *runs, f"--prompts={captions}", f"--clip={args.judge}", *outs)
        title = f"--title={variant}: every object, and what {args.judge} takes it for among all things"
        call("voxjax.evaluation.sheet", f"--table={table}", f"--out={table.with_suffix('.png')}", title)
    if len(tables) == 1:
        return  # its own sheet is all there is, and that of several stays
    together = [f"--table={table}" for table in tables.values()]
    call("voxjax.evaluation.sheet", *together, f"--out={args.out / 'side_by_side.png'}", "--title=")


if __name__ == "__main__":
    main()
