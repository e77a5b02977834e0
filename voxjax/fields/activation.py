"""From raw values to density, opacity and colour.

Notation. raw: what a grid or a network holds; shift: the bias that makes an all-zero field almost empty;
density: 1 / length, >= 0; interval: the length of ray that a sample stands for, in the unit of 1 / density;
alpha = 1 - exp(-density * interval), in [0, 1). All functions are elementwise and broadcast.

Post-activation (DVGO; Pure CLIP guidance keeps it): raw values are interpolated first and activated after,
which lets a grid hold surfaces that are sharper than its cells. The opacity of a sample is then
1 - (1 + exp(raw + shift)) ** -interval.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

Array = jax.Array


def density_shift_from_alpha(alpha_init: float) -> float:
    """Shift at which raw density 0 gives opacity `alpha_init` over an interval of 1.

    Args:
      alpha_init: wanted opacity, in (0, 1); the paper's 1e-6 gives about -13.8155.

    Returns:
      log(1 / (1 - alpha_init) - 1).

    Raises:
      ValueError: `alpha_init` is not inside (0, 1).
    """
    if not 0.0 < alpha_init < 1.0:
        raise ValueError(f"alpha_init must lie inside (0, 1), got {alpha_init}")
    # alpha / (1 - alpha) in logarithms: 1 / (1 - alpha) - 1 would lose most digits of a small alpha.
    return math.log(alpha_init) - math.log1p(-alpha_init)


def raw_to_density(raw: Array, shift: Array | float) -> Array:
    """softplus(raw + shift): [...] density, >= 0, without overflow for large raw values."""
    return jax.nn.softplus(raw + shift)


def density_to_raw(density: Array) -> Array:
    """Inverse of `raw_to_density` at shift 0, for reading a field onto a grid; an empty [...] gives -69."""
    density = jnp.maximum(density, 1e-30)
    return density + jnp.log(-jnp.expm1(-density))


def raw_to_colour(raw: Array) -> Array:
    """sigmoid(raw): [...] linear colour in (0, 1)."""
    return jax.nn.sigmoid(raw)


def density_to_alpha(density: Array, interval: Array | float) -> Array:
    """Opacity of a stretch of ray.

    Args:
      density: [...], >= 0.
      interval: [...] or scalar, length of the stretch in the unit of 1 / density.

    Returns:
      [...], 1 - exp(-density * interval), in [0, 1]; exact for the tiny opacities of an empty scene.
    """
    return -jnp.expm1(-density * interval)
