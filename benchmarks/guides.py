"""CLIPs of the real sizes without their weights: as outlines, to compile for; or with random ones, to run."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.guidance import Guidance
from voxjax.guidance.ensemble import guide_specs
from voxjax.guidance.outline import outline
from voxjax.training.guides import Loaded
from voxjax.training.parts import Guide

LARGEST = [("prompt", "a red sphere"), ("progressive.boundaries", "()"), ("cache_dir", "")]
"""Keys of a step that is only measured: the final grid from the start, as that is where a step is largest."""


def outlined(config: ConfigDict, dtype: str) -> tuple[Loaded, list[Guidance]]:
    """The CLIPs of a config as shapes.

    Args:
      config: the config.
      dtype: type that they compute in.

    Returns:
      What `load_guides` returns, its arrays `jax.ShapeDtypeStruct`s; and the models.

    Raises:
      UserError: a hub name that is neither here nor among the known ones.
    """
    specs, c = guide_specs(config), config.clip
    models = []
    for spec in specs:
        model = outline(spec.model, dtype, path=spec.path or None, remat=c.remat)
        if model is None:
            raise UserError(
                f"--config.clip.model={spec.model}: its sizes are not known before it was fetched"
            )
        models.append(model)
    guides = tuple(
        Guide(spec.term, model.encode, model.image_size, micro_batch=c.micro_batch or None)
        for spec, model in zip(specs, models, strict=True)
    )
    rows = lambda n: tuple(jax.ShapeDtypeStruct((n, model.embedding_size), jnp.float32) for model in models)  # noqa: E731
    return Loaded(specs, guides, tuple(model.params for model in models), rows(1), rows(0)), models


def with_random_weights(loaded: Loaded) -> Loaded:
    """The same CLIPs with weights such that activations stay of order 1, and a random unit target each."""
    rng = np.random.default_rng(0)

    def draw(path: Any, leaf: Any) -> jax.Array:
        name = jax.tree_util.keystr(path)
        if len(leaf.shape) < 2:
            ones = name.endswith(("'scale']", "'var']"))
            return jnp.full(leaf.shape, float(ones), leaf.dtype)
        scale = 0.02 if "embedding" in name else math.prod(leaf.shape[:-1]) ** -0.5
        return jnp.asarray(scale * rng.standard_normal(leaf.shape, np.float32), leaf.dtype)

    params = tuple(jax.tree_util.tree_map_with_path(draw, each) for each in loaded.params)
    texts = [rng.standard_normal(each.shape, np.float32) for each in loaded.targets]
    targets = tuple(jnp.asarray(text / np.linalg.norm(text, axis=-1, keepdims=True)) for text in texts)
    negatives = tuple(jnp.zeros(each.shape) for each in loaded.negatives)
    return Loaded(loaded.specs, loaded.guides, params, targets, negatives)
