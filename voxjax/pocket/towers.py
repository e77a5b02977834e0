"""The two towers of a pocket model: made, run, and written to disk in the layout that every CLIP has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors.numpy import save_file

from voxjax.files import atomic_path
from voxjax.guidance import hf
from voxjax.guidance.base import CLIP_MEAN, CLIP_SD
from voxjax.pocket import captions, model, score
from voxjax.pocket.model import Recipe

Array = jax.Array


class Towers(NamedTuple):
    """The two towers that `voxjax.guidance.hf` also guides with."""

    image: hf.ImageTower
    text: hf.TextTower


def build(recipe: Recipe, folder: Path, key: Array) -> tuple[Towers, dict[str, Any]]:
    """The towers and their fresh parameters; writes `config.json` and the tokenizer files."""
    captions.write_tokenizer(folder)
    settings = model.clip_config(recipe, captions.special_ids(folder))
    (folder / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    config = hf.read_config(folder)
    towers = Towers(hf.ImageTower(config, jnp.float32), hf.TextTower(config))
    pixels = jnp.zeros((1, recipe.image_size, recipe.image_size, 3))
    params = towers.image.init(key, pixels)["params"]
    params |= towers.text.init(key, jnp.zeros((1, 2), jnp.int32), jnp.ones(1, jnp.int32))["params"]
    return towers, initialise(jax.random.fold_in(key, 1), params)


def initialise(key: Array, params):
    """Redraws the weights at variance 1 / fan-in; the towers' own start (sd 0.01) stalls towers this small.

    Args:
      key: PRNG key.
      params: the parameters of both towers, joined.

    Returns:
      The same tree: kernels at sd fan_in^-0.5 (those that write to the residual stream divided by
      sqrt(2 * layers)), embeddings large enough that words and places differ from the first step.
    """
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


def encode_texts(towers: Towers, params, token_ids: Array) -> Array:
    """[c, TEXT_LENGTH] token ids, filled up with the end token -> unit [c, d]."""
    ends = jnp.argmax(token_ids == token_ids[:, -1:], axis=1)
    features: Any = towers.text.apply({"params": params}, token_ids, ends)
    return model.unit(features)


def encode_images(towers: Towers, params, images: Array) -> tuple[Array, Array]:
    """[n, s, s, 3] in [0, 1] -> unit [n, d] and the patch tokens [n, p, width]."""
    normalised = (images - jnp.asarray(CLIP_MEAN)) / jnp.asarray(CLIP_SD)
    outputs: Any = towers.image.apply({"params": params}, normalised)
    embedding, tokens = outputs
    return model.unit(embedding), tokens


def save(folder: Path, params) -> None:
    """Writes `model.safetensors` in the tensor names and layouts of transformers' (PyTorch) CLIP."""
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
        tensors[name] = np.array(leaf, order="C")
    with atomic_path(folder / "model.safetensors") as part:
        save_file(tensors, part, metadata={"format": "pt"})


def true_score(towers, params, recipe: Recipe, folder: Path) -> dict:
    """`score.summarise` for parameters in training."""
    texts = encode_texts(towers, params, jnp.asarray(captions.encode(captions.single_captions(), folder)))
    encode = jax.jit(lambda images: encode_images(towers, params, images)[0])
    return score.summarise(score.name_true_renders(encode, texts, image_size=recipe.image_size))
