"""Trains the two small CLIPs that know things, from pictures in packages.

    python -m voxjax.picturebook.train --model=picturebook

Contrastive training over captions with colours as hard negatives, a dense head on where the thing is (dropped
afterwards), and for `picturebook` a second pass over each batch shifted along its pixel gradient. A run that
was cut off goes on from its snapshot when the same command is given again.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.command import Parser, run_command, whole_number
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable, write_text
from voxjax.guidance.convert import OPEN_CLIP_SAFETENSORS, SAFETENSORS
from voxjax.picturebook import bank, batches, model, names
from voxjax.picturebook.score import score
from voxjax.picturebook.sheet import write_sheets
from voxjax.smallclips import norms, saving, tokenizer
from voxjax.smallclips.recipe import Recipe
from voxjax.smallclips.run import SNAPSHOT, Progress, Run, Task, has_snapshot, run_phase
from voxjax.smallclips.towers import build, encode_images

SCORES = "scores.json"
_N_MEASURED = 8  # batches that the statistics of a ResNet's normalisations are taken over


def train(recipe: Recipe, folder: Path, cache: Path, flags: argparse.Namespace) -> dict:
    """Trains one model and writes it to `folder`, with its scores; goes on from a snapshot.

    Args:
      recipe: which model.
      folder: created; receives the checkpoint.
      cache: of archives and pictures.
      flags: `without`, `minutes`, `keep_every`, `log_every`.

    Returns:
      The scores, see `score.score`.
    """
    own = bank.load(recipe.name, cache, flags.without)
    other = bank.load(bank.OTHER[recipe.name], cache, flags.without)
    _say(own, recipe.name)
    key = jax.random.key(recipe.seed, impl="rbg")
    tokenizer.write(folder, names.words(), names.plain_captions(), text_length=names.TEXT_LENGTH)
    towers, clip = build(recipe, folder, jax.random.fold_in(key, 1))
    size = sum(leaf.size for leaf in jax.tree.leaves(clip))
    print(f"{recipe.name}: {size / 1e6:.2f} M parameters on {jax.devices()[0].device_kind}", flush=True)
    draw = batches.Draw(own, folder, size=recipe.image_size)
    scores: dict = {}

    def keep(ema, progress: Progress) -> None:
        statistics = None
        if recipe.is_resnet:
            rng = np.random.default_rng(recipe.seed)
            keys = (jax.random.fold_in(key, i) for i in range(_N_MEASURED))
            drawn = (draw(each, rng, jnp.float32(1.0)).images for each in keys)
            statistics = norms.measure(functools.partial(encode_images, towers), ema, drawn)
        saving.save(folder, ema, statistics, half=True)
        scores.clear()
        scores.update(score(folder, other))
        stood = {"model": recipe.name, "seed": recipe.seed, **dataclasses.asdict(progress), "scores": scores}
        stood.pop("generator")
        write_text(folder / SCORES, json.dumps(stood, indent=1) + "\n")
        for name, kinds in scores.items():
            words = ", ".join(f"{k} {v['top1']:.1%} first, {v['top5']:.1%} in five" for k, v in kinds.items())
            print(f"  {name}: {words}", flush=True)

    task = Task(draw, model.make_loss(towers, recipe), model.init_helpers(jax.random.fold_in(key, 2), recipe))
    run = Run(folder, keep, flags.keep_every, flags.log_every, flags.minutes)
    for i, phase in enumerate(recipe.phases):
        clip = run_phase(jax.random.fold_in(key, 10 + i), i, phase, task, clip, run)
    (folder / SNAPSHOT).unlink(missing_ok=True)
    return scores


def _say(own: bank.Bank, name: str) -> None:
    counts = np.bincount(own.source_ids, minlength=len(own.sources))
    listed = ", ".join(f"{source} {count}" for source, count in zip(own.sources, counts, strict=True))
    lacking = bank.missing(own)
    without = f"; without a picture: {', '.join(lacking)}" if lacking else ""
    print(f"{name}: {listed} pictures of {len(np.unique(own.things))} things{without}", flush=True)


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: a package is missing, or the folder holds a finished model or cannot be written.
    """
    flags = _parser().parse_args(arguments)
    known = dict.fromkeys(name for side in bank.SIDES.values() for name in side)
    if not known.keys() >= set(flags.without):
        raise UserError(f"--without={','.join(flags.without)}: the sources are {', '.join(known)}")
    if flags.minutes is not None and not 0 < flags.minutes < math.inf:
        raise UserError(f"--minutes={flags.minutes} must be above 0 and finite")
    refuse_unwritable(flags.cache, f"--cache={flags.cache}")
    if flags.core is not None:
        _pin(flags.core)
    if flags.model is None:
        for side in bank.SIDES:
            _say(bank.load(side, flags.cache, flags.without), side)
        return
    recipe = _recipe(flags)
    folder = flags.out or Path("runs/picturebook") / recipe.name
    weights = folder / (OPEN_CLIP_SAFETENSORS if recipe.is_resnet else SAFETENSORS)
    if not flags.sheet and weights.exists() and not has_snapshot(folder):
        raise UserError(f"--out={folder} holds a model already; give another folder")
    refuse_unwritable(folder, f"--out={folder}")
    if flags.sheet:
        own = bank.load(recipe.name, flags.cache, flags.without)
        tokenizer.write(folder, names.words(), names.plain_captions(), text_length=names.TEXT_LENGTH)
        draw = batches.Draw(own, folder, size=recipe.image_size)
        for file in write_sheets(folder, own, draw, recipe.seed):
            print(file)
        return
    train(recipe, folder, flags.cache, flags)


def _recipe(flags: argparse.Namespace) -> Recipe:
    recipe = model.RECIPES[flags.model]
    if flags.seed is not None:
        recipe = dataclasses.replace(recipe, seed=flags.seed)
    if flags.steps is not None:
        phases = tuple(dataclasses.replace(phase, steps=flags.steps) for phase in recipe.phases)
        recipe = dataclasses.replace(recipe, phases=phases)
    return recipe


def _pin(core: int) -> None:
    """Keeps the process on one core, where XLA then starts one thread: before JAX looks for devices."""
    if hasattr(os, "sched_setaffinity"):  # Linux alone
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {available[core % len(available)]})


def _parser() -> Parser:
    parser = Parser(prog="voxjax.picturebook.train", description="Train a small CLIP that knows things.")
    parser.add_argument("--model", choices=sorted(model.RECIPES), help="default: only fetch and render")
    parser.add_argument("--out", type=Path, help="folder of the checkpoint; default: runs/picturebook/MODEL")
    parser.add_argument(
        "--cache", type=Path, default=Path("runs/picturebook/cache"), help="archives, pictures"
    )
    parser.add_argument("--steps", type=whole_number(2, 10**7), help="updates; default: the recipe's")
    parser.add_argument("--minutes", type=float, help="end after so many minutes of updates instead")
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), help="default: the recipe's")
    split = lambda text: tuple(filter(None, text.split(",")))  # noqa: E731
    parser.add_argument("--without", type=split, default=(), help="sources to leave out: openmoji,models")
    parser.add_argument("--core", type=whole_number(0, 1023), help="stay on this CPU core, from 0 and around")
    every = whole_number(1, 10**7)
    parser.add_argument("--keep_every", type=every, default=500, help="updates between snapshots")
    parser.add_argument("--log_every", type=every, default=50, help="updates between lines of the log")
    parser.add_argument("--sheet", action="store_true", help="write contact sheets of the pictures and end")
    return parser


if __name__ == "__main__":
    run_command(main)
