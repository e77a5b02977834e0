"""Trains the two pocket CLIPs from images that it renders itself.

    python -m voxjax.guidance.pocket.train --model=pocket --seed=0 --steps=4000 --out=FOLDER

Contrastive training over captions, with three helpers that pay on a small budget: shape-only and colour-only
captions (an embedding that adds up from its parts carries over to pairs never shown), a dense head on the
patches (where is what: dropped afterwards), and for `pocket` a second pass over each batch shifted along its
pixel gradient, which makes the gradients that later guide an object smooth and meaningful.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib

from voxjax.guidance.pocket import bank, batches, captions, model, score
from voxjax.guidance.pocket.model import Recipe

Array = jax.Array
MAX_LOGIT_SCALE = 20.0
_CLEAN_PASSES = 0.3
_EMA = 0.998


def build(recipe: Recipe, folder: Path, key: Array):
    """The transformers Flax module and its fresh parameters; writes `config.json` and tokenizer files."""
    from transformers import CLIPConfig
    from transformers.models.clip.modeling_flax_clip import FlaxCLIPModule

    captions.write_tokenizer(folder)
    settings = model.clip_config(recipe, captions.special_ids(folder))
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    module = FlaxCLIPModule(CLIPConfig(**settings))
    ids = jnp.zeros((1, captions.TEXT_LENGTH), jnp.int32)
    pixels = jnp.zeros((1, recipe.image_size, recipe.image_size, 3))
    params = module.init(key, ids, pixels, jnp.ones_like(ids), jnp.arange(captions.TEXT_LENGTH)[None])[
        "params"
    ]
    return module, initialise(jax.random.fold_in(key, 1), params)


def initialise(key: Array, params):
    """Redraws the weights at variance 1 / fan-in; the module's own start (sd 0.01) stalls towers this small.

    Args:
      key: PRNG key.
      params: the parameters of a FlaxCLIPModule.

    Returns:
      The same tree: kernels at sd fan_in^-0.5 (those that write to the residual stream divided by
      sqrt(2 * layers)), embeddings large enough that words and places differ from the first step.
    """
    from flax.traverse_util import flatten_dict, unflatten_dict

    flat = flatten_dict(params)
    depth = {tower: len(params[tower]["encoder"]["layers"]) for tower in ("text_model", "vision_model")}
    fresh = {}
    for i, (path, leaf) in enumerate(sorted(flat.items())):
        noise = jax.random.normal(jax.random.fold_in(key, i), leaf.shape)
        if path[-1] == "kernel":
            sd = float(np.prod(leaf.shape[:-1])) ** -0.5
            if "out_proj" in path or "fc2" in path:
                sd *= (2 * depth[path[0]]) ** -0.5
            fresh[path] = sd * noise
        elif "token_embedding" in path:
            fresh[path] = 0.5 * noise
        elif path[-1] in ("embedding", "class_embedding"):
            fresh[path] = 0.2 * noise
        else:
            fresh[path] = leaf
    fresh[("logit_scale",)] = jnp.asarray(np.log(10.0), jnp.float32)
    return unflatten_dict(fresh)


def encode_texts(module, params, token_ids: Array) -> Array:
    """[c, TEXT_LENGTH] token ids -> unit [c, d]."""

    def forward(m, ids):
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
        pooled = m.text_model(ids, jnp.ones_like(ids), positions, deterministic=True)[1]
        return m.text_projection(pooled)

    return model.unit(module.apply({"params": params}, token_ids, method=forward))


def encode_images(module, params, images: Array) -> tuple[Array, Array]:
    """[n, s, s, 3] in [0, 1] -> unit [n, d] and the patch tokens [n, p, width]."""

    def forward(m, pixels):
        out = m.vision_model(pixel_values=pixels, deterministic=True)
        return m.visual_projection(out[1]), out[0][:, 1:]

    embedding, tokens = module.apply({"params": params}, model.normalise(images), method=forward)
    return model.unit(embedding), tokens


def _entropy(logits: Array, labels: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1).mean()


def loss_fn(params, images: Array, batch: batches.Batch, *, module, patch_size: int) -> tuple[Array, dict]:
    """The training loss and its parts; `images` stands apart so that it can be differentiated."""
    clip = params["clip"]
    groups = [batch.token_ids, batch.shape_token_ids, batch.colour_token_ids]
    texts = encode_texts(module, clip, jnp.concatenate(groups))
    n, n_shapes = len(batch.token_ids), len(batch.shape_token_ids)
    embeddings, tokens = encode_images(module, clip, images)
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
    weights = {"caption": 1.0, "shape": 0.5, "colour": 0.2, "to_image": 0.2, "dense": 0.4}
    total = sum(weights[name] * value for name, value in parts.items())
    hit = jnp.argmax(caption_logits, axis=-1) == batch.labels
    parts["accuracy"] = hit[single].mean()
    parts["pair_accuracy"] = hit[batches.N_SINGLE : batches.N_SINGLE + batches.N_PAIR].mean()
    return total, parts


def make_optimiser(recipe: Recipe, steps: int) -> optax.GradientTransformation:
    """Muon on the matrices, AdamW on the rest; rate warmed up, then cosine to 2 %."""
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, recipe.learning_rate, max(1, steps // 25), steps, recipe.learning_rate * 0.02
    )
    muon = optax.contrib.muon(schedule, adam_b2=0.98, weight_decay=0.05, consistent_rms=0.2)
    return optax.chain(optax.clip_by_global_norm(1.0), muon)


def make_update(module, recipe: Recipe, optimiser):
    """(params, ema, opt_state, images, batch) -> the same, the pixel gradient and the loss parts."""
    loss = functools.partial(loss_fn, module=module, patch_size=recipe.patch_size)

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


@jax.jit
def shift_images(key: Array, images: Array, pixel_gradient: Array, radius: Array) -> Array:
    """Moves each image up its loss by a random distance up to `radius` (L2 norm over the image)."""
    k1, k2 = jax.random.split(key)
    n = len(images)
    distance = radius * jax.random.uniform(k1, (n,)) * jax.random.bernoulli(k2, 0.8, (n,))
    norm = jnp.sqrt(jnp.sum(pixel_gradient**2, axis=(1, 2, 3))) + 1e-12
    return jnp.clip(images + (distance / norm)[:, None, None, None] * pixel_gradient, 0.0, 1.0)


def save(folder: Path, params) -> None:
    """Writes `model.safetensors` in the tensor names and layouts of a transformers (PyTorch) CLIP checkpoint."""
    from flax.traverse_util import flatten_dict
    from safetensors.numpy import save_file

    tensors = {}
    for path, leaf in flatten_dict(jax.tree.map(np.asarray, params)).items():
        name = ".".join(path)
        if name.endswith("embedding.embedding"):
            name = name.removesuffix("embedding") + "weight"
        elif name.endswith(".kernel"):
            leaf = leaf.transpose(3, 2, 0, 1) if leaf.ndim == 4 else leaf.T
            name = name.removesuffix("kernel") + "weight"
        elif name.endswith(".scale"):
            name = name.removesuffix("scale") + "weight"
        tensors[name] = np.ascontiguousarray(leaf)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def true_score(module, params, recipe: Recipe, folder: Path) -> dict:
    """`score.summarise` for parameters in training."""
    texts = encode_texts(module, params, jnp.asarray(captions.encode(captions.single_captions(), folder)))
    encode = jax.jit(lambda images: encode_images(module, params, images)[0])
    return score.summarise(score.name_true_renders(encode, texts, image_size=recipe.image_size))


def train(recipe: Recipe, folder: Path, *, seed: int, steps: int, per_shape: int, per_pair: int) -> dict:
    """Trains one model and writes it to `folder`.

    Args:
      recipe: which model.
      folder: created; receives a transformers-layout checkpoint.
      seed: of everything that is drawn.
      steps: parameter updates.
      per_shape: photographs of each primitive; per_pair: of each stacked pair.

    Returns:
      The score on true renders.
    """
    key = jax.random.key(seed, impl="rbg")  # compiles in a tenth of the time of the default
    start = time.time()
    module, clip = build(recipe, folder, jax.random.fold_in(key, 1))
    params = {"clip": clip, "dense": model.init_dense_head(jax.random.fold_in(key, 2), recipe)}
    singles, pairs = bank.photograph_bank(jax.random.fold_in(key, 3), per_shape=per_shape, per_pair=per_pair)
    print(f"{len(singles.alpha)} + {len(pairs.alpha)} photographs in {time.time() - start:.0f} s", flush=True)
    optimiser = make_optimiser(recipe, steps)
    opt_state, ema = optimiser.init(params), jax.tree.map(jnp.copy, clip)
    update = make_update(module, recipe, optimiser)
    draw = jax.jit(
        functools.partial(
            batches.make_batch,
            phrases=batches.Phrasebook(folder),
            seen=jnp.asarray(captions.seen_mask(hold_out=recipe.hold_out)),
            style=recipe.style,
            image_size=recipe.image_size,
        )
    )
    rng = np.random.default_rng(seed)
    step = 0
    while step < steps:
        step_key = jax.random.fold_in(key, 100 + step)
        batch = draw(step_key, *batches.take(rng, singles, pairs))
        params, ema, opt_state, pixel_gradient, parts = update(params, ema, opt_state, batch.images, batch)
        step += 1
        ramp = np.clip((step / steps - _CLEAN_PASSES) / 0.2, 0.0, 1.0)
        if recipe.adversarial_radius * ramp > 0:
            radius = jnp.float32(ramp * recipe.adversarial_radius)
            shifted = shift_images(step_key, batch.images, pixel_gradient, radius)
            params, ema, opt_state, _, hard = update(params, ema, opt_state, shifted, batch)
            parts = {**parts, "hard_accuracy": hard["accuracy"]}
            step += 1
        if step % 50 < 2:
            line = " ".join(f"{name} {float(value):.3f}" for name, value in parts.items())
            print(f"step {step} {time.time() - start:.0f} s {line}", flush=True)
        if step // 500 > (step - 2) // 500 and step > 500 or step >= steps:
            save(folder, ema)
            result = true_score(module, ema, recipe, folder)
            figures = {name: value for name, value in result.items() if name != "worst_pairs"}
            print(f"step {step} true renders {figures}, pairs short of 4 of 4: {len(result['worst_pairs'])}", flush=True)
    return result


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=sorted(model.RECIPES), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--per_shape", type=int, default=3000)
    parser.add_argument("--per_pair", type=int, default=120)
    args = parser.parse_args()
    train(
        model.RECIPES[args.model],
        args.out,
        seed=args.seed,
        steps=args.steps,
        per_shape=args.per_shape,
        per_pair=args.per_pair,
    )


if __name__ == "__main__":
    main()
