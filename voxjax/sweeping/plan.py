"""The plan of a sweep: prompts x configs x settings x seeds as runs, each with a folder. Data, no more."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.config.loading import load
from voxjax.config.naming import spec_name, split_spec
from voxjax.config.programs import expand
from voxjax.config.saved import flatten
from voxjax.errors import UserError
from voxjax.sweeping.flags import Axis, refuse_repeated
from voxjax.sweeping.naming import run_name

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class PlannedRun:
    """One run of a plan.

    Attributes:
      name: of its folder.
      spec: config and variant; the path of a file is absolute.
      settings: pairs of key and value on top of it, without prompt and seed.
      prompt: what is made.
      seed: of the run.
      steps: that it will take.
    """

    name: str
    spec: str
    settings: Pairs
    prompt: str
    seed: int
    steps: int

    def arguments(self, root: Path) -> list[str]:
        """What follows `voxjax train`."""
        pairs = (*self.settings, ("prompt", self.prompt), ("seed", str(self.seed)))
        settings = [f"--config.{key}={value}" for key, value in pairs]
        return [f"--config={self.spec}", f"--workdir={root / self.name}", *settings]


@dataclass(frozen=True)
class Plan:
    """All runs of a sweep.

    Attributes:
      runs: in the order in which they begin: seed by seed, prompt by prompt, so that a sweep that is cut
        short has as much of each config.
      configs: (spec, settings) -> the config of those runs, which differ in prompt and seed alone.
    """

    runs: tuple[PlannedRun, ...]
    configs: Mapping[tuple[str, Pairs], ConfigDict]

    def config_of(self, run: PlannedRun) -> ConfigDict:
        """The whole config of a run."""
        config = self.configs[run.spec, run.settings].copy_and_resolve_references().unlock()
        config.prompt, config.seed = run.prompt, run.seed
        return config.lock()


def make_plan(
    specs: Sequence[str],
    prompts: Sequence[str],
    *,
    seeds: Sequence[int] = (0,),
    axes: Sequence[Axis] = (),
    fixed: Sequence[tuple[str, str]] = (),
) -> Plan:
    """Makes the plan; the same arguments give the same one, and more of them leave its names as they are.

    Args:
      specs: configs as typed; `NAME:all` is every variant that the config lists.
      prompts: each once.
      seeds: each once.
      axes: keys with the values that they take, all combinations of them.
      fixed: keys with the value that they have in all runs.

    Raises:
      UserError: a config, key or value that is none, or two ways of saying the same run.
    """
    _refuse_clashes(axes, fixed)
    wanted = [one for spec in specs for one in expand(_absolute(spec))]
    refuse_repeated(wanted, "--config")
    axes = sorted(axes, key=lambda axis: axis.key)  # the order in which they were typed is none of the run's
    kinds, configs = list[_Kind](), dict[tuple[str, Pairs], ConfigDict]()
    for spec in wanted:
        for values in itertools.product(*(axis.values for axis in axes)):
            typed = tuple(zip((axis.key for axis in axes), values, strict=True))
            config = _load(spec, fixed, typed, prompts[0])
            kind = _Kind(spec, spec_name(spec), tuple(fixed), _varied(config, typed), config)
            if (spec, kind.settings) in configs:
                words = ", ".join(f"{key}={value}" for key, value in typed)
                raise UserError(f"--set: {words} stands there twice, spelt in two ways; leave one away")
            configs[spec, kind.settings] = config
            kinds.append(kind)
    runs = [kind.run(prompt, seed) for seed, prompt, kind in itertools.product(seeds, prompts, kinds)]
    _refuse_one_folder_for_two(runs)
    return Plan(tuple(runs), configs)


@dataclass(frozen=True)
class _Kind:
    """A config with its settings: what a run is before it has a prompt and a seed."""

    spec: str
    title: str
    fixed: Pairs
    varied: tuple[tuple[str, Any], ...]
    config: ConfigDict

    @property
    def settings(self) -> Pairs:
        values = ((key, value if isinstance(value, str) else repr(value)) for key, value in self.varied)
        return (*self.fixed, *values)

    def run(self, prompt: str, seed: int) -> PlannedRun:
        name = run_name(self.title, prompt, self.varied, seed)
        return PlannedRun(name, self.spec, self.settings, prompt, seed, self.config.steps)


def _varied(config: ConfigDict, typed: Pairs) -> tuple[tuple[str, Any], ...]:
    """The values that the config made of what was typed."""
    known = dict(flatten(config))
    return tuple((key, known[key]) for key, _ in typed)


def _absolute(spec: str) -> str:
    """The spec from anywhere: what ships by its name, a file by its absolute path."""
    path, variant = split_spec(spec)
    if not spec.partition(":")[0].endswith(".py") and not spec.endswith(".py"):
        return spec
    return f"{path.absolute()}{'' if variant is None else ':' + variant}"


def _load(spec: str, fixed: Sequence[tuple[str, str]], varied: Pairs, prompt: str) -> ConfigDict:
    try:
        return load(spec, [*fixed, *varied, ("prompt", prompt)])
    except UserError as error:
        words = str(error)
        for key, _ in varied:
            if words.startswith(f"--config.{key}="):
                words = words.replace("--config.", "--set ")
                break
        raise UserError(words) from error


def _refuse_clashes(axes: Sequence[Axis], fixed: Sequence[tuple[str, str]]) -> None:
    refuse_repeated((axis.key for axis in axes), "--set")
    keys = {key for key, _ in fixed}
    for key in ("prompt", "seed"):
        if key in keys:
            raise UserError(f"--config.{key}: give {key}s with --{key}s")
    for axis in axes:
        if axis.key in keys:
            raise UserError(f"--set {axis.key}=...: --config.{axis.key} gives it too; leave one away")


def _refuse_one_folder_for_two(runs: Sequence[PlannedRun]) -> None:
    seen: dict[str, PlannedRun] = {}
    for run in runs:
        other = seen.setdefault(run.name, run)
        if other is not run:
            raise UserError(
                f"--config={other.spec} ({other.prompt!r}) and --config={run.spec} ({run.prompt!r}) would "
                f"share the folder {run.name}; rename one of the config files"
            )
