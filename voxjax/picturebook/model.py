"""The two models of this world, and what they are asked for in training."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp

from voxjax.picturebook import batches, names
from voxjax.picturebook.batches import Batch
from voxjax.smallclips.recipe import Phase, Recipe
from voxjax.smallclips.towers import Towers, encode_images, encode_texts

Array = jax.Array
MAX_LOGIT_SCALE = 60.0
_STEPS = 8000

RECIPES = {
    "picturebook": Recipe(
        name="picturebook",
        image_size=48,
        patch_size=8,
        width=160,
        layers=6,
        heads=5,
        text_width=128,
        text_length=names.TEXT_LENGTH,
        seed=0,
        phases=(
            Phase(
                steps=_STEPS,
                learning_rate=1.6e-3,
                adversarial_radius=2.0,
                adversarial_from=0.25,
                adversarial_share=1.0,
            ),
        ),
    ),
    "picturebook-eval": Recipe(
        name="picturebook-eval",
        image_size=64,
        width=24,
        layers=(1, 1, 1, 1),
        text_width=128,
        text_length=names.TEXT_LENGTH,
        seed=1,
        phases=(Phase(steps=_STEPS, learning_rate=1.6e-3),),
    ),
}


def init_helpers(key: Array, recipe: Recipe) -> dict[str, Any]:
    """A linear head on the patches of a ViT that says where the thing is; a ResNet's cells are too few."""
    if recipe.patch_size is None:
        return {}
    n_out = recipe.patch_size**2
    kernel = jax.random.normal(key, (recipe.width, n_out)) * recipe.width**-0.5
    return {"dense": {"kernel": kernel, "bias": jnp.zeros(n_out)}}


def make_loss(towers: Towers, recipe: Recipe):
    """(params, images, batch) -> the loss and its parts; see `smallclips.training.Loss`."""
    return functools.partial(_loss, towers=towers, patch_size=recipe.patch_size)


def _loss(
    params, images: Array, batch: Batch, *, towers: Towers, patch_size: int | None
) -> tuple[Array, dict]:
    clip, n = params["clip"], len(images)
    texts = encode_texts(towers, clip, batch.token_ids)
    embeddings, patches = encode_images(towers, clip, images)
    scale = jnp.exp(jnp.minimum(clip["logit_scale"], jnp.log(MAX_LOGIT_SCALE)))
    logits = scale * embeddings @ texts.T
    n_captions = n + batches.N_WRONG
    own = jnp.arange(n)
    tinted = (batch.colour_ids >= 0).astype(jnp.float32)
    colour = _entropy(logits[:, n_captions:], jnp.maximum(batch.colour_ids, 0))
    parts = {
        "caption": _entropy(logits[:, :n_captions], own).mean(),
        "to_image": _entropy(logits[:, :n].T, own).mean(),
        "colour": jnp.sum(colour * tinted) / jnp.maximum(jnp.sum(tinted), 1.0),
    }
    weights = {"caption": 0.5, "to_image": 0.5, "colour": 0.1, "dense": 2.0}
    if "dense" in params and patch_size is not None:
        parts["dense"] = _mask_error(params["dense"], patches, batch.alpha, patch_size)
    total = sum((weights[name] * value for name, value in parts.items()), start=jnp.zeros(()))
    rank = jnp.sum(logits[:, :n_captions] > logits[own, own][:, None], axis=-1)
    parts["accuracy"] = jnp.mean(rank < 1)
    parts["top5"] = jnp.mean(rank < 5)
    return total, parts


def _entropy(logits: Array, labels: Array) -> Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)[:, 0]


def _mask_error(head: dict[str, Array], patches: Array, alpha: Array, patch_size: int) -> Array:
    """Mean squared error of the mask that the head reads from the patches [n, p, width]."""
    n, size, _ = alpha.shape
    side = size // patch_size
    wanted = alpha.reshape(n, side, patch_size, side, patch_size).transpose(0, 1, 3, 2, 4)
    found = patches @ head["kernel"] + head["bias"]
    return jnp.mean((found - wanted.reshape(n, side * side, patch_size**2)) ** 2)
