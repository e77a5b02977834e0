"""Trains the two pocket CLIPs from images that it renders itself.

    python -m voxjax.pocket.train --model=pocket

Contrastive training over captions, with three helpers that pay on a small budget: shape-only and colour-only
captions (an embedding that adds up from its parts carries over to pairs never shown), a dense head on the
patches (where is what: dropped afterwards), and for `pocket` a second pass over each batch shifted along its
pixel gradient, which makes the gradients that later guide an object smooth and meaningful.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from voxjax.command import Parser, run_command, whole_number
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable
from voxjax.pocket import bank, batches, captions, model, score
from voxjax.pocket.model import PocketPhase, PocketRecipe
from voxjax.smallclips.run import SNAPSHOT, Run, Task, has_snapshot, run_phase
from voxjax.smallclips.saving import save
from voxjax.smallclips.towers import Towers, build, encode_images, encode_texts

Array = jax.Array
MAX_LOGIT_SCALE = 20.0


def _entropy(logits: Array, labels: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1).mean()


def loss_fn(
    params, images: Array, batch: batches.Batch, *, towers, patch_size: int, dense_weight: float
) -> tuple[Array, dict]:
    """The training loss and its parts; `images` stands apart so that it can be differentiated."""
    clip = params["clip"]
    groups = [batch.token_ids, batch.shape_token_ids, batch.colour_token_ids]
    texts = encode_texts(towers, clip, jnp.concatenate(groups))
    n, n_shapes = len(batch.token_ids), len(batch.shape_token_ids)
    embeddings, tokens = encode_images(towers, clip, images)
    scale = jnp.exp(jnp.minimum(clip["logit_scale"], jnp.log(MAX_LOGIT_SCALE)))
    logits = scale * embeddings @ texts.T
    single = slice(0, batches.N_SINGLE)
    caption_logits = jnp.where(batch.candidate, logits[:, :n], -1e9)
    own = batch.labels[:, None] == jnp.arange(n)[None, :]
    to_image = jax.nn.log_softmax(jnp.where(batch.candidate, logits[:, :n], -1e9), axis=0)
    is_object = (jnp.arange(len(images)) < batches.N_SINGLE + batches.N_PAIR).astype(jnp.float32)
    targets = model.dense_targets(batch.geometry, batch.shape_ids, batch.colour_ids, patch_size)
    parts = {
        "caption": _entropy(caption_logits, batch.labels),
        "shape": _entropy(logits[single, n : n + n_shapes], batch.shape_ids[single, 0]),
        "colour": _entropy(logits[single, n + n_shapes :], batch.colour_ids[single, 0]),
        "to_image": -jnp.sum(jnp.where(own, to_image, 0.0)) / len(images),
        "dense": model.dense_loss(params["dense"], tokens, targets, is_object),
    }
    weights = {"caption": 1.0, "shape": 1.0, "colour": 0.2, "to_image": 0.2, "dense": dense_weight}
    total = sum((weights[name] * value for name, value in parts.items()), start=jnp.zeros(()))
    hit = jnp.argmax(caption_logits, axis=-1) == batch.labels
    parts["accuracy"] = hit[single].mean()
    parts["pair_accuracy"] = hit[batches.N_SINGLE : batches.N_SINGLE + batches.N_PAIR].mean()
    return total, parts


def make_task(
    key: Array, recipe: PocketRecipe, phase: PocketPhase, folder: Path, towers: Towers, banks
) -> Task:
    """What a phase draws and asks for; see `batches.make_batch` and `loss_fn`."""
    make_batch = jax.jit(
        functools.partial(
            batches.make_batch,
            phrases=batches.Phrasebook(folder),
            seen=jnp.asarray(captions.seen_mask(hold_out=recipe.hold_out)),
            white_weight=phase.white_weight,
            style=recipe.style,
            image_size=recipe.image_size,
        )
    )
    loss = functools.partial(
        loss_fn, towers=towers, patch_size=recipe.patch_size, dense_weight=0.4 * phase.dense
    )
    helpers = {"dense": model.init_dense_head(jax.random.fold_in(key, 2), recipe)}
    return Task(lambda key, rng, clutter: make_batch(key, *batches.take(rng, *banks), clutter), loss, helpers)


def train(recipe: PocketRecipe, folder: Path, *, per_shape: int, per_pair: int) -> dict:
    """Trains one model and writes it to `folder`; goes on where a run that was cut off left a snapshot.

    Args:
      recipe: which model.
      folder: created; receives a transformers-layout checkpoint.
      per_shape: photographs of each primitive; per_pair: of each stacked pair.

    Returns:
      The score on true renders.
    """
    key = jax.random.key(recipe.seed, impl="rbg")  # compiles in a tenth of the time of the default
    start = time.time()
    captions.write_tokenizer(folder)
    towers, clip = build(recipe, folder, jax.random.fold_in(key, 1))
    banks = bank.photograph_bank(jax.random.fold_in(key, 3), per_shape=per_shape, per_pair=per_pair)
    counts = " + ".join(str(len(each.alpha)) for each in banks)
    print(f"{counts} photographs, {time.time() - start:.0f} s", flush=True)
    run = Run(folder, keep=lambda ema, progress: save(folder, ema))
    for i, phase in enumerate(recipe.phases):
        phase_key = key if i == 0 else jax.random.fold_in(key, 10 + i)
        task = make_task(phase_key, recipe, phase, folder, towers, banks)
        clip = run_phase(phase_key, i, phase, task, clip, run)
    result = true_score(towers, clip, recipe, folder)
    print(f"true renders {result}", flush=True)
    (folder / SNAPSHOT).unlink(missing_ok=True)
    return result


def true_score(towers: Towers, params: Any, recipe: PocketRecipe, folder: Path) -> dict:
    """`score.summarise` for parameters in training."""
    texts = encode_texts(towers, params, jnp.asarray(captions.encode(captions.single_captions(), folder)))
    encode = jax.jit(lambda images: encode_images(towers, params, images)[0])
    return score.summarise(score.name_true_renders(encode, texts, image_size=recipe.image_size))


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: the folder holds a model already, or cannot be written.
    """
    parser = Parser(prog="voxjax.pocket.train", description="Train one of the small CLIPs from scratch.")
    parser.add_argument("--model", choices=sorted(model.RECIPES), required=True)
    parser.add_argument("--out", type=Path, help="folder of the checkpoint; default: runs/pocket/MODEL")
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), help="default: the recipe's")
    count = whole_number(1, 10**6)
    parser.add_argument("--per_shape", type=count, default=3000, help="photographs of each primitive")
    parser.add_argument("--per_pair", type=count, default=120, help="photographs of each stacked pair")
    args = parser.parse_args(arguments)
    recipe = model.RECIPES[args.model]
    if args.seed is not None:
        recipe = dataclasses.replace(recipe, seed=args.seed)
    folder = args.out or Path("runs/pocket") / args.model
    if (folder / "model.safetensors").exists() and not has_snapshot(folder):
        raise UserError(f"--out={folder} holds a model already; give another folder")
    refuse_unwritable(folder, f"--out={folder}")
    train(recipe, folder, per_shape=args.per_shape, per_pair=args.per_pair)


if __name__ == "__main__":
    run_command(main)
