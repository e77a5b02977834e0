"""Checkpoint files to the parameter tree of the Flax CLIP, without PyTorch and without pickle.

Layouts. A PyTorch linear weight is `[out, in]`, a Flax kernel `[in, out]`; a PyTorch convolution weight is
`[out, in, height, width]`, a Flax kernel `[height, width, in, out]`. Vectors are the same in both. A tree is
written flat here: `{("vision_model", "post_layernorm", "scale"): array}`.

Every tensor that the model has must be in the file with the right shape, and the file may hold no other:
a checkpoint that is loaded in part would guide, badly, and nobody would see why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from voxjax.errors import UserError
from voxjax.guidance.base import MALFORMED, Key

SAFETENSORS = "model.safetensors"
SAFETENSORS_INDEX = "model.safetensors.index.json"
OPEN_CLIP_SAFETENSORS = "open_clip_model.safetensors"
MSGPACK = "flax_model.msgpack"

# Counters that older versions of transformers stored with the weights; they hold 0, 1, 2, ...
_HARMLESS = frozenset(
    f"{tower}_model{separator}embeddings{separator}position_ids"
    for tower in ("text", "vision")
    for separator in "./"
)

# Name of a Flax leaf -> name of the same tensor in PyTorch; leaves not listed are parameters of the module
# itself and have the same name in both.
_LEAF = {"kernel": "weight", "embedding": "weight", "scale": "weight"}

_DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "I64": np.dtype(np.int64),
    "I32": np.dtype(np.int32),
}


def load_parameters(folder: Path, expected: Mapping[Key, tuple[int, ...]]) -> dict[Key, np.ndarray]:
    """Reads the weights of a transformers CLIP folder.

    Args:
      folder: holds `model.safetensors` (or its index and parts) or `flax_model.msgpack`; the first found
        in this order is read.
      expected: shape of every parameter of the Flax model.

    Returns:
      One array for each key of `expected`, in the file's floating-point type; those of safetensors may be
      views of the file.

    Raises:
      UserError: no weights that can be read safely, or tensors missing, left over or of the wrong shape.
    """
    if (folder / SAFETENSORS).is_file():
        source = folder / SAFETENSORS
        return from_torch(read_safetensors(source), expected, source=str(source))
    if (folder / SAFETENSORS_INDEX).is_file():
        source = folder / SAFETENSORS_INDEX
        return from_torch(_read_parts(source), expected, source=str(source))
    if (folder / MSGPACK).is_file():
        source = folder / MSGPACK
        return match(_read_msgpack(source), expected, "/".join, _flax_axes, source=str(source))
    raise UserError(
        f"no weights in {folder}: it needs {SAFETENSORS} or {MSGPACK}"
        " (pytorch_model.bin is not read: unpickling a file can run any program hidden in it)"
    )


def from_torch(
    tensors: Mapping[str, np.ndarray], expected: Mapping[Key, tuple[int, ...]], *, source: str
) -> dict[Key, np.ndarray]:
    """Renames and transposes the tensors of a PyTorch CLIP (transformers layout) to the Flax tree.

    Args:
      tensors: by their PyTorch names, such as `vision_model.encoder.layers.0.mlp.fc1.weight`.
      expected: shape of every parameter of the Flax model.
      source: the file's name, for messages.

    Returns:
      One array for each key of `expected`.

    Raises:
      UserError: naming the tensors that are missing, left over, or of the wrong shape.
    """
    return match(tensors, expected, torch_name, torch_axes, source=source)


def torch_name(key: Key) -> str:
    """PyTorch name of a Flax parameter: `("text_projection", "kernel")` -> `"text_projection.weight"`."""
    return ".".join((*key[:-1], _LEAF.get(key[-1], key[-1])))


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
      UserError: no such file, or no JSON object in it.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}; fetch it again") from error
    if not isinstance(found, dict):
        raise UserError(f"{file} does not hold a JSON object, {{...}}; fetch it again")
    return found


def read_safetensors(file: Path) -> dict[str, np.ndarray]:
    """Reads a safetensors file as memory-mapped NumPy arrays, bfloat16 included.

    Written out here because NumPy readers of the format know bfloat16 only in its latest releases.

    Args:
      file: the file: 8 bytes little-endian length, JSON header of that length, raw little-endian tensors.

    Returns:
      name -> read-only array.

    Raises:
      UserError: the file is damaged or holds a type that no CLIP has.
    """
    try:
        data = np.memmap(file, np.uint8, mode="r")
        body = 8 + int.from_bytes(data[:8].tobytes(), "little")
        header = json.loads(data[8:body].tobytes())
        header.pop("__metadata__", None)
        tensors = {}
        for name, entry in header.items():
            start, stop = (body + offset for offset in entry["data_offsets"])
            if stop > data.size:
                raise ValueError(f"{name} lies behind its end")
            tensors[name] = data[start:stop].view(_DTYPES[entry["dtype"]]).reshape(entry["shape"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not a complete safetensors file ({error}); fetch it again") from error
    return tensors


def _read_parts(index: Path) -> dict[str, np.ndarray]:
    try:
        parts = sorted({Path(part).name for part in read_json(index)["weight_map"].values()})
    except MALFORMED as error:
        raise UserError(
            f"{index} does not say which files hold the weights ({error!r}); fetch it again"
        ) from error
    tensors: dict[str, np.ndarray] = {}
    for part in parts:
        tensors.update(read_safetensors(index.parent / part))
    return tensors


def _read_msgpack(file: Path) -> dict[str, np.ndarray]:
    from flax import serialization, traverse_util

    try:
        tree = serialization.msgpack_restore(file.read_bytes())
        return traverse_util.flatten_dict(tree, sep="/")
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not a complete Flax checkpoint ({error}); fetch it again") from error


def match(
    tensors: Mapping[str, np.ndarray],
    expected: Mapping[Key, tuple[int, ...]],
    name_of: Callable[[Key], str],
    axes_of: Callable[[Key, int], tuple[int, ...]],
    *,
    source: str,
) -> dict[Key, np.ndarray]:
    """Pairs every expected parameter with its tensor; refuses the file if any is amiss.

    Args:
      tensors: the file's, by name.
      expected: shape of every parameter of the Flax model.
      name_of: name in the file of a Flax parameter.
      axes_of: `(key, ndim) ->` the Flax axes in the order in which the file stores them.
      source: the file's name, for messages.

    Returns:
      One array for each key of `expected`.

    Raises:
      UserError: naming the tensors that are missing, left over, or of the wrong shape.
    """
    left = {name for name in tensors if name not in _HARMLESS}
    found, missing, misshapen = {}, [], []
    for key, shape in expected.items():
        name = name_of(key)
        if name not in left:
            missing.append(name)
            continue
        left.remove(name)
        axes = axes_of(key, len(shape))
        needed = [shape[axis] for axis in axes]
        array = np.asarray(tensors[name])
        if list(array.shape) != needed:
            misshapen.append(f"{name} is {list(array.shape)} instead of {needed}")
            continue
        found[key] = array.transpose(np.argsort(axes)) if axes else array
    problems = [
        f"{what}: {_listing(names)}"
        for what, names in (("missing", missing), ("not in the model", left), ("misshapen", misshapen))
        if names
    ]
    if problems:
        raise UserError(f"{source} does not fit the config beside it; " + "; ".join(problems))
    return found


def torch_axes(key: Key, ndim: int) -> tuple[int, ...]:
    """Flax axes of a parameter in the order in which PyTorch stores them."""
    if key[-1] == "kernel":
        return (3, 2, 0, 1) if ndim == 4 else (1, 0)
    return tuple(range(ndim))


def _flax_axes(key: Key, ndim: int) -> tuple[int, ...]:
    return tuple(range(ndim))


def _listing(names: Iterable[str], limit: int = 8) -> str:
    ordered = sorted(names)
    rest = len(ordered) - limit
    return ", ".join(ordered[:limit]) + (f" and {rest} more" if rest > 0 else "")
