"""Positions turned into waves, so that a small network can describe fine detail.

Notation. x: position [3], world frame, scene units. b: a basis vector [3], radians per scene unit, so that
b . x is the phase of a wave; basis: [n_waves, 3]. Phases reach some thousand radians and are never less than
float32: where a factor is a power of two or an integer, so is its product with x to the last bit
or nearly, and matrix products run at the highest precision, because the shortened inputs of a fast one
(bfloat16, TF32) would lose the phase altogether.

Sources: `vertex_encoding` NeRF (Eq. 4, without the factor pi); `integrated_encoding` mip-NeRF (Eq. 12 to 16,
for any basis instead of the axes); `fourier_basis` Dream Fields (text), `released_basis` its code.
"""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array


def vertex_encoding(positions: np.ndarray, n_frequencies: int = 10) -> np.ndarray:
    """Positions and their sines and cosines at octaves, for the vertices of a grid.

    In NumPy and float64, as the vertices are known when a program is made.

    Args:
      positions: [..., 3] float32, world frame.
      n_frequencies: octaves k = 0 .. n_frequencies - 1, each with the factor 2^k (radians per scene unit).

    Returns:
      [..., 3 + 6 * n_frequencies], channels: x, y, z; then for each k in turn sin(2^k x), sin(2^k y),
      sin(2^k z), cos(2^k x), cos(2^k y), cos(2^k z); float32, of the positions as they are.
    """
    chex.assert_axis_dimension(positions, -1, 3)
    phase = positions[..., None, :].astype(np.float64) * 2.0 ** np.arange(n_frequencies)[:, None]
    waves = np.concatenate([np.sin(phase), np.cos(phase)], axis=-1).astype(np.float32)
    chex.assert_shape(waves, positions.shape[:-1] + (n_frequencies, 6))
    waves = waves.reshape(positions.shape[:-1] + (6 * n_frequencies,))
    return np.concatenate([positions, waves], axis=-1)


def fourier_basis(key: Array, *, n_features: int = 128, max_exponent: float = 8.0) -> Array:
    """Random Fourier directions: isotropic, of log-uniform length, rounded to integers, and the three axes.

    Args:
      key: PRNG key.
      n_features: number of random vectors.
      max_exponent: lengths before rounding are 2^(max_exponent * u), u uniform in [0, 1).

    Returns:
      [n_features + 3, 3], radians per scene unit, the axes last. No vector is zero: the largest component
      of one of length 1 is at least 0.577, which rounds to 1.
    """
    direction_key, length_key = jax.random.split(key)
    directions = jax.random.normal(direction_key, (n_features, 3))
    directions /= jnp.linalg.norm(directions, axis=-1, keepdims=True)
    lengths = 2.0 ** (max_exponent * jax.random.uniform(length_key, (n_features, 1)))
    return jnp.concatenate([jnp.round(directions * lengths), jnp.eye(3)])


def released_basis(*, n_features: int = 128, max_exponent: float = 8.0) -> Array:
    """The directions of Dream Fields' released code: the same in every run, short, and cut to integers.

    One fixed key (124124) draws the directions, normal in shape (3, n_features) and divided by their norm
    over the n_features, and their magnitudes 2^(max_exponent * u); the products are cut, not rounded. With
    the defaults the median length is 1.0, the largest 40, and 47 % are zero.

    Args:
      n_features: number of directions.
      max_exponent: magnitudes are at most 2 to this.

    Returns:
      [n_features + 3, 3], radians per scene unit, the axes last.
    """
    # The numbers of jax as it was then; today's default draws others from the same key.
    with jax.threefry_partitionable(False):
        key = jax.random.key(124124, impl="threefry2x32")
        directions = jax.random.normal(key, (3, n_features), jnp.float32)
        directions /= jnp.linalg.norm(directions, axis=-1, keepdims=True)
        magnitudes = 2.0 ** (max_exponent * jax.random.uniform(key, (n_features,), jnp.float32))
    return jnp.concatenate([jnp.trunc(magnitudes * directions).T, jnp.eye(3)])


@functools.cache
def equal_waves(n_features: int, max_exponent: float) -> tuple[np.ndarray, np.ndarray]:
    """Which waves of `released_basis` are one and the same, as half of them are and more: zero above all.

    Args:
      n_features: of the basis.
      max_exponent: of the basis.

    Returns:
      (rows of the basis with each wave once, at its first place [n_kept]; for each row which of these it is
      [n_features + 3]), int. With the defaults 63 of 131 are kept.
    """
    with jax.ensure_compile_time_eval():
        basis = np.asarray(released_basis(n_features=n_features, max_exponent=max_exponent))
    _, first, place = np.unique(basis, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[place.reshape(-1)]


def axis_basis(n_octaves: int) -> Array:
    """The axes at octaves, mip-NeRF's own basis: [3 * n_octaves, 3], row 3 k + i is 2^k along axis i."""
    octaves = 2.0 ** np.arange(n_octaves, dtype=np.float32)
    return jnp.asarray((octaves[:, None, None] * np.eye(3, dtype=np.float32)).reshape(-1, 3))


def plain_encoding(positions: Array, basis: Array) -> Array:
    """Cosines, then sines, of the phases of points.

    Args:
      positions: [..., 3].
      basis: [n_waves, 3].

    Returns:
      [..., 2 * n_waves].
    """
    phase = _project(positions, basis)
    return jnp.concatenate([jnp.cos(phase), jnp.sin(phase)], axis=-1)


def integrated_encoding(
    positions: Array,
    basis: Array,
    *,
    direction: Array,
    variance_along: Array,
    variance_across: Array,
    scale: Array | float = 1.0,
) -> Array:
    """The mean of `plain_encoding` over Gaussians: waves shorter than the Gaussian fade out.

    Args:
      positions: [..., 3], means of the Gaussians.
      basis: [n_waves, 3].
      direction: [..., 3] unit, axis d of each Gaussian.
      variance_along: [...], variance along d, scene units squared.
      variance_across: [...], variance at right angles to d; the covariance is variance_along * d d^T +
        variance_across * (I - d d^T).
      scale: [], factor on the standard deviations of the Gaussians.

    Returns:
      [..., 2 * n_waves], cos(phase), then sin(phase), times exp(-variance / 2) of the phase.
    """
    chex.assert_equal_shape([positions, direction])
    chex.assert_equal_shape([variance_along, variance_across, positions[..., 0]])
    along = jnp.square(_project(direction, basis))
    # Rounding must not make a negative of what a wave along d has across d, which is nothing.
    across = jnp.maximum(jnp.sum(jnp.square(basis), axis=-1) - along, 0.0)
    variance = variance_along[..., None] * along + variance_across[..., None] * across
    phase, fading = _project(positions, basis), jnp.exp(-0.5 * variance * jnp.square(scale))
    return jnp.concatenate([fading * jnp.cos(phase), fading * jnp.sin(phase)], axis=-1)


def _project(vectors: Array, basis: Array) -> Array:
    """[..., 3] onto each of [n_waves, 3]: [..., n_waves]."""
    return jnp.matmul(vectors, basis.T, precision=lax.Precision.HIGHEST)
