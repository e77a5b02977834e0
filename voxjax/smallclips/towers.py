"""The two towers of a small CLIP, those that guidance uses as well: made, and run in training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from voxjax.files import write_text
from voxjax.guidance import hf, loading, names, openclip, resnet
from voxjax.guidance.base import CLIP_MEAN, CLIP_SD, Key
from voxjax.smallclips import norms, recipe, tokenizer
from voxjax.smallclips.recipe import Recipe

Array = jax.Array
_VITS = ("text_model", "vision_model")


class Towers(NamedTuple):
    """Image tower and text tower."""

    image: hf.ImageTower | resnet.ResNetTower
    text: hf.TextTower


def build(plan: Recipe, folder: Path, key: Array) -> tuple[Towers, dict[str, Any]]:
    """The towers and their fresh parameters; writes the config file.

    Args:
      plan: which model.
      folder: holds the tokenizer files.
      key: PRNG key.
    """
    vocabulary = tokenizer.special_ids(folder)
    towers: Towers
    if plan.is_resnet:
        settings = recipe.open_clip_config(plan, vocabulary)
        file = folder / names.OPEN_CLIP_CONFIG
        towers = Towers(*openclip.towers(settings["model_cfg"], jnp.float32, source=file))
    else:
        settings = recipe.clip_config(plan, vocabulary)
        config = hf.make_config(settings, source=plan.name)
        file = folder / names.CONFIG
        towers = Towers(hf.ImageTower(config, jnp.float32), hf.TextTower(config))
    write_text(file, json.dumps(settings, indent=2) + "\n")
    shapes = loading.image_tower_shapes(towers.image, plan.image_size)
    shapes |= loading.text_tower_shapes(towers.text, plan.text_length)
    return towers, initialise(jax.random.fold_in(key, 1), shapes)


def initialise(key: Array, shapes: Mapping[Key, tuple[int, ...]]) -> dict[str, Any]:
    """Draws the weights at variance 1 / fan-in; the towers' own start (sd 0.01) stalls towers this small.

    Args:
      key: PRNG key.
      shapes: of every parameter of both towers.

    Returns:
      The parameters: kernels at sd fan_in^-0.5 (those that write to the residual stream divided by
      sqrt(2 * layers)), embeddings large enough that words and places differ from the first step, scales of
      one and biases of zero.
    """
    depth = {tower: len({path[3] for path in shapes if path[:2] == (tower, "encoder")}) for tower in _VITS}
    fresh = {}
    for i, (path, shape) in enumerate(sorted(shapes.items())):
        noise = jax.random.normal(jax.random.fold_in(key, i), shape)
        if path[-1] == "kernel":
            sd = float(np.prod(shape[:-1])) ** -0.5
            if "out_proj" in path or "fc2" in path:
                sd *= (2 * depth[path[0]]) ** -0.5
            fresh[path] = sd * noise
        elif "token_embedding" in path:
            fresh[path] = 0.5 * noise
        elif path[-1] in ("embedding", "class_embedding", "positional_embedding"):
            fresh[path] = 0.2 * noise
        else:
            fresh[path] = jnp.ones(shape) if path[-1] == "scale" else jnp.zeros(shape)
    fresh[("logit_scale",)] = jnp.asarray(np.log(10.0), jnp.float32)
    return unflatten_dict(fresh)


def unit(vectors: Array) -> Array:
    """[..., d] scaled to length one."""
    return vectors / (jnp.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-8)


def encode_texts(towers: Towers, params, token_ids: Array) -> Array:
    """[c, l] token ids, filled up with the end token -> unit [c, d]."""
    ends = jnp.argmax(token_ids == token_ids[:, -1:], axis=1)
    features: Any = towers.text.apply({"params": params}, token_ids, ends)
    return unit(features)


def normalise(images: Array) -> Array:
    """[n, s, s, 3] in [0, 1] -> as the image towers take them."""
    return (images - jnp.asarray(CLIP_MEAN)) / jnp.asarray(CLIP_SD)


def encode_images(
    towers: Towers, params, images: Array, seen: norms.Seen | None = None
) -> tuple[Array, Array]:
    """In training: [n, s, s, 3] in [0, 1] -> unit [n, d] and the patch tokens [n, p, width].

    The normalisations of a ResNet take their statistics from the batch (see `norms.of_the_batch` for `seen`);
    `guidance` takes those in the file.
    """
    with norms.of_the_batch(seen):
        outputs: Any = towers.image.apply({"params": params}, normalise(images))
    embedding, tokens = outputs
    return unit(embedding), tokens
