"""One update of a small CLIP: Muon and AdamW, averaged weights, and images shifted along their gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from flax import struct

from voxjax.smallclips.recipe import Phase

Array = jax.Array
Loss = Callable[[Any, Array, Any], tuple[Array, dict[str, Array]]]
"""(params, images, batch) -> the loss and its parts; it is differentiated by parameters and images."""

EMA = 0.998


@struct.dataclass
class State:
    """What an update changes.

    Attributes:
      params: `clip`, the parameters of both towers, and whatever helps in training only.
      ema: average of `clip` over the updates.
      opt_state: of the optimiser.
    """

    params: Any
    ema: Any
    opt_state: Any


def make_rate(phase: Phase) -> Callable[[Array], Array]:
    """The learning rate after a number of updates: warmed up, then cosine to 2 %."""
    return optax.warmup_cosine_decay_schedule(
        0.0, phase.learning_rate, max(1, phase.steps // 25), phase.steps, phase.learning_rate * 0.02
    )


def make_optimiser() -> optax.GradientTransformation:
    """Muon on the matrices, AdamW on the rest, at a rate of 1: `make_update` scales their steps."""
    muon = optax.contrib.muon(1.0, adam_b2=0.98, weight_decay=0.05, consistent_rms=0.2)
    return optax.chain(optax.clip_by_global_norm(1.0), muon)


def begin(clip: Any, helpers: dict[str, Any], optimiser: optax.GradientTransformation) -> State:
    """The state before the first update.

    Args:
      clip: parameters of both towers.
      helpers: parameters of what helps in training only.
      optimiser: from `make_optimiser`.
    """
    params = {"clip": clip, **helpers}
    return State(params, jax.tree.map(jnp.copy, clip), optimiser.init(params))


def make_update(loss: Loss, optimiser: optax.GradientTransformation):
    """(state, images, batch, rate) -> the new state, the pixel gradient [n, s, s, 3] and the loss parts."""

    @functools.partial(jax.jit, donate_argnums=0)
    def update(state: State, images: Array, batch: Any, rate: Array):
        (_, parts), (gradient, pixel_gradient) = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(
            state.params, images, batch
        )
        steps, opt_state = optimiser.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, jax.tree.map(lambda step: rate * step, steps))
        ema = jax.tree.map(lambda a, b: EMA * a + (1 - EMA) * b, state.ema, params["clip"])
        return State(params, ema, opt_state), pixel_gradient, parts

    return update


@functools.partial(jax.jit, static_argnames="share")
def shift_images(key: Array, images: Array, pixel_gradient: Array, radius: Array, *, share: float) -> Array:
    """Moves images up their loss by a random distance.

    Args:
      key: PRNG key.
      images: [n, s, s, 3] in [0, 1].
      pixel_gradient: [n, s, s, 3], of the loss.
      radius: [], the largest distance, L2 norm over the image.
      share: of the images that move at all.

    Returns:
      [n, s, s, 3] in [0, 1].
    """
    k1, k2 = jax.random.split(key)
    n = len(images)
    distance = radius * jax.random.uniform(k1, (n,)) * jax.random.bernoulli(k2, share, (n,))
    norm = jnp.sqrt(jnp.sum(pixel_gradient**2, axis=(1, 2, 3))) + 1e-12
    return jnp.clip(images + (distance / norm)[:, None, None, None] * pixel_gradient, 0.0, 1.0)
