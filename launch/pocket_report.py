"""Repeats everything that the pocket model card claims: `make pocket-report`.

Scores both models on true renders, makes every report prompt with `configs/demo.py` under several seeds, has
`pocket-eval` judge the results, and writes tables and contact sheets. Runs that are finished are reused, so a
second call goes on where the first was stopped. Several runs go side by side, one thread each.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from launch.processes import (
    Job,
    call,
    lines_of,
    refuse_unfit,
    refuse_unranked,
    run_name,
    train_all,
    whole_number,
)

TITLES = {
    "cosine": "Plain cosine",
    "contrastive": "Contrastive objective (its negatives are not among the captions that the metric ranks)",
}


def negatives(prompt: str, captions: list[str]) -> tuple[str, ...]:
    """What the contrastive objective tells an object from: the other shapes without a colour, and no object.

    None of them is a caption that the metric ranks.
    """
    shapes = sorted({line.split()[-1] for line in captions} - {prompt.split()[-1]})
    colour = prompt.split()[-2]
    article = "an" if colour[0] in "aeiou" else "a"
    return (*(f"a {shape}" for shape in shapes), f"{article} {colour} cloud", f"{colour} debris", "nothing")


def job(prompt: str, seed: int, objective: str, captions: list[str], runs: Path, more: list[str]) -> Job:
    """What one object is trained with."""
    more = [f"--config.clip.objective={objective}", *more]
    if objective == "contrastive":
        more.append(f"--config.clip.negatives={negatives(prompt, captions)!r}")
    return Job(runs / objective / run_name(prompt, seed), "configs/demo.py", prompt, seed, more)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=lines_of, default="launch/pocket_prompts.txt")
    parser.add_argument("--captions", type=lines_of, default="launch/pocket_captions.txt")
    parser.add_argument("--seeds", type=whole_number, default=3)
    parser.add_argument("--objectives", nargs="+", default=["cosine", "contrastive"], choices=sorted(TITLES))
    parser.add_argument("--runs", type=Path, default=Path("runs/pocket-report"))
    parser.add_argument("--out", type=Path, default=Path("docs/pocket"))
    parser.add_argument("--jobs", type=whole_number, default=os.cpu_count() or 1)
    args, overrides = parser.parse_known_args()
    prompts, captions = args.prompts, args.captions
    refuse_unranked(prompts, captions)
    refuse_unfit(["configs/demo.py"], prompts, runs=args.runs, more=overrides)
    args.out.mkdir(parents=True, exist_ok=True)
    call("voxjax.pocket.score", f"--out={args.out / 'true_renders.json'}")
    train_all(
        [
            job(prompt, seed, objective, captions, args.runs, overrides)
            for objective in args.objectives
            for seed in range(args.seeds)
            for prompt in prompts
        ],
        side_by_side=args.jobs,
    )
    for objective in args.objectives:
        table = args.runs / f"{objective}.json"
        call(
            "voxjax.evaluate",
            f"--runs={args.runs / objective / '*'}",
            f"--prompts={args.captions}",
            "--clip=pocket-eval",
            f"--out={table}",
        )
        call(
            "voxjax.evaluation.primitives",
            f"--table={table}",
            f"--out={args.out / objective}",
            f"--title={TITLES[objective]}",
        )


if __name__ == "__main__":
    main()
