"""Guidance: images in, unit embeddings out, and the prompts' embeddings to compare them with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from voxjax.guidance import names
from voxjax.guidance.base import Array, Guidance

__all__ = ["Guidance", "load_guidance"]


def load_guidance(
    name: str,
    *,
    prompts: str | Sequence[str] = (),
    dtype: Any = None,
    path: str | Path | None = None,
    remat: bool = False,
) -> tuple[Guidance, Array]:
    """Loads a CLIP by name, encodes the prompts with it, and drops its text tower.

    Args:
      name: of a model that ships, such as `pocket`, a short name such as `ViT-B/32`, a hub name
        `owner/repository`, or a folder in the layout of transformers or of open_clip.
      prompts: p texts; or a single one.
      dtype: compute type of the image tower, `"bfloat16"` or `"float32"`; None chooses bfloat16 on an
        accelerator and float32 on CPU.
      path: folder to read in place of what the name would lead to.
      remat: keep only the layers' inputs for derivatives, which costs a third more time and saves most of the
        memory.

    Returns:
      The guidance, and the prompts' unit embeddings [p, d] float32.

    Raises:
      UserError: unknown name, files missing or not fitting together, hub out of reach, or a prompt that
        is empty, too long for the model, or outside its vocabulary.
    """
    prompts = [prompts] if isinstance(prompts, str) else list(prompts)
    if dtype is None:
        dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    folder = names.locate(name, path=path)
    # transformers takes seconds to import: not before a model is really wanted.
    from voxjax.guidance import loading

    return loading.load(name, folder, prompts=prompts, dtype=jnp.dtype(dtype), remat=remat)
