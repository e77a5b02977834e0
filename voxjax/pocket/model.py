"""The two pocket architectures, and what is added to them for training only."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from voxjax.pocket import captions
from voxjax.smallclips.recipe import Phase, Recipe

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class PocketPhase(Phase):
    """A phase of this world.

    Attributes:
      white_weight: how much likelier white is than another colour.
    """

    white_weight: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PocketRecipe(Recipe):
    """How one of the two models is built and trained.

    Attributes:
      style: of the renders, see `scenes`.
      hold_out: whether captions.HELD_OUT are kept out of training.
    """

    style: str
    hold_out: bool
    text_length: int = captions.TEXT_LENGTH
    patch_size: int
    phases: tuple[PocketPhase, ...]


RECIPES = {
    "pocket": PocketRecipe(
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
        phases=(PocketPhase(steps=3000, learning_rate=1.6e-3, adversarial_radius=2.0),),
    ),
    "pocket-eval": PocketRecipe(
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
            PocketPhase(steps=2400, learning_rate=2.0e-3),
            PocketPhase(steps=300, learning_rate=6e-4, clutter=0.3, white_weight=5.0, dense=False),
        ),
    ),
}


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


def init_dense_head(key: Array, recipe: PocketRecipe) -> dict[str, Array]:
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
