"""From a prompt to an object with nothing else to say: `voxjax make "a bonsai tree"`.

Chooses config and CLIP by what this machine has, says so in one line, trains in a process of its own, and
ends with the paths of what came out. Called again it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from voxjax.command import Parser, run_command, whole_number
from voxjax.config.loading import load, take_overrides
from voxjax.config.naming import default_workdir
from voxjax.devices import count_cores
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable
from voxjax.making import runs
from voxjax.making.choice import choose, given, needs_network, time_words
from voxjax.making.options import QUALITIES, SMALLEST, Choice

FLAGS = ("--quality", "--seeds", "--workdir", "--config", "--force")


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right before the run starts.
      SystemExit: with the status of a run that failed, which has said why.
    """
    flags, rest = _parser().parse_known_args(arguments)
    overrides = take_overrides(rest, flags=FLAGS)
    _check(flags, [key for key, _ in overrides])
    prompt, quality = flags.prompt, flags.quality or "good"
    folder = default_workdir(flags.config, prompt) if flags.config else runs.folder_of(prompt, quality)
    workdir = Path(flags.workdir or (f"{folder}-seeds" if flags.seeds > 1 else folder))
    refuse_unwritable(workdir, f"--workdir={workdir}")
    if flags.config:
        choice = given(flags.config, count_cores(), changed=bool(overrides))
    else:
        choice = runs.recall(workdir, quality) or _choose(prompt, quality)
    settings = [*choice.settings, *overrides, ("prompt", prompt)]
    config = load(choice.config, settings)
    if flags.config:
        choice = dataclasses.replace(choice, words=choice.words + _small_clip(config))
    many = f" for each of {flags.seeds} seeds" if flags.seeds > 1 else ""
    print(f"{prompt}: {choice.words}; {time_words(choice)}{many}", file=sys.stderr, flush=True)
    began = time.monotonic()
    if not flags.config:
        runs.remember(workdir, quality, choice)
    status = (_make_seeds if flags.seeds > 1 else _make_one)(choice.config, workdir, settings, flags)
    if status:
        runs.forget(workdir)
        sys.exit(status if status > 0 else 1)
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(f"{prompt}: done after {minutes}:{seconds:02d}", file=sys.stderr, flush=True)
    for path in runs.results(workdir):
        print(path)


def _check(flags: argparse.Namespace, keys: list[str]) -> None:
    if "prompt" in keys:
        raise UserError("--config.prompt: the prompt is given bare, as in voxjax make 'a bonsai tree'")
    if "seed" in keys and flags.seeds > 1:
        raise UserError(f"--config.seed: with --seeds={flags.seeds} they are 0 to {flags.seeds - 1}")
    if flags.config and flags.quality:
        raise UserError(f"--quality={flags.quality} chooses a config, and --config names one; leave one away")


def _choose(prompt: str, quality: str) -> Choice:
    from voxjax.guidance import shipped
    from voxjax.making.machine import hub_answers, look

    machine, small = look(), shipped.fit([prompt])
    if needs_network(prompt, small, quality, machine):
        machine = dataclasses.replace(machine, online=hub_answers())
    return choose(prompt, small, quality, machine)


def _small_clip(config: ConfigDict) -> str:
    """Which small CLIP the words have chosen, in words; nothing where the config names its model."""
    if config.clip.model not in SMALLEST or config.clip.path:
        return ""
    from voxjax.guidance.ensemble import guide_specs

    return f", under {guide_specs(config)[0].model}, which ships and knows every word of it"


def _make_one(config: str, workdir: Path, settings: list[tuple[str, str]], flags: argparse.Namespace) -> int:
    return runs.train(config, workdir, settings, force=flags.force)


def _make_seeds(
    config: str, workdir: Path, settings: list[tuple[str, str]], flags: argparse.Namespace
) -> int:
    from voxjax.making import seeds

    seeds.refuse_foreign(workdir)
    finished, status = seeds.train_seeds(config, workdir, settings, range(flags.seeds), force=flags.force)
    if status:
        return status
    scores, judge = seeds.judge_seeds(config, workdir, settings, finished, flags.prompt)
    best = seeds.keep_best(workdir, scores, judge)
    words = ", ".join(f"seed {seed} {score:.3f}" for seed, score in sorted(scores.items()))
    print(
        f"kept seed {best} ({words}: mean cosine under {judge}); all lie in {workdir / 'seeds'}",
        file=sys.stderr,
    )
    return 0


def _parser() -> Parser:
    parser = Parser("make")
    parser.add_argument("prompt", help="what to make, such as 'a bonsai tree'")
    parser.add_argument("--quality", choices=QUALITIES, help="how long it may take (default: good)")
    seeds = "make it so many times and keep the best by a judge (default: 1)"
    parser.add_argument("--seeds", type=whole_number(1, 64), default=1, help=seeds)
    parser.add_argument("--workdir", help="folder of the run; default: by the prompt, under runs/")
    parser.add_argument("--config", help="train this config instead of choosing one")
    force = "start even if the memory of the accelerator is expected to be too small"
    parser.add_argument("--force", action="store_true", help=force)
    files = ", ".join(runs.RESULTS)
    parser.epilog = f"Ends with the paths of {files}. Any key can be set with --config.key=value."
    return parser


if __name__ == "__main__":
    run_command(main)
