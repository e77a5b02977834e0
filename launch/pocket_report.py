"""Repeats everything that the pocket model card claims: `make pocket-report`.

Scores both models on true renders, makes every report prompt with `configs/demo.py` under several seeds, has
`pocket-eval` judge the results, and writes tables and contact sheets. Runs that are finished are reused, so a
second call goes on where the first was stopped. Several runs go side by side, one thread each.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import subprocess
import sys
from pathlib import Path

TITLES = {
    "cosine": "Plain cosine",
    "contrastive": "Contrastive objective (its negatives are not among the captions that the metric ranks)",
}


def call(module: str, *arguments: str, quiet: bool = False, threads: int | None = None) -> None:
    """Runs `python -m module`, and stops everything if it fails."""
    environment = dict(os.environ)
    if threads:
        flags = f"--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads={threads}"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {flags}".strip()
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment, capture_output=quiet, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stderr or '')[-2000:]}")


def negatives(prompt: str, captions: list[str]) -> tuple[str, ...]:
    """What the contrastive objective tells an object from: the other shapes without a colour, and no object.

    None of them is a caption that the metric ranks.
    """
    shapes = sorted({line.split()[-1] for line in captions} - {prompt.split()[-1]})
    colour = prompt.split()[-2]
    article = "an" if colour[0] in "aeiou" else "a"
    return (*(f"a {shape}" for shape in shapes), f"{article} {colour} cloud", f"{colour} debris", "nothing")


def make(prompt: str, seed: int, objective: str, captions: list[str], runs: Path, more: list[str]) -> None:
    """Trains one object, or finds it finished."""
    workdir = runs / objective / f"{prompt.replace(' ', '-')}-{seed}"
    if objective == "contrastive":
        more = [*more, f"--config.clip.negatives={negatives(prompt, captions)!r}"]
    call(
        "voxjax.train",
        "--config=configs/demo.py",
        f"--workdir={workdir}",
        f"--config.prompt={prompt}",
        f"--config.seed={seed}",
        f"--config.clip.objective={objective}",
        # The report looks at stills only.
        "--config.output.preview_every=0",
        "--config.output.turntable_frames=2",
        "--config.output.turntable_width_px=64",
        *more,
        quiet=True,
        threads=1,
    )
    print(workdir, flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=Path, default=Path("launch/pocket_prompts.txt"))
    parser.add_argument("--captions", type=Path, default=Path("launch/pocket_captions.txt"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--objectives", nargs="+", default=["cosine", "contrastive"], choices=sorted(TITLES))
    parser.add_argument("--runs", type=Path, default=Path("runs/pocket-report"))
    parser.add_argument("--out", type=Path, default=Path("docs/pocket"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args, overrides = parser.parse_known_args()
    prompts, captions = (
        [line.strip() for line in path.read_text().splitlines() if line.strip()]
        for path in (args.prompts, args.captions)
    )
    args.out.mkdir(parents=True, exist_ok=True)
    call("voxjax.guidance.pocket.score", f"--out={args.out / 'true_renders.json'}")
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [
            pool.submit(make, prompt, seed, objective, captions, args.runs, overrides)
            for objective in args.objectives
            for seed in range(args.seeds)
            for prompt in prompts
        ]
        for job in jobs:
            job.result()
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
            "voxjax.report",
            f"--table={table}",
            f"--out={args.out / objective}",
            f"--title={TITLES[objective]}",
        )


if __name__ == "__main__":
    main()
