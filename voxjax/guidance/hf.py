"""CLIP with the towers of transformers' Flax CLIP, from any folder in the layout of transformers.

Notation: n images, s pixels a side, c channels (3), k patches a side, w width of the tower, d embedding
dimensions, p prompts, l tokens. Images are `[n, s, s, c]`, row 0 at the top, values in [0, 1].

This is the one module that imports transformers, and takes seconds to import: import it where it is used.
Only modules are taken from there, not its model classes, which bring their own loading, their own copy of
the parameters and a notice of deprecation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from transformers.modeling_flax_utils import ACT2FN
from transformers.models.clip.configuration_clip import CLIPConfig
from transformers.models.clip.modeling_flax_clip import FlaxCLIPEncoder, FlaxCLIPTextTransformer

from voxjax.errors import UserError
from voxjax.guidance import convert, names, tokens
from voxjax.guidance.base import Array, Guidance

# OpenAI's CLIP, used where the folder has no preprocessor_config.json.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_SD = (0.26862954, 0.26130258, 0.27577711)

_PROMPTS_AT_ONCE = 64


class _PatchEmbedding(nn.Module):
    """The convolution whose stride is its kernel size, as one matrix product.

    The same numbers as `nn.Conv`, but on CPU several times faster, above all backwards.
    """

    patch: int
    width: int
    dtype: Any

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """[n, s, s, c] -> [n, k * k, w]; what is left of s / patch at the right and bottom is not seen."""
        n, s, _, c = images.shape
        k, patch = s // self.patch, self.patch
        kernel = self.param("kernel", nn.initializers.normal(), (patch, patch, c, self.width))
        patches = images[:, : k * patch, : k * patch].reshape(n, k, patch, k, patch, c)
        patches = patches.transpose(0, 1, 3, 2, 4, 5).reshape(n, k * k, patch * patch * c)
        return patches.astype(self.dtype) @ kernel.astype(self.dtype).reshape(-1, self.width)


class _VisionEmbeddings(nn.Module):
    config: Any
    dtype: Any

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """[n, s, s, c] -> [n, 1 + k * k, w]: the class token, then the patches row by row."""
        config, width = self.config, self.config.hidden_size
        tokens = 1 + (config.image_size // config.patch_size) ** 2
        class_embedding = self.param("class_embedding", nn.initializers.normal(), (width,))
        patches = _PatchEmbedding(config.patch_size, width, self.dtype, name="patch_embedding")(images)
        position = nn.Embed(tokens, width, name="position_embedding")(jnp.arange(tokens))
        first = jnp.broadcast_to(class_embedding, (patches.shape[0], 1, width))
        embedded = jnp.concatenate([first, patches], axis=1)
        chex.assert_shape(embedded, (images.shape[0], tokens, width))
        return embedded + position


class _VisionTransformer(nn.Module):
    config: Any
    dtype: Any

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """[n, s, s, c], normalised -> last layer: class token [n, w], normed; patches [n, k * k, w], not."""
        norm = {"epsilon": self.config.layer_norm_eps, "dtype": self.dtype}
        hidden = _VisionEmbeddings(self.config, self.dtype, name="embeddings")(images)
        hidden = nn.LayerNorm(**norm, name="pre_layrnorm")(hidden)  # the name is spelt so in the checkpoints
        hidden = FlaxCLIPEncoder(self.config, dtype=self.dtype, name="encoder")(hidden, return_dict=False)[0]
        return nn.LayerNorm(**norm, name="post_layernorm")(hidden[:, 0]), hidden[:, 1:]


class ImageTower(nn.Module):
    """Normalised images [n, s, s, c] -> features [n, d], not of unit length, and patches [n, k * k, w].

    The patches are those behind the last layer; guidance has no use for them, training a model does.
    """

    config: Any
    dtype: Any

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """See the class."""
        tower = _VisionTransformer(self.config.vision_config, self.dtype, name="vision_model")
        features, patches = tower(images)
        d = self.config.projection_dim
        return nn.Dense(d, use_bias=False, dtype=self.dtype, name="visual_projection")(features), patches


class TextTower(nn.Module):
    """Token ids [p, l] and positions of the end tokens [p] -> projected features [p, d], float32."""

    config: Any

    @nn.compact
    def __call__(self, ids: Array, ends: Array) -> Array:
        """See the class."""
        positions = jnp.broadcast_to(jnp.arange(ids.shape[1]), ids.shape)
        tower = FlaxCLIPTextTransformer(self.config.text_config, name="text_model")
        hidden = tower(ids, None, positions, return_dict=False)[0]
        pooled = hidden[jnp.arange(ids.shape[0]), ends]
        return nn.Dense(self.config.projection_dim, use_bias=False, name="text_projection")(pooled)


def load(name: str, folder: Path, *, prompts: Sequence[str], dtype: Any) -> tuple[Guidance, Array]:
    """Loads a CLIP, encodes the prompts, and keeps the image tower.

    Args:
      name: what to call it.
      folder: complete, in the layout of transformers (see `names.py`).
      prompts: p texts, encoded in float32.
      dtype: compute type of the image tower, in which its matrices are stored too.

    Returns:
      The guidance, and the prompts' unit embeddings [p, d] float32.

    Raises:
      UserError: files that do not fit together, or prompts that the model cannot take.
    """
    config = read_config(folder)
    ids, ends = tokens.tokenise(
        tokens.known_words(prompts, folder),
        _read_tokenizer(folder),
        max_tokens=config.text_config.max_position_embeddings,
        eos_token_id=config.text_config.eos_token_id,
    )
    image_tower, text_tower = ImageTower(config, dtype), TextTower(config)
    size = config.vision_config.image_size
    image_shapes = _shapes(image_tower, jnp.zeros((1, size, size, 3)))
    text_shapes = _shapes(
        text_tower, ids[:1] if len(ids) else np.zeros((1, 1), np.int32), np.zeros(1, np.int32)
    )
    flat = convert.load_parameters(folder, {**image_shapes, **text_shapes, ("logit_scale",): ()})
    text_params = traverse_util.unflatten_dict(
        {key: np.asarray(flat[key], np.float32) for key in text_shapes}
    )
    text = _encode_text(text_tower, text_params, ids, ends, config.projection_dim)
    image_params = {key: jnp.asarray(flat[key], _stored_type(key, dtype)) for key in image_shapes}
    encode = _make_encode(image_tower, size, *_read_normalisation(folder))
    params = traverse_util.unflatten_dict(image_params)
    return Guidance(params, name, size, config.projection_dim, encode), text


def _stored_type(key: convert.Key, dtype: Any) -> Any:
    # Layer norms and the embeddings in front of the first one are small, and float32 there is what keeps
    # a bfloat16 tower close to the float32 one.
    return dtype if key[-2:-1] and key[-1] in ("kernel", "bias") and "norm" not in key[-2] else jnp.float32


def _make_encode(tower: ImageTower, size: int, mean: tuple, sd: tuple) -> Callable[[Any, Array], Array]:
    def encode(params: Any, images: Array) -> Array:
        chex.assert_shape(images, (None, size, size, 3))
        normalised = (images.astype(jnp.float32) - jnp.array(mean)) / jnp.array(sd)
        features, _ = tower.apply({"params": jax.lax.stop_gradient(params)}, normalised)
        return _unit(features)

    return encode


def _unit(features: Any) -> Array:
    features = features.astype(jnp.float32)
    return features * jax.lax.rsqrt(jnp.sum(features**2, axis=-1, keepdims=True) + 1e-12)


def _encode_text(tower: TextTower, params: Any, ids: np.ndarray, ends: np.ndarray, d: int) -> Array:
    """Unit embeddings [p, d], a fixed number of prompts at a time so that one program serves them all."""
    batch = min(len(ids), _PROMPTS_AT_ONCE)
    if not batch:
        return jnp.zeros((0, d), jnp.float32)
    fill = -len(ids) % batch
    ids, ends = np.pad(ids, ((0, fill), (0, 0)), mode="edge"), np.pad(ends, (0, fill), mode="edge")
    encode = jax.jit(lambda params, ids, ends: _unit(tower.apply({"params": params}, ids, ends)))
    with jax.default_matmul_precision("highest"):
        params = jax.device_put(params)
        parts = [encode(params, ids[i : i + batch], ends[i : i + batch]) for i in range(0, len(ids), batch)]
    return jnp.concatenate(parts)[: len(ids) - fill]


def _shapes(tower: nn.Module, *inputs: Any) -> dict[convert.Key, tuple[int, ...]]:
    tree = jax.eval_shape(tower.init, jax.random.key(0), *inputs)["params"]
    return {key: leaf.shape for key, leaf in traverse_util.flatten_dict(tree).items()}


def read_config(folder: Path) -> Any:
    """The CLIPConfig of a folder.

    Raises:
      UserError: not the config of a CLIP, or an activation that nobody knows.
    """
    raw = _read_json(folder / names.CONFIG)
    if raw.get("model_type") != "clip":
        raise UserError(f"{folder / names.CONFIG} describes a {raw.get('model_type')!r} model, not a 'clip'")
    config = CLIPConfig.from_dict(raw)
    for part in (config.text_config, config.vision_config):
        if part.hidden_act not in ACT2FN:
            raise UserError(f"{folder / names.CONFIG}: no activation called {part.hidden_act!r}")
    return config


def _read_normalisation(folder: Path) -> tuple[tuple, tuple]:
    file = folder / "preprocessor_config.json"
    raw = _read_json(file) if file.is_file() else {}
    return tuple(raw.get("image_mean", CLIP_MEAN)), tuple(raw.get("image_std", CLIP_SD))


def _read_tokenizer(folder: Path) -> Any:
    """A `tokenizers.Tokenizer`; from `vocab.json` and `merges.txt` it is put together as CLIP's own is."""
    from tokenizers import Tokenizer

    try:
        if (folder / names.TOKENIZER).is_file():
            return Tokenizer.from_file(str(folder / names.TOKENIZER))
        from transformers.models.clip.tokenization_clip_fast import CLIPTokenizerFast

        vocabulary, merges = (str(folder / part) for part in names.TOKENIZER_PARTS)
        return CLIPTokenizerFast(vocab_file=vocabulary, merges_file=merges).backend_tokenizer
    except Exception as error:  # the tokenizers library raises nothing more precise
        files = f"{names.TOKENIZER}, or {' and '.join(names.TOKENIZER_PARTS)}"
        raise UserError(f"cannot read the tokenizer ({files}) in {folder}: {error}") from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}") from error
