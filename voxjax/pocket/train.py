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
import numpy as np
import optax
import optax.contrib

from voxjax.command import Parser, run_command
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable
from voxjax.pocket import bank, batches, captions, model
from voxjax.pocket.model import Phase, Recipe
from voxjax.pocket.towers import Towers, build, encode_images, encode_texts, save, true_score

Array = jax.Array
MAX_LOGIT_SCALE = 20.0
_CLEAN_PASSES = 0.3  # share of the steps before images are shifted along their gradient
_EASY = 0.15  # share of the steps in which clutter rises to its full amount
_EMA = 0.998


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


def make_optimiser(phase: Phase) -> optax.GradientTransformation:
    """Muon on the matrices, AdamW on the rest; rate warmed up, then cosine to 2 %."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, phase.learning_rate, max(1, phase.steps // 25), phase.steps, phase.learning_rate * 0.02
    )
    muon = optax.contrib.muon(schedule, adam_b2=0.98, weight_decay=0.05, consistent_rms=0.2)
    return optax.chain(optax.clip_by_global_norm(1.0), muon)


def make_update(towers: Towers, recipe: Recipe, phase: Phase, optimiser):
    """(params, ema, opt_state, images, batch) -> the same, the pixel gradient and the loss parts."""
    loss = functools.partial(
        loss_fn, towers=towers, patch_size=recipe.patch_size, dense_weight=0.4 * phase.dense
    )

    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def update(params, ema, opt_state, images, batch):
        (_, parts), (gradient, pixel_gradient) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
            params, images, batch
        )
        updates, opt_state = optimiser.update(gradient, opt_state, params)
        params = optax.apply_updates(params, updates)
        ema = jax.tree.map(lambda a, b: _EMA * a + (1 - _EMA) * b, ema, params["clip"])
        return params, ema, opt_state, pixel_gradient, parts

    return update


def make_draw(recipe: Recipe, phase: Phase, folder: Path):
    """(key, photographs, shape ids, clutter) -> a Batch in the recipe's style; see `batches.make_batch`."""
    return jax.jit(
        functools.partial(
            batches.make_batch,
            phrases=batches.Phrasebook(folder),
            seen=jnp.asarray(captions.seen_mask(hold_out=recipe.hold_out)),
            white_weight=phase.white_weight,
            style=recipe.style,
            image_size=recipe.image_size,
        )
    )


@jax.jit
def shift_images(key: Array, images: Array, pixel_gradient: Array, radius: Array) -> Array:
    """Moves each image up its loss by a random distance up to `radius` (L2 norm over the image)."""
    k1, k2 = jax.random.split(key)
    n = len(images)
    distance = radius * jax.random.uniform(k1, (n,)) * jax.random.bernoulli(k2, 0.8, (n,))
    norm = jnp.sqrt(jnp.sum(pixel_gradient**2, axis=(1, 2, 3))) + 1e-12
    return jnp.clip(images + (distance / norm)[:, None, None, None] * pixel_gradient, 0.0, 1.0)


def train(recipe: Recipe, folder: Path, *, per_shape: int, per_pair: int) -> dict:
    """Trains one model and writes it to `folder`.

    Args:
      recipe: which model.
      folder: created; receives a transformers-layout checkpoint.
      per_shape: photographs of each primitive; per_pair: of each stacked pair.

    Returns:
      The score on true renders.
    """
    key = jax.random.key(recipe.seed, impl="rbg")  # compiles in a tenth of the time of the default
    start = time.time()
    towers, clip = build(recipe, folder, jax.random.fold_in(key, 1))
    banks = bank.photograph_bank(jax.random.fold_in(key, 3), per_shape=per_shape, per_pair=per_pair)
    counts = " + ".join(str(len(each.alpha)) for each in banks)
    print(f"{counts} photographs, {time.time() - start:.0f} s", flush=True)
    for i, phase in enumerate(recipe.phases):
        phase_key = key if i == 0 else jax.random.fold_in(key, 10 + i)
        clip = run_phase(phase_key, recipe, phase, folder, towers, clip, banks)
    result = true_score(towers, clip, recipe, folder)
    print(f"true renders {result}", flush=True)
    return result


def run_phase(key: Array, recipe: Recipe, phase: Phase, folder: Path, towers: Towers, clip, banks) -> Any:
    """One phase; the averaged weights are saved every 500 steps and at its end, and returned."""
    params = {"clip": clip, "dense": model.init_dense_head(jax.random.fold_in(key, 2), recipe)}
    optimiser = make_optimiser(phase)
    opt_state, ema = optimiser.init(params), jax.tree.map(jnp.copy, clip)
    update, draw = make_update(towers, recipe, phase, optimiser), make_draw(recipe, phase, folder)
    rng = np.random.default_rng(int(jax.random.key_data(key)[-1]))
    start, step = time.time(), 0
    while step < phase.steps:
        step_key = jax.random.fold_in(key, 100 + step)
        clutter = jnp.float32(clutter_at(phase, step))
        batch = draw(step_key, *batches.take(rng, *banks), clutter)
        params, ema, opt_state, pixel_gradient, parts = update(params, ema, opt_state, batch.images, batch)
        step += 1
        radius = phase.adversarial_radius * np.clip((step / phase.steps - _CLEAN_PASSES) / 0.2, 0.0, 1.0)
        if radius > 0:
            shifted = shift_images(step_key, batch.images, pixel_gradient, jnp.float32(radius))
            params, ema, opt_state, _, hard = update(params, ema, opt_state, shifted, batch)
            parts = {**parts, "hard_accuracy": hard["accuracy"]}
            step += 1
        if step % 50 < 2:
            line = " ".join(f"{name} {float(value):.3f}" for name, value in parts.items())
            print(f"step {step} {time.time() - start:.0f} s {line}", flush=True)
        if step % 500 < 2 or step >= phase.steps:
            save(folder, ema)
    return ema


def clutter_at(phase: Phase, step: int) -> float:
    """How much of the clutter a step draws: a phase begins easy, unless its amount is fixed."""
    rising = float(np.clip(step / (_EASY * phase.steps) - 0.2, 0.0, 1.0))
    return rising if phase.clutter is None else phase.clutter


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
    parser.add_argument("--seed", type=int, help="default: the recipe's")
    parser.add_argument("--per_shape", type=int, default=3000, help="photographs of each primitive")
    parser.add_argument("--per_pair", type=int, default=120, help="photographs of each stacked pair")
    args = parser.parse_args(arguments)
    recipe = model.RECIPES[args.model]
    if args.seed is not None:
        recipe = dataclasses.replace(recipe, seed=args.seed)
    folder = args.out or Path("runs/pocket") / args.model
    if (folder / "model.safetensors").exists():
        raise UserError(f"--out={folder} holds a model already; give another folder")
    refuse_unwritable(folder, f"--out={folder}")
    train(recipe, folder, per_shape=args.per_shape, per_pair=args.per_pair)


if __name__ == "__main__":
    run_command(main)
