"""Towers made of the modules of transformers' Flax CLIP, and what its folder layout says of them.

Notation: n images, s pixels a side, c channels (3), k patches a side, w width of the tower, d embedding
dimensions, p prompts, l tokens. Images are `[n, s, s, c]`, row 0 at the top, values in [0, 1].

This is the one module that imports transformers, and takes seconds to import: import it where it is used.
Only modules are taken from there, not its model classes, which bring their own loading, their own copy of
the parameters and a notice of deprecation.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import chex
import flax.linen as nn
import jax.numpy as jnp
from transformers.modeling_flax_utils import ACT2FN
from transformers.models.clip.configuration_clip import CLIPConfig
from transformers.models.clip.modeling_flax_clip import FlaxCLIPEncoderLayer, FlaxCLIPTextTransformer

from voxjax.errors import UserError
from voxjax.guidance import convert, names
from voxjax.guidance.base import MALFORMED, Array, Checkpoint, pixel_statistics

_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")


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


class _Layers(nn.Module):
    """The layers one after another; with `remat` only what goes into each is kept for the backward pass."""

    config: Any
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(self, hidden: Array) -> Array:
        """[n, tokens, w] -> the same."""
        layer = nn.remat(FlaxCLIPEncoderLayer) if self.remat else FlaxCLIPEncoderLayer
        for i in range(self.config.num_hidden_layers):
            hidden = layer(self.config, dtype=self.dtype, name=str(i))(hidden, None)[0]
        return hidden


class _Encoder(nn.Module):
    config: Any
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(self, hidden: Array) -> Array:
        """As `_Layers`; a module of its own because the checkpoints nest their names so."""
        return _Layers(self.config, self.dtype, self.remat, name="layers")(hidden)


class _VisionTransformer(nn.Module):
    config: Any
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """[n, s, s, c], normalised -> last layer: class token [n, w], normed; patches [n, k * k, w], not."""
        norm = {"epsilon": self.config.layer_norm_eps, "dtype": self.dtype}
        hidden = _VisionEmbeddings(self.config, self.dtype, name="embeddings")(images)
        hidden = nn.LayerNorm(**norm, name="pre_layrnorm")(hidden)  # the name is spelt so in the checkpoints
        hidden = _Encoder(self.config, self.dtype, self.remat, name="encoder")(hidden)
        return nn.LayerNorm(**norm, name="post_layernorm")(hidden[:, 0]), hidden[:, 1:]


class ImageTower(nn.Module):
    """Normalised images [n, s, s, c] -> features [n, d], not of unit length, and patches [n, k * k, w].

    The patches are those behind the last layer; guidance has no use for them, training a model does. With
    `remat`, derivatives keep the layers' inputs and compute the rest again.
    """

    config: Any
    dtype: Any
    remat: bool = False

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """See the class."""
        tower = _VisionTransformer(self.config.vision_config, self.dtype, self.remat, name="vision_model")
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


def describe(folder: Path, dtype: Any) -> Checkpoint:
    """The CLIP of a folder in the layout of transformers.

    Args:
      folder: complete (see `names.py`).
      dtype: compute type of the image tower.

    Raises:
      UserError: a config that cannot be read, or is none of a CLIP.
    """
    config = read_config(folder)
    text = config.text_config
    file = folder / "preprocessor_config.json"
    pixels = convert.read_json(file) if file.is_file() else {}
    mean, sd = pixel_statistics(pixels, "image_mean", "image_std", source=str(file))
    return Checkpoint(
        image_tower=ImageTower(config, dtype),
        text_tower=TextTower(config),
        image_size=config.vision_config.image_size,
        embedding_size=config.projection_dim,
        max_tokens=text.max_position_embeddings,
        eos_token_id=text.eos_token_id,
        mean=mean,
        sd=sd,
        read=functools.partial(convert.load_parameters, folder),
    )


def read_config(folder: Path) -> Any:
    """The CLIPConfig of a folder.

    Raises:
      UserError: not the config of a CLIP; see `make_config`.
    """
    raw = convert.read_json(folder / names.CONFIG)
    if raw.get("model_type") != "clip":
        raise UserError(f"{folder / names.CONFIG} describes a {raw.get('model_type')!r} model, not a 'clip'")
    return make_config(raw, source=str(folder / names.CONFIG))


def make_config(raw: dict[str, Any], *, source: str) -> Any:
    """A CLIPConfig from its JSON.

    Args:
      raw: what transformers writes to `config.json`; what is left out has the size of ViT-B/32.
      source: the file's name, for messages.

    Raises:
      UserError: an activation that nobody knows, or sizes of which no tower can be built.
    """
    try:
        config = CLIPConfig.from_dict(raw)
        for part in (config.text_config, config.vision_config):
            if part.hidden_act not in ACT2FN:
                raise UserError(f"{source}: no activation called {part.hidden_act!r}")
        _check_sizes_of(config)
    except MALFORMED as error:
        raise UserError(f"{source} does not describe a CLIP: {error!r}") from error
    return config


def _check_sizes_of(config: Any) -> None:
    """Raises ValueError for sizes of which no tower can be built."""
    text, vision = config.text_config, config.vision_config
    check_sizes({"projection_dim": config.projection_dim})
    for part, own in (
        (text, ("max_position_embeddings", "vocab_size")),
        (vision, ("image_size", "patch_size")),
    ):
        check_sizes({name: getattr(part, name) for name in (*_SIZES, *own)})
        if part.hidden_size % part.num_attention_heads:
            raise ValueError(f"{part.num_attention_heads} heads do not divide a width of {part.hidden_size}")
    if vision.patch_size > vision.image_size:
        raise ValueError(f"a patch of {vision.patch_size} pixels in an image of {vision.image_size}")


def check_sizes(sizes: Mapping[str, Any]) -> None:
    """Raises ValueError for sizes, by name, that are no whole numbers above 0."""
    wrong = [f"{name}={size!r}" for name, size in sizes.items() if not (isinstance(size, int) and size > 0)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: not a whole number above 0")


def read_tokenizer(folder: Path) -> Any:
    """A `tokenizers.Tokenizer`; from `vocab.json` and `merges.txt` it is put together as CLIP's own is.

    Raises:
      UserError: files that cannot be read.
    """
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
