"""Folders in the layout of open_clip: `open_clip_config.json` and `open_clip_model.safetensors`.

The text tower and a ViT are those of `hf.py`, a ResNet is that of `resnet.py`; the file's names are mapped
to their parameter trees, written flat as in `convert.py`. Three things lie otherwise in the file: query, key
and value of a transformer layer are one matrix, the two projections to the embedding are not transposed, and
a batch normalisation has four vectors where the frozen one has two.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from voxjax.errors import UserError
from voxjax.guidance import convert, hf, resnet
from voxjax.guidance.base import MALFORMED, Checkpoint, Key, pixel_statistics
from voxjax.guidance.names import OPEN_CLIP_CONFIG

# The settings that are followed, or that change nothing once a model is trained. Any other may change what
# the network computes, so a config with one is refused.
_SETTINGS = {
    "model_cfg": {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "init_logit_scale"},
    "vision_cfg": {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio", "patch_dropout"},
    "text_cfg": {
        "context_length",
        "vocab_size",
        "width",
        "heads",
        "layers",
        "mlp_ratio",
        "hf_tokenizer_name",
    },
}

# Name of a tensor in the layout of transformers -> in that of open_clip: replaced one after the other.
_RENAMED = (
    ("text_model.", ""),
    ("vision_model.", "visual."),
    ("embeddings.token_embedding", "token_embedding"),
    ("embeddings.position_embedding.weight", "positional_embedding"),
    ("embeddings.class_embedding", "class_embedding"),
    ("embeddings.patch_embedding", "conv1"),
    ("encoder.layers.", "transformer.resblocks."),
    ("pre_layrnorm", "ln_pre"),
    ("post_layernorm", "ln_post"),
    ("final_layer_norm", "ln_final"),
    ("layer_norm", "ln_"),
    ("self_attn.in_proj.", "attn.in_proj_"),
    ("self_attn.", "attn."),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("text_projection.weight", "text_projection"),
    ("visual_projection.weight", "visual.proj"),
)
_RESNET_RENAMED = (
    ("stem.", ""),
    ("downsample_norm", "downsample.1"),
    ("downsample.weight", "downsample.0.weight"),
    ("norm", "bn"),
    (".mean", ".running_mean"),
    (".variance", ".running_var"),
)
_RESNET_PART = re.compile(r"stem|layer\d|attnpool")
_FROZEN_NORM = re.compile(r"(downsample_)?norm\d?")

# Buffers: the mask of the text tower, and how many batches the statistics were taken over.
_HARMLESS = re.compile(r"attn_mask|visual\..*\.num_batches_tracked")


def describe(folder: Path, dtype: Any) -> Checkpoint:
    """The CLIP of a folder in the layout of open_clip.

    Args:
      folder: complete (see `names.py`).
      dtype: compute type of the image tower.

    Raises:
      UserError: a config that cannot be read, or describes a model that is not known here.
    """
    source = folder / OPEN_CLIP_CONFIG
    raw = convert.read_json(source)
    try:
        model, vision = raw["model_cfg"], raw["model_cfg"]["vision_cfg"]
        mean, sd = pixel_statistics(raw.get("preprocess_cfg", {}), "mean", "std", source=str(source))
        _refuse_unknown_settings(model, source)
        image_tower, text_tower = towers(model, dtype, source=source)
        return Checkpoint(
            image_tower=image_tower,
            text_tower=text_tower,
            image_size=vision["image_size"],
            embedding_size=model["embed_dim"],
            max_tokens=text_tower.config.text_config.max_position_embeddings,
            eos_token_id=2,  # open_clip reads the embedding at the highest id
            mean=mean,
            sd=sd,
            read=functools.partial(_read, folder),
        )
    except MALFORMED as error:
        raise UserError(f"{source} does not describe a CLIP of open_clip: {error!r}") from error


def towers(model: Mapping[str, Any], dtype: Any, *, source: Path) -> tuple[Any, hf.TextTower]:
    """Image tower, a ViT or a ResNet, and text tower.

    Args:
      model: `model_cfg` of an open_clip_config.json.
      dtype: compute type of the image tower.
      source: where it stands, for messages.

    Raises:
      UserError: a model that is not known here; one of `MALFORMED` where settings are missing or no sizes.
    """
    config = hf.make_config(_clip_config(model), source=str(source))
    image_tower: Any = hf.ImageTower(config, dtype)
    if isinstance(model["vision_cfg"]["layers"], list):
        image_tower = _resnet_tower(model, dtype, source)
    return image_tower, hf.TextTower(config)


def _refuse_unknown_settings(model: Mapping[str, Any], source: Path) -> None:
    parts = {"model_cfg": model, "vision_cfg": model["vision_cfg"], "text_cfg": model["text_cfg"]}
    strange = [
        f"{part}.{name}" for part, settings in parts.items() for name in settings.keys() - _SETTINGS[part]
    ]
    if strange:
        raise UserError(f"{source}: models with {', '.join(sorted(strange))} are not known here")


def _clip_config(model: Mapping[str, Any]) -> dict[str, Any]:
    """The same model as transformers describes it; what the vision part says holds for a ViT only."""
    vision, text = model["vision_cfg"], model["text_cfg"]
    activation = "quick_gelu" if model.get("quick_gelu", False) else "gelu"
    config = {
        "projection_dim": model["embed_dim"],
        "text_config": {
            "hidden_size": text["width"],
            "intermediate_size": int(text["width"] * text.get("mlp_ratio", 4.0)),
            "num_hidden_layers": text["layers"],
            "num_attention_heads": text["heads"],
            "max_position_embeddings": text.get("context_length", 77),
            "vocab_size": text.get("vocab_size", 49408),
            "hidden_act": activation,
        },
        "vision_config": {"hidden_act": activation},
    }
    if not isinstance(vision["layers"], list):
        config["vision_config"] |= {
            "hidden_size": vision["width"],
            "intermediate_size": int(vision["width"] * vision.get("mlp_ratio", 4.0)),
            "num_hidden_layers": vision["layers"],
            "num_attention_heads": vision["width"] // vision.get("head_width", 64),
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
        }
    return config


def _resnet_tower(model: Mapping[str, Any], dtype: Any, source: Path) -> resnet.ResNetTower:
    vision = model["vision_cfg"]
    hf.check_sizes({"image_size": vision["image_size"], "width": vision["width"]})
    hf.check_sizes({f"layers[{i}]": blocks for i, blocks in enumerate(vision["layers"])})
    if len(vision["layers"]) != 4 or vision["image_size"] % resnet.REDUCTION:
        raise UserError(
            f"{source}: a CLIP ResNet has 4 numbers in vision_cfg.layers and a vision_cfg.image_size that is"
            f" a multiple of {resnet.REDUCTION}, not {vision['layers']} and {vision['image_size']}"
        )
    channels = vision["width"] * resnet.REDUCTION
    heads = channels // vision.get("head_width", resnet.HEAD_WIDTH)
    hf.check_sizes({"heads": heads})
    if channels % heads:
        raise ValueError(f"{heads} heads do not divide a width of {channels}")
    return resnet.ResNetTower(
        layers=tuple(vision["layers"]),
        width=vision["width"],
        embedding_size=model["embed_dim"],
        heads=heads,
        dtype=dtype,
    )


def _read(folder: Path, expected: Mapping[Key, tuple[int, ...]]) -> dict[Key, np.ndarray]:
    source = folder / convert.OPEN_CLIP_SAFETENSORS
    return from_open_clip(convert.read_safetensors(source), expected, source=str(source))


def from_open_clip(
    tensors: Mapping[str, np.ndarray], expected: Mapping[Key, tuple[int, ...]], *, source: str
) -> dict[Key, np.ndarray]:
    """Renames, transposes, splits and folds the tensors of an open_clip model to the Flax trees.

    Args:
      tensors: by their names in the file, such as `visual.transformer.resblocks.0.attn.in_proj_weight`.
      expected: shape of every parameter of the Flax model.
      source: the file's name, for messages.

    Returns:
      One array for each key of `expected`.

    Raises:
      UserError: naming the tensors that are missing, left over, or of the wrong shape.
    """
    stored: dict[Key, tuple[int, ...]] = {}
    for key, shape in expected.items():
        stored[stored_key(key)] = (*shape[:-1], 3 * shape[-1]) if is_split(key) else shape
        if _is_frozen_norm(key):
            stored[*key[:-1], "mean"] = stored[*key[:-1], "variance"] = shape
    kept = {name: array for name, array in tensors.items() if not _HARMLESS.fullmatch(name)}
    found = convert.match(kept, stored, file_name, file_axes, source=source)
    result = {}
    for key in expected:
        if is_split(key):
            part = ("q_proj", "k_proj", "v_proj").index(key[-2])
            result[key] = np.split(found[stored_key(key)], 3, axis=-1)[part]
        elif _is_frozen_norm(key):
            norm = (found[*key[:-1], vector] for vector in ("scale", "bias", "mean", "variance"))
            result[key] = resnet.fold_norm(*norm)[key[-1] == "bias"]
        else:
            result[key] = found[key]
    return result


def is_split(key: Key) -> bool:
    """Whether a parameter is a third of a tensor in the file."""
    return key[-3:-2] == ("self_attn",) and key[-2] in ("q_proj", "k_proj", "v_proj")


def _is_frozen_norm(key: Key) -> bool:
    return len(key) > 1 and _FROZEN_NORM.fullmatch(key[-2]) is not None


def stored_key(key: Key) -> Key:
    """What a parameter is a part of in the file; itself where it is whole."""
    return (*key[:-2], "in_proj", key[-1]) if is_split(key) else key


def file_name(key: Key) -> str:
    """Name in an open_clip file of a Flax parameter: `("layer1", "0", "norm2", "bias")` gives
    `visual.layer1.0.bn2.bias`.
    """
    resnets = _RESNET_PART.fullmatch(key[0])
    name = ("visual." if resnets else "") + convert.torch_name(key)
    for old, new in _RESNET_RENAMED if resnets else _RENAMED:
        name = name.replace(old, new)
    return name


def file_axes(key: Key, ndim: int) -> tuple[int, ...]:
    """Flax axes of a parameter in the order in which an open_clip file stores them."""
    untouched = key in (("text_projection", "kernel"), ("visual_projection", "kernel"))
    return tuple(range(ndim)) if untouched else convert.torch_axes(key, ndim)
