"""A CLIP without its weights: shapes in place of parameters, for reckoning before anything is fetched.

Takes seconds to import, as `hf.py` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util

from voxjax.guidance import catalogue, loading, names, openclip
from voxjax.guidance.base import CLIP_MEAN, CLIP_SD, Checkpoint, Guidance


def outline(name: str, dtype: Any, *, path: str | Path | None = None, remat: bool = False) -> Guidance | None:
    """The image tower of a CLIP whose parameters are `jax.ShapeDtypeStruct`s; no network is touched.

    Args:
      name: as `names.locate` takes it.
      dtype: compute type of the image tower.
      path: folder to read in place of what the name would lead to.
      remat: keep only the layers' inputs for derivatives.

    Returns:
      The tower; None for a hub name that is neither here nor among the known ones.

    Raises:
      UserError: no such name, a path that is no complete folder, or a folder that describes no CLIP.
    """
    checkpoint = _describe(name, jnp.dtype(dtype), path)
    if checkpoint is None:
        return None
    shapes = loading.image_tower_shapes(checkpoint.image_tower, checkpoint.image_size)
    params = {
        key: jax.ShapeDtypeStruct(shape, loading.stored_type(key, jnp.dtype(dtype)))
        for key, shape in shapes.items()
    }
    return Guidance(
        traverse_util.unflatten_dict(params),
        name,
        checkpoint.image_size,
        checkpoint.embedding_size,
        loading.make_encode(checkpoint, remat=remat),
    )


def _describe(name: str, dtype: Any, path: str | Path | None) -> Checkpoint | None:
    folder, missing = (names.locate(name, path=path), []) if path else names.find(name)
    if folder is not None and not missing:
        return loading.describe(folder, dtype)
    architecture = catalogue.ARCHITECTURES.get(name)
    if architecture is None:
        return None
    image_tower, text_tower = openclip.towers(
        architecture.model_cfg(), dtype, source=Path("a published architecture")
    )
    sizes = architecture.image_size, architecture.embedding_size
    # Of a text nothing will be asked.
    return Checkpoint(image_tower, text_tower, *sizes, 77, 2, CLIP_MEAN, CLIP_SD, read=_no_weights)


def _no_weights(shapes: Any) -> Any:
    raise AssertionError("an outline has no weights")
