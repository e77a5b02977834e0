"""The two pocket architectures, and what is added to them for training only."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from voxjax.pocket import captions

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of training with an optimiser of its own; it starts from the averaged weights of the last.

    Attributes:
      steps: parameter updates.
      learning_rate: at its peak.
      adversarial_radius: largest shift of an image along its gradient, L2 norm over the image; 0 for none.
      clutter: see `scenes.draw_scenes`; None lets it rise from 0 to 1 in the beginning.
      white_weight: how much likelier white is than another colour.
      dense: whether the dense head helps.
    """

    steps: int
    learning_rate: float
    adversarial_radius: float = 0.0
    clutter: float | None = None
    white_weight: float = 1.0
    dense: bool = True


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one of the two models is built and trained.

    Attributes:
      name: of the model and its folder.
      style: of the renders, see `scenes`.
      hold_out: whether captions.HELD_OUT are kept out of training.
      image_size: pixels a side; patch_size: likewise.
      width: channels of the image tower; layers, heads: of the same.
      text_width: channels of the text tower; text_layers: its depth.
      seed: of everything drawn.
      phases: of training, in order.
      projection: dimensions of the embeddings.
    """

    name: str
    style: str
    hold_out: bool
    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    text_width: int
    seed: int
    phases: tuple[Phase, ...]
    projection: int = 128
    text_layers: int = 2


RECIPES = {
    "pocket": Recipe(
        name="pocket",
        style="plain",
        hold_out=True,
        image_size=48,
        patch_size=8,
        width=128,
        layers=4,
        heads=4,
        text_width=96,
        seed=0,
        phases=(Phase(steps=3000, learning_rate=1.6e-3, adversarial_radius=2.0),),
    ),
    "pocket-eval": Recipe(
        name="pocket-eval",
        style="studio",
        hold_out=False,
        image_size=72,
        patch_size=12,
        width=128,
        layers=5,
        heads=4,
        text_width=128,
        seed=1,
        # The second phase is for white objects on white, which the first one alone takes for simpler ones.
        phases=(
            Phase(steps=2400, learning_rate=2.0e-3),
            Phase(steps=300, learning_rate=6e-4, clutter=0.3, white_weight=5.0, dense=False),
        ),
    ),
}


def clip_config(recipe: Recipe, vocabulary: tuple[int, int, int]) -> dict[str, Any]:
    """The `config.json` of a transformers CLIP checkpoint; `vocabulary` = (size, begin id, end id)."""
    size, begin, end = vocabulary
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": recipe.projection,
        "text_config": {
            "model_type": "clip_text_model",
            "hidden_size": recipe.text_width,
            "intermediate_size": 4 * recipe.text_width,
            "num_hidden_layers": recipe.text_layers,
            "num_attention_heads": 4,
            "max_position_embeddings": captions.TEXT_LENGTH,
            "vocab_size": size,
            "bos_token_id": begin,
            "eos_token_id": end,
            "pad_token_id": end,
            "hidden_act": "quick_gelu",
            "projection_dim": recipe.projection,
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": recipe.width,
            "intermediate_size": 4 * recipe.width,
            "num_hidden_layers": recipe.layers,
            "num_attention_heads": recipe.heads,
            "image_size": recipe.image_size,
            "patch_size": recipe.patch_size,
            "hidden_act": "quick_gelu",
            "projection_dim": recipe.projection,
        },
    }


def unit(vectors: Array) -> Array:
    """[..., d] scaled to length one."""
    return vectors / (jnp.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-8)


def dense_targets(geometry: Array, shape_ids: Array, colour_ids: Array, patch_size: int) -> dict[str, Array]:
    """What each patch is asked for in training, so that the tower learns where things are early on.

    Args:
      geometry: [n, s, s, 5] from `scenes.draw_scenes`.
      shape_ids: [n, 2] lower and upper shape; colour_ids: [n, 2] likewise.
      patch_size: side of a patch in pixels.

    Returns:
      `mask` [n, p, patch^2], `normal` [n, p, 12] (2 x 2 means), `shape` and `colour` [n, p] int32, 0 where
      less than a fifth of the patch is covered, else index + 1 of what covers most of it.
    """
    n, size, _, _ = geometry.shape
    side = size // patch_size
    half = patch_size // 2
    patches = geometry.reshape(n, side, patch_size, side, patch_size, 5).transpose(0, 1, 3, 2, 4, 5)
    quarter = patches.reshape(n, side, side, 2, half, 2, half, 5).mean(axis=(4, 6))
    mean = patches.mean(axis=(3, 4)).reshape(n, side * side, 5)
    upper = (mean[..., 1] > 0.5 * mean[..., 0]).astype(jnp.int32)
    covered = mean[..., 0] > 0.2
    pick = lambda ids: jnp.where(covered, jnp.take_along_axis(ids, upper, axis=1) + 1, 0)  # noqa: E731
    return {
        "mask": patches[..., 0].reshape(n, side * side, patch_size**2),
        "normal": quarter[..., 2:].reshape(n, side * side, 12),
        "shape": pick(shape_ids),
        "colour": pick(colour_ids),
    }


N_SHAPE_LABELS, N_COLOUR_LABELS = 9, 11


def init_dense_head(key: Array, recipe: Recipe) -> dict[str, Array]:
    """A linear head on the patch tokens; used in training only, not saved with the model."""
    n_out = recipe.patch_size**2 + 12 + N_SHAPE_LABELS + N_COLOUR_LABELS
    return {
        "kernel": jax.random.normal(key, (recipe.width, n_out)) * recipe.width**-0.5,
        "bias": jnp.zeros(n_out),
    }


def dense_loss(head: dict[str, Array], tokens: Array, targets: dict[str, Array], weight: Array) -> Array:
    """Mean over images of mask, normal, shape and colour errors per patch.

    Args:
      head: from `init_dense_head`.
      tokens: [n, p, width] patch tokens of the last layer.
      targets: from `dense_targets`.
      weight: [n], 0 for images without a true object.
    """
    out = tokens @ head["kernel"] + head["bias"]
    n_mask = targets["mask"].shape[-1]
    mask, normal, shape, colour = jnp.split(out, [n_mask, n_mask + 12, n_mask + 12 + N_SHAPE_LABELS], axis=-1)

    def entropy(logits: Array, labels: Array) -> Array:
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[..., None], axis=-1)[..., 0].mean(-1)

    per_image = (
        ((mask - targets["mask"]) ** 2).mean((-1, -2)) * 4
        + ((normal - targets["normal"]) ** 2).mean((-1, -2)) * 4
        + entropy(shape, targets["shape"])
        + 0.5 * entropy(colour, targets["colour"])
    )
    return jnp.sum(per_image * weight) / jnp.sum(weight)
