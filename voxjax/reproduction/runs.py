"""The runs of an item: what is trained where, and its training, in processes that may be stopped."""

from __future__ import annotations

import concurrent.futures
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from voxjax.command import terminated_as_interrupted
from voxjax.config.loading import load
from voxjax.config.naming import slug
from voxjax.errors import UserError
from voxjax.evaluation.processes import start, stop_all
from voxjax.guidance import names
from voxjax.guidance.ensemble import guide_specs, prompt_plan
from voxjax.guidance.texts import refuse_unfit
from voxjax.pictures.outputs import EVALUATION
from voxjax.reproduction.items import Plan, Settings, Variant
from voxjax.run import kept_steps, refuse_other

RUNS = "runs"


@dataclass(frozen=True)
class Job:
    """One run to be.

    Attributes:
      variant: that it belongs to.
      prompt: what it makes.
      seed: of it.
      workdir: its folder.
      settings: all that differs from the variant's config.
      config: loaded, with all of these.
    """

    variant: Variant
    prompt: str
    seed: int
    workdir: Path
    settings: Settings
    config: ConfigDict

    @property
    def done(self) -> bool:
        """Whether it is trained, and its pictures are made."""
        last = max(kept_steps(self.workdir), default=-1)
        return last >= self.config.steps and (self.workdir / EVALUATION).is_file()


def jobs_of(plan: Plan, prompts: Sequence[str], *, seeds: int, root: Path, overrides: Settings) -> list[Job]:
    """Every run of a plan; what they would be trained with is looked at, and nothing begun.

    Args:
      plan: of an item.
      prompts: that each variant makes.
      seeds: of each prompt.
      root: folder of all items of this scale, which share their runs.
      overrides: for all of them, stronger than the plan's own.

    Returns:
      Variant by variant, prompts and then seeds in order.

    Raises:
      UserError: a config that cannot be trained, or a folder that holds another run.
    """
    jobs = []
    for variant in plan.variants:
        for prompt in prompts:
            for seed in range(seeds):
                made = (("prompt", prompt), ("seed", str(seed)))
                settings = (*plan.settings_of(variant), *overrides, *made)
                config = load(variant.config, settings)
                workdir = root / RUNS / slug(variant.name) / f"{slug(prompt)}-{seed}"
                refuse_other(workdir, config)
                jobs.append(Job(variant, prompt, seed, workdir, settings, config))
    taken: dict[Path, Job] = {}
    for job in jobs:
        twin = taken.setdefault(job.workdir, job)
        if twin is not job:
            raise UserError(
                f"--prompts: {twin.prompt!r} and {job.prompt!r} would share the folder {job.workdir}; change "
                "one of them"
            )
    return jobs


def fetch_models(jobs: Sequence[Job], judges: Sequence[str], captions: Sequence[str]) -> None:
    """Brings every CLIP that will guide or judge to this machine, and looks whether it takes its texts.

    Args:
      jobs: runs.
      judges: names of CLIPs.
      captions: that each judge will rank.

    Raises:
      UserError: one cannot be had, or does not take a text.
    """
    texts = {(judge, ""): dict.fromkeys(captions) for judge in judges}
    for job in jobs:
        read = dict.fromkeys((*prompt_plan(job.config).texts, *job.config.clip.negatives))
        for spec in guide_specs(job.config):
            texts.setdefault((spec.model, spec.path), {}).update(read)
    for (model, path), of_model in sorted(texts.items()):
        names.locate(model, path=path or None)
        try:
            refuse_unfit(model, path, of_model)
        except UserError as error:
            raise UserError(f"{path or model}, which guides or judges here: {error}") from error


def train_all(jobs: Sequence[Job], *, side_by_side: int, cores: int) -> dict[Path, str]:
    """Trains what is not trained yet; a run that fails does not stop the others.

    Args:
      jobs: runs.
      side_by_side: so many at a time.
      cores: of the CPU, shared among them.

    Returns:
      Workdir -> why it failed.
    """
    waiting = [job for job in jobs if not job.done]
    print(f"voxjax: {len(jobs) - len(waiting)} of {len(jobs)} runs are finished", file=sys.stderr)
    threads = max(1, cores // side_by_side) if side_by_side > 1 else None
    with terminated_as_interrupted(), concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
        started = {job.workdir: pool.submit(_train, job, threads) for job in waiting}
        try:
            ended = {workdir: future.result() for workdir, future in started.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise
    return {workdir: error for workdir, error in ended.items() if error}


def _train(job: Job, threads: int | None) -> str:
    arguments = [f"--config={job.variant.config}", f"--workdir={job.workdir}"]
    arguments += [f"--config.{key}={value}" for key, value in job.settings]
    name = f"{job.variant.name}, {job.prompt}, {job.seed}"
    return start("voxjax.train", arguments, name=name, threads=threads)
