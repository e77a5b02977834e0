"""Weights in training to the file that guidance loads, laid out as by transformers or by open_clip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from safetensors import numpy as safetensors

from voxjax.files import atomic_path
from voxjax.guidance import convert, openclip
from voxjax.guidance.base import Key
from voxjax.smallclips.norms import Statistics


def save(folder: Path, params: Any, statistics: Statistics | None = None, *, half: bool = False) -> None:
    """Writes the weights file, atomically.

    Args:
      folder: where.
      params: of both towers, joined.
      statistics: of a ResNet's normalisations, which makes the layout that of open_clip; None for a ViT.
      half: store matrices and kernels as float16, half the size; they are computed with in float32 all the
        same, and what is a vector or a scalar stays float32.
    """
    flat = {path: np.asarray(leaf) for path, leaf in flatten_dict(jax.device_get(params)).items()}
    if statistics is None:
        file = folder / convert.SAFETENSORS
        tensors = {convert.torch_name(path): _stored(path, leaf, convert) for path, leaf in flat.items()}
    else:
        file = folder / convert.OPEN_CLIP_SAFETENSORS
        tensors = _open_clip(flat, statistics)
    if half:
        tensors = {name: leaf.astype(np.float16) if leaf.ndim > 1 else leaf for name, leaf in tensors.items()}
    with atomic_path(file) as part:
        # Its own writer makes a file that nobody else may read.
        part.write_bytes(safetensors.save(tensors, metadata={"format": "pt"}))


def _stored(path: Key, leaf: np.ndarray, layout: Any) -> np.ndarray:
    axes = layout.torch_axes if layout is convert else layout.file_axes
    return np.array(leaf.transpose(axes(path, leaf.ndim)), order="C")


def _open_clip(flat: dict[Key, np.ndarray], statistics: Statistics) -> dict[str, np.ndarray]:
    """Query, key and value as one matrix, and the four vectors of a batch normalisation."""
    joined: dict[Key, np.ndarray] = {}
    for path, leaf in flat.items():
        if openclip.is_split(path):
            parts = [flat[*path[:-2], part, path[-1]] for part in ("q_proj", "k_proj", "v_proj")]
            joined[openclip.stored_key(path)] = np.concatenate(parts, axis=-1)
        else:
            joined[path] = leaf
    for place, (mean, variance) in statistics.items():
        joined[*place, "mean"], joined[*place, "variance"] = mean, variance
    return {openclip.file_name(path): _stored(path, leaf, openclip) for path, leaf in joined.items()}
