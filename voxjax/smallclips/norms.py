"""Batch normalisation for a tower whose own is frozen: in training its inputs are normalised first.

`guidance.resnet` knows a batch normalisation only as the scale and offset that it comes down to. What Ioffe
and Szegedy (2015) do before them, subtracting the batch's mean and dividing by its deviation, is put in front
of every such layer while training, so that one tower serves both. The running statistics that a checkpoint
needs are measured afterwards, on batches seen by the weights that are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from voxjax.guidance.resnet import NORM_EPSILON, FrozenNorm

Array = jax.Array
Seen = dict[tuple[str, ...], tuple[Array, Array]]
Statistics = dict[tuple[str, ...], tuple[np.ndarray, np.ndarray]]
"""Mean and variance [c] of what goes into each normalisation, by its place in the parameter tree."""


@contextmanager
def of_the_batch(seen: Seen | None = None) -> Iterator[None]:
    """Within it, every frozen normalisation normalises by its own input first.

    Args:
      seen: filled with mean and variance [c] of the inputs of each, if given.
    """

    def intercept(call: Callable[..., Any], arguments: tuple, options: dict, context: Any) -> Any:
        if not isinstance(context.module, FrozenNorm) or context.method_name != "__call__":
            return call(*arguments, **options)
        x = arguments[0].astype(jnp.float32)
        places = tuple(range(x.ndim - 1))
        mean = jnp.mean(x, axis=places)
        variance = jnp.mean((x - mean) ** 2, axis=places)
        if seen is not None:
            seen[context.module.path] = (mean, variance)
        return call((x - mean) * jax.lax.rsqrt(variance + NORM_EPSILON), **options)

    with nn.intercept_methods(intercept):
        yield


def measure(encode: Callable[[Any, Array, Seen], Any], params: Any, batches: Iterable[Array]) -> Statistics:
    """Running statistics of weights that do not change any more.

    Args:
      encode: (params, images, seen) -> anything, runs the image tower within `of_the_batch(seen)`.
      params: of it.
      batches: of images.

    Returns:
      Mean and variance over all batches; empty for a tower without batch normalisation.
    """

    @jax.jit
    def moments(params: Any, images: Array) -> dict:
        seen: Seen = {}
        encode(params, images, seen)
        return seen

    found = [jax.device_get(moments(params, images)) for images in batches]
    result = {}
    for place in found[0]:
        means = np.stack([each[place][0] for each in found]).astype(np.float64)
        variances = np.stack([each[place][1] for each in found])
        # Of the whole: the mean of the variances, and the variance of the means.
        variance = variances.mean(0) + means.var(0)
        result[place] = (means.mean(0).astype(np.float32), variance.astype(np.float32))
    return result
