"""Emission and absorption along rays: weights, and sums with them, with a gradient of their own.

Notation. Samples come first, `[n_samples, n_rays]`, front to back. extinction x_i = density_i * interval;
alpha_i = 1 - exp(-x_i); transmittance T_i = prod_{j<i} (1 - alpha_j) = exp(-sum_{j<i} x_j); weight w_i =
T_i * alpha_i. Sums of extinction only ever add non-negative numbers, so nothing cancels, and no gradient
divides by 1 - alpha.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

THRESHOLD = 1e-7
"""A sample whose opacity or weight is at or below this contributes nothing (as in the reference)."""


def _sum_before(x: Array, *, reverse: bool = False) -> Array:
    """Sum of all earlier rows of [n_samples, n_rays], or of all later ones.

    As a product with a triangle of ones, which on CPU runs and compiles faster than a scan: XLA would compute
    `x` again at every level of the scan.
    """
    n_samples = x.shape[0]
    triangle = np.tril(np.ones((n_samples, n_samples), np.float32), -1)
    return jnp.matmul(triangle.T if reverse else triangle, x, precision=lax.Precision.HIGHEST)


def weights(extinction: Array) -> tuple[Array, Array]:
    """Compositing weights.

    Args:
      extinction: [n_samples, n_rays], density * interval, >= 0, finite; zero where there is no sample.

    Returns:
      (weights [n_samples, n_rays], transmittance [n_rays]) in [0, 1]. Samples of opacity <= 1e-7 neither
      emit nor absorb; of the others, those of weight <= 1e-7 absorb but do not emit, so that weights and
      transmittance add up to 1 within 1e-7 per sample.
    """
    alpha = -jnp.expm1(-extinction)
    active = alpha > THRESHOLD
    extinction = jnp.where(active, extinction, 0.0)
    before = _sum_before(extinction)
    weight = jnp.where(active, jnp.exp(-before) * alpha, 0.0)
    transmittance = jnp.exp(-(before[-1] + extinction[-1]))
    return jnp.where(weight > THRESHOLD, weight, 0.0), transmittance


@jax.custom_vjp
def composite(extinction: Array, colour: Array, distance: Array) -> tuple[Array, Array, Array]:
    """Front-to-back compositing.

    Args:
      extinction: [n_samples, n_rays], >= 0; zero where there is no sample.
      colour: [n_samples, n_rays, 3].
      distance: [n_samples, n_rays], from the ray origin.

    Returns:
      (colour [n_rays, 3], transmittance [n_rays], depth [n_rays]): sums of weight * colour and weight *
      distance, and the last T. The gradient to `distance` is zero by definition. A sample that does not
      absorb gets no gradient, and one that does not emit (see `weights`) none to its colour.
    """
    weight, transmittance = weights(extinction)
    return jnp.sum(weight[..., None] * colour, axis=0), transmittance, jnp.sum(weight * distance, axis=0)


def _composite_forward(extinction, colour, distance):
    return composite(extinction, colour, distance), (extinction, colour, distance)


def _composite_backward(residuals, gradients):
    extinction, colour, distance = residuals
    colour_gradient, transmittance_gradient, depth_gradient = gradients
    weight, transmittance = weights(extinction)
    # worth_i: what one unit of weight at sample i is worth to the loss. A unit more of x_i adds the share
    # exp(-x_i) of T_i to w_i and takes w_j from every later sample j, and T from the last transmittance.
    worth = jnp.sum(colour * colour_gradient, axis=-1) + distance * depth_gradient
    alpha = -jnp.expm1(-extinction)
    active = alpha > THRESHOLD
    before = _sum_before(jnp.where(active, extinction, 0.0))
    passed_on = jnp.where(weight > 0.0, jnp.exp(-(before + extinction)), 0.0) * worth
    behind = _sum_before(weight * worth, reverse=True) + transmittance * transmittance_gradient
    extinction_gradient = jnp.where(active, passed_on - behind, 0.0)
    return extinction_gradient, weight[..., None] * colour_gradient, jnp.zeros_like(distance)


composite.defvjp(_composite_forward, _composite_backward)
