"""Adam for fields: one rate per parameter group, and grid entries without a gradient left alone.

Notation. g: gradient, m and v: its running first and second moment, t: updates so far including this one.
A grid leaf is [x, y, z, 4] (raw density, raw red, green, blue). Most of its entries lie on no ray of a given
step; a gradient of exactly zero marks those, and neither they nor their moments move (DVGO's masked Adam,
used by Pure CLIP guidance).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from voxjax.schedules import Schedule, constant, exponential_anneal, exponential_decay
from voxjax.structs import Array


@dataclass(frozen=True)
class OptimiserOptions:
    """Rates are steps in raw units per update; defaults are the paper's where it has one.

    Attributes:
      rate_density: of the raw density channel of the grid.
      rate_colour: of the raw colour channels of the grid.
      rate_shift: of the density shift.
      rate_network: of everything else.
      beta1: memory of m.
      beta2: memory of v.
      eps: added to the root of v.
      eps_uncorrected: whether that root is of v as it is (DVGO, and so the released code of Pure CLIP
        guidance), or of v after the bias correction (Adam as published).
      decay_steps: updates in which the rates fall tenfold; 0 keeps them.
      warmup_steps: updates in which the rates rise to their value (Dream Fields); 0 for none.
      warmup_shape: "linear", or "exponential" (Dream Fields' released code).
      warmup_start: share of the rates at the first update, where there is a warm-up.
    """

    rate_density: float = 0.1
    rate_colour: float = 0.1
    rate_shift: float = 0.1
    rate_network: float = 5e-3
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8
    eps_uncorrected: bool = True
    decay_steps: int = 20_000
    warmup_steps: int = 0
    warmup_shape: str = "linear"
    warmup_start: float = 0.1

    def factor(self) -> Schedule:
        """Returns the factor on all rates after a number of updates."""
        decay = exponential_decay(1.0, every=self.decay_steps) if self.decay_steps > 0 else constant(1.0)
        if self.warmup_steps <= 0:
            return decay
        rise: Schedule = optax.linear_schedule(self.warmup_start, 1.0, self.warmup_steps)
        if self.warmup_shape == "exponential":
            rise = exponential_anneal(self.warmup_start, 1.0, self.warmup_steps)
        return lambda count: rise(count) * decay(count)


@struct.dataclass
class MaskedAdamState:
    """Number of updates made [], and the two moments in the shapes of the parameters."""

    updates: Array
    m: Any
    v: Any


def make_optimiser(options: OptimiserOptions) -> optax.GradientTransformation:
    """Returns the chain of masked Adam and the rates, for optax's `init` / `update` / `apply_updates`.

    A new state from `init` is a fresh start in every respect: moments, bias correction, decay of the rates.
    """
    return optax.chain(
        scale_by_masked_adam(
            options.beta1, options.beta2, options.eps, eps_uncorrected=options.eps_uncorrected
        ),
        _scale_by_group(options),
        optax.scale_by_schedule(options.factor()),
    )


def scale_by_masked_adam(
    beta1: float, beta2: float, eps: float, *, eps_uncorrected: bool = True
) -> optax.GradientTransformation:
    """Adam's direction; none where g of a grid is exactly zero.

    With c1 = 1 - beta1^t and c2 = 1 - beta2^t it is (m / c1) / (sqrt(v / c2) + eps), or where
    `eps_uncorrected` (m / c1) * sqrt(c2) / (sqrt(v) + eps): for gradients of the size of eps that is a fifth
    of it at the first update, so that density in empty space emerges later.

    Leaves of rank 4 are grids; all other leaves get plain Adam. The bias correction counts updates of the
    whole, not of an entry, as in DVGO.
    """

    def init(params: Any) -> MaskedAdamState:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return MaskedAdamState(jnp.zeros((), jnp.int32), zeros, jax.tree.map(jnp.zeros_like, params))

    def update(gradients: Any, state: MaskedAdamState, params: Any = None) -> tuple[Any, MaskedAdamState]:
        del params
        count = state.updates + 1
        # 1 - beta^t without the digits that a beta near 1 would cost.
        correction1, correction2 = (
            -jnp.expm1(count.astype(jnp.float32) * math.log(beta)) if beta > 0 else jnp.ones(())
            for beta in (beta1, beta2)
        )

        def one(g: Array, m: Array, v: Array) -> tuple[Array, Array, Array]:
            touched = g != 0 if g.ndim == 4 else jnp.ones_like(g, bool)
            m = jnp.where(touched, beta1 * m + (1 - beta1) * g, m)
            v = jnp.where(touched, beta2 * v + (1 - beta2) * g * g, v)
            if eps_uncorrected:
                direction = (m / correction1) * jnp.sqrt(correction2) / (jnp.sqrt(v) + eps)
            else:
                direction = (m / correction1) / (jnp.sqrt(v / correction2) + eps)
            return jnp.where(touched, direction, 0.0), m, v

        leaves, structure = jax.tree.flatten(gradients)
        new = [
            one(*each)
            for each in zip(leaves, jax.tree.leaves(state.m), jax.tree.leaves(state.v), strict=True)
        ]
        directions, m, v = (jax.tree.unflatten(structure, part) for part in zip(*new, strict=True))
        return directions, MaskedAdamState(count, m, v)

    return optax.GradientTransformation(init, update)


def updates_made(opt_state: Any) -> Array:
    """Returns how many updates lie behind a state of `make_optimiser`, []."""
    return opt_state[0].updates


def _scale_by_group(options: OptimiserOptions) -> optax.GradientTransformation:
    """Multiplies each group by minus its rate."""

    def rate(path: Any) -> Array:
        name = path[0].key
        if name == "grid":
            return jnp.array([options.rate_density] + 3 * [options.rate_colour], jnp.float32)
        return jnp.float32(options.rate_shift if name == "density_shift" else options.rate_network)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        return jax.tree_util.tree_map_with_path(lambda path, u: -rate(path) * u, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
