"""From a folder to a guidance model and the embeddings of the prompts, whatever the layout.

Notation: n images, s pixels a side, d embedding dimensions, p prompts, l tokens.

Takes seconds to import, as `hf.py` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from voxjax.guidance import hf, names, openclip, resnet, tokens
from voxjax.guidance.base import Array, Checkpoint, Guidance, Key

# Logarithm of what the cosines are multiplied by before the softmax of training.
LOGIT_SCALE: Key = ("logit_scale",)
_PROMPTS_AT_ONCE = 64


def load(
    name: str, folder: Path, *, prompts: Sequence[str], dtype: Any, remat: bool = False
) -> tuple[Guidance, Array]:
    """Loads a CLIP, encodes the prompts, and keeps the image tower.

    Args:
      name: what to call it.
      folder: complete, in either layout (see `names.py`).
      prompts: p texts, encoded in float32.
      dtype: compute type of the image tower, in which its matrices are stored too.
      remat: keep only the layers' inputs for derivatives.

    Returns:
      The guidance, and the prompts' unit embeddings [p, d] float32.

    Raises:
      UserError: files that do not fit together, or prompts that the model cannot take.
    """
    checkpoint = describe(folder, dtype)
    ids, ends = tokens.tokenise(
        tokens.known_words(prompts, folder),
        hf.read_tokenizer(folder),
        max_tokens=checkpoint.max_tokens,
        eos_token_id=checkpoint.eos_token_id,
    )
    size = checkpoint.image_size
    image_shapes, text_shapes = tower_shapes(checkpoint)
    flat = checkpoint.read({**image_shapes, **text_shapes, LOGIT_SCALE: ()})
    text_params = traverse_util.unflatten_dict(
        {key: np.asarray(flat[key], np.float32) for key in text_shapes}
    )
    text = _encode_text(checkpoint.text_tower, text_params, ids, ends, checkpoint.embedding_size)
    image_params = {key: jnp.asarray(flat[key], stored_type(key, dtype)) for key in image_shapes}
    params = traverse_util.unflatten_dict(image_params)
    encode = make_encode(checkpoint, remat=remat)
    return Guidance(params, name, size, checkpoint.embedding_size, encode), text


def read_weights(checkpoint: Checkpoint) -> dict[Key, np.ndarray]:
    """Every parameter of both towers, and the scale of the logits; as `load` reads them.

    Raises:
      UserError: a file that is damaged, or does not fit the config beside it.
    """
    image_shapes, text_shapes = tower_shapes(checkpoint)
    return checkpoint.read({**image_shapes, **text_shapes, LOGIT_SCALE: ()})


def tower_shapes(checkpoint: Checkpoint) -> tuple[dict[Key, tuple[int, ...]], dict[Key, tuple[int, ...]]]:
    """Shape of every parameter of image tower and text tower."""
    image_shapes = image_tower_shapes(checkpoint.image_tower, checkpoint.image_size)
    return image_shapes, text_tower_shapes(checkpoint.text_tower, checkpoint.max_tokens)


def describe(folder: Path, dtype: Any) -> Checkpoint:
    """The model of a folder in either layout, its weights not read yet.

    Raises:
      UserError: a config that cannot be read, or describes no CLIP that is known here.
    """
    layout = openclip if names.is_open_clip(names.files_of(folder)) else hf
    return layout.describe(folder, dtype)


def stored_type(key: Key, dtype: Any) -> Any:
    """The type that a parameter is stored in when the tower computes in `dtype`."""
    # Norms, the embeddings in front of the first one and the beginning of a ResNet are small, and float32
    # there is what keeps a bfloat16 tower close to the float32 one.
    small = len(key) < 2 or key[-1] not in ("kernel", "bias") or "norm" in key[-2]
    small |= key[0] in resnet.FLOAT32_PARTS
    return jnp.float32 if small else dtype


def make_encode(checkpoint: Checkpoint, *, remat: bool = False) -> Callable[[Any, Array], Array]:
    """The `encode` of a Guidance; with `remat` its derivative trades time for memory."""
    tower, size = checkpoint.image_tower.clone(remat=remat), checkpoint.image_size
    mean, sd = jnp.array(checkpoint.mean), jnp.array(checkpoint.sd)

    def encode(params: Any, images: Array) -> Array:
        chex.assert_shape(images, (None, size, size, 3))
        normalised = (images.astype(jnp.float32) - mean) / sd
        features, _ = tower.apply({"params": jax.lax.stop_gradient(params)}, normalised)
        return _unit(features)

    return encode


def _unit(features: Any) -> Array:
    features = features.astype(jnp.float32)
    return features * jax.lax.rsqrt(jnp.sum(features**2, axis=-1, keepdims=True) + 1e-12)


def _encode_text(tower: nn.Module, params: Any, ids: np.ndarray, ends: np.ndarray, d: int) -> Array:
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


def image_tower_shapes(tower: nn.Module, image_size: int) -> dict[Key, tuple[int, ...]]:
    """Shape of every parameter of an image tower that takes [n, s, s, 3]."""
    return shapes(tower, jax.ShapeDtypeStruct((1, image_size, image_size, 3), jnp.float32))


def text_tower_shapes(tower: nn.Module, max_tokens: int) -> dict[Key, tuple[int, ...]]:
    """Shape of every parameter of a text tower that takes [p, l]."""
    ids, ends = (jax.ShapeDtypeStruct(shape, jnp.int32) for shape in ((1, max_tokens), (1,)))
    return shapes(tower, ids, ends)


def shapes(tower: nn.Module, *inputs: Any) -> dict[Key, tuple[int, ...]]:
    """Shape of every parameter of a tower that takes these inputs."""
    tree = jax.eval_shape(tower.init, jax.random.key(0), *inputs)["params"]
    return {key: leaf.shape for key, leaf in traverse_util.flatten_dict(tree).items()}
