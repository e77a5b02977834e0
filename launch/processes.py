"""Commands of voxjax as processes: one, or many training runs side by side."""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


def call(module: str, *arguments: str, quiet: bool = False, threads: int | None = None) -> None:
    """Runs `python -m module`, and stops everything if it fails.

    Args:
      module: a command of voxjax.
      arguments: its arguments.
      quiet: what it says is shown only if it fails.
      threads: how many it may use on CPU; None for its own choice.

    Raises:
      SystemExit: it failed; status 2, after its one line, where the user can put it right.
    """
    environment = dict(os.environ)
    if threads:
        flags = f"--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads={threads}"
        environment["XLA_FLAGS"] = f"{environment.get('XLA_FLAGS', '')} {flags}".strip()
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment, capture_output=quiet, text=True)
    if done.returncode == 2:
        if quiet:
            print(done.stderr.strip().rpartition("\n")[-1], file=sys.stderr)
        raise SystemExit(2)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stderr or '')[-2000:]}")


@dataclass(frozen=True)
class Job:
    """One object to train.

    Attributes:
      workdir: its folder.
      config: config file and variant.
      prompt: what it is.
      seed: of the run.
      more: further arguments of `voxjax.train`.
    """

    workdir: Path
    config: str
    prompt: str
    seed: int
    more: Sequence[str] = ()


def jobs_of(
    variants: Sequence[str], prompts: Sequence[str], *, seeds: int, runs: Path, more: Sequence[str]
) -> dict[str, list[Job]]:
    """Every prompt under every seed, with variants of the demo.

    Args:
      variants: of `configs/demo.py`.
      prompts: what to make.
      seeds: how many.
      runs: folder for all runs, one inside it for each variant.
      more: further arguments of `voxjax.train`.

    Returns:
      Variant -> its jobs.
    """
    return {
        variant: [
            Job(runs / variant / run_name(prompt, seed), f"configs/demo.py:{variant}", prompt, seed, more)
            for seed in range(seeds)
            for prompt in prompts
        ]
        for variant in variants
    }


def train(job: Job) -> None:
    """Trains one object of which stills are wanted, or finds it finished; one thread."""
    call(
        "voxjax.train",
        f"--config={job.config}",
        f"--workdir={job.workdir}",
        f"--config.prompt={job.prompt}",
        f"--config.seed={job.seed}",
        "--config.output.preview_every=0",
        "--config.output.turntable_frames=2",
        "--config.output.turntable_width_px=64",
        "--config.output.mesh=False",
        "--config.output.report=False",
        *job.more,
        quiet=True,
        threads=1,
    )
    print(job.workdir, flush=True)


def train_all(jobs: Sequence[Job], *, side_by_side: int) -> None:
    """Trains all objects, some at a time.

    Raises:
      SystemExit: a run failed; those not yet begun are left away.
    """
    with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
        for done in [pool.submit(train, job) for job in jobs]:
            try:
                done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a text file that hold something, each once, white space made single."""
    lines = (" ".join(line.split()) for line in path.read_text(encoding="utf-8").splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def whole_number(text: str) -> int:
    """A converter for `add_argument(type=...)`: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def lines_of(text: str) -> list[str]:
    """A converter for `add_argument(type=...)`: the lines of a text file, see `read_lines`, at least one."""
    try:
        lines = read_lines(Path(text))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text}: cannot be read ({error}); give a text file") from error
    if not lines:
        raise argparse.ArgumentTypeError(f"{text}: nothing in it; write one a line")
    return lines


def refuse_unfit(configs: Sequence[str], prompts: Sequence[str], *, runs: Path, more: Sequence[str]) -> None:
    """Stops before the first run if one could not be trained: `voxjax sweep` looks, and starts none.

    Args:
      configs: config files and variants.
      prompts: what each of them makes.
      runs: folder for all runs.
      more: further arguments of `voxjax.train`.

    Raises:
      SystemExit: status 2, with the mistake in one line.
    """
    asked = [f"--config={config}" for config in configs] + [f"--prompt={prompt}" for prompt in prompts]
    settings = [each for each in more if each != "--force"]  # which is for training alone
    call("voxjax.sweep", "--dry-run", *asked, f"--root={runs}", *settings, quiet=True)


def refuse_unranked(prompts: Sequence[str], captions: Sequence[str]) -> None:
    """Stops before the first run if a prompt is not among the captions that its object will be ranked by.

    Raises:
      SystemExit: status 2, with the prompt in one line.
    """
    known = {caption.lower().strip(" .,") for caption in captions}
    missing = [prompt for prompt in prompts if prompt.lower().strip(" .,") not in known]
    if missing:
        print(
            f"voxjax: no caption for the prompt {missing[0]!r}; the judge ranks captions only",
            file=sys.stderr,
        )
        raise SystemExit(2)


def run_name(prompt: str, seed: int) -> str:
    """Returns the folder name of a run."""
    return f"{prompt.replace(' ', '-')}-{seed}"
