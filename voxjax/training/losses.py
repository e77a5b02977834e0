"""One function per term of the loss (Pure CLIP guidance, Eq. 7), and how they are put together.

Notation. T: transmittance in [0, 1], [..., height, width] or any shape; alpha: opacity of a grid vertex over
some interval, [x, y, z]; n images, d dimensions of an embedding, all embeddings of unit length. Every term
returns a float32 scalar that is to become small, without its weight; `weigh` applies weights (and windows)
and keeps the terms apart, so that the dict that is summed is the dict that is logged.
"""

from __future__ import annotations

from collections.abc import Mapping

import chex
import jax
import jax.numpy as jnp

from voxjax.structs import Array


def clip_loss(image_embeddings: Array, target: Array) -> Array:
    """Minus the mean cosine of images and what they are to be like.

    Args:
      image_embeddings: [n, d], unit length.
      target: [d], or [n, d], one for each image; unit length, or a weighted sum of unit vectors, which gives
        the sum of the weighted cosines.

    Returns:
      [], in [-1, 1] for a target of unit length.
    """
    chex.assert_equal_shape_suffix([image_embeddings, target], 1)
    return -jnp.mean(jnp.sum(image_embeddings * target, axis=-1))


def contrastive_loss(
    image_embeddings: Array, text_embedding: Array, negatives: Array, *, scale: chex.Numeric = 100.0
) -> Array:
    """Cross-entropy of choosing the text among other texts, by cosine.

    Not part of the paper; an option whose negatives must not be the captions that an evaluation ranks.

    Args:
      image_embeddings: [n, d], unit length.
      text_embedding: [d], the right text, unit length.
      negatives: [m, d], the wrong ones, unit length.
      scale: factor on the cosines before the softmax (CLIP's learned logit scale, 100 for OpenAI's models).

    Returns:
      [], mean over the images, >= 0.
    """
    texts = jnp.concatenate([text_embedding[None], negatives])
    logits = scale * jnp.matmul(image_embeddings, texts.T, precision=jax.lax.Precision.HIGHEST)
    chex.assert_shape(logits, (image_embeddings.shape[0], negatives.shape[0] + 1))
    return -jnp.mean(jax.nn.log_softmax(logits, axis=-1)[:, 0])


def transmittance_loss(transmittance: Array, tau: chex.Numeric) -> Array:
    """Rewards emptiness up to a target (Dream Fields, Eq. 5).

    Args:
      transmittance: [...], in [0, 1].
      tau: target of the mean, see `schedules.transmittance_target`.

    Returns:
      [], -min(tau, mean transmittance); no gradient once the mean is above tau.
    """
    return -jnp.minimum(jnp.asarray(tau, transmittance.dtype), jnp.mean(transmittance))


def kl_sphere(alpha: Array, inside: Array) -> Array:
    """Prior that the unit sphere is filled: mean over all vertices of P log(P / (alpha + 1e-4) + 1e-4).

    Args:
      alpha: [x, y, z], opacity of the vertices at interval current / final voxel size.
      inside: [x, y, z] bool or 0/1, P: whether the vertex lies within distance 1 of the origin.

    Returns:
      []; the vertices outside count in the mean although they add nothing to the sum.
    """
    chex.assert_equal_shape([alpha, inside])
    prior = inside.astype(alpha.dtype)
    return jnp.mean(prior * jnp.log(prior / (alpha + 1e-4) + 1e-4))


def _neighbour_differences(values: Array) -> list[Array]:
    return [jnp.diff(values, axis=axis) for axis in range(3)]


def tv_explicit(values: Array) -> Array:
    """Smoothness of raw grid values: Huber of every difference of neighbours (delta 1), summed.

    To be weighted with `tv_explicit_scale`, and to be used through its gradient alone, see
    `add_where_touched` (Pure CLIP guidance, as in DVGO).

    Args:
      values: [x, y, z, c], raw density and colour.

    Returns:
      [], sum over the 3 axes, all pairs of neighbours and all channels.
    """
    chex.assert_rank(values, 4)

    def huber(difference: Array) -> Array:
        size = jnp.abs(difference)
        return jnp.where(size <= 1.0, 0.5 * difference**2, size - 0.5)

    return sum((jnp.sum(huber(d)) for d in _neighbour_differences(values)), start=jnp.zeros((), values.dtype))


def tv_explicit_scale(shape: tuple[int, ...], n_rays: int) -> float:
    """What the weight of `tv_explicit` is multiplied by: longest side / 128 / number of rays / 6.

    Args:
      shape: (x, y, z, ...) of the grid, in vertices.
      n_rays: rays of one step (views * height * width).

    Returns:
      The factor.
    """
    return max(shape[:3]) / 128 / n_rays / 6


def add_where_touched(gradient: Array, tv_gradient: Array) -> Array:
    """Adds the gradient of total variation only to entries that the other terms already moved.

    Args:
      gradient: [...], gradient of all other terms.
      tv_gradient: [...], gradient of the weighted `tv_explicit`.

    Returns:
      [...], the sum where `gradient` is not exactly zero, else zero.
    """
    chex.assert_equal_shape([gradient, tv_gradient])
    return jnp.where(gradient != 0, gradient + tv_gradient, gradient)


def tv_implicit(alpha: Array, colour: Array, *, evaluated: Array | None = None) -> Array:
    """Smoothness of what an implicit field means: mean absolute difference of alpha, and of colour.

    Args:
      alpha: [x, y, z], opacity of the vertices at interval 1.
      colour: [x, y, z, 3], in [0, 1].
      evaluated: [x, y, z] bool, False at vertices without a value of their own: a pair with one of them
        counts as equal. None: all have one.

    Returns:
      [], for each of the two the mean over neighbours and channels, averaged over the 3 axes; then summed.
    """
    chex.assert_equal_shape_prefix([alpha, colour], 3)

    def total(values: Array) -> Array:
        means = []
        for axis, difference in enumerate(_neighbour_differences(values)):
            if evaluated is not None:
                pair = _both(evaluated, axis)
                difference = jnp.where(pair.reshape(pair.shape + (1,) * (values.ndim - 3)), difference, 0.0)
            means.append(jnp.mean(jnp.abs(difference)))
        return jnp.mean(jnp.stack(means))

    return total(alpha) + total(colour)


def _both(mask: Array, axis: int) -> Array:
    """Whether both of two neighbours along an axis are in the mask."""
    n = mask.shape[axis]
    return jax.lax.slice_in_dim(mask, 0, n - 1, axis=axis) & jax.lax.slice_in_dim(mask, 1, n, axis=axis)


def background_entropy(transmittance: Array) -> Array:
    """Pushes every pixel to be either object or background.

    Args:
      transmittance: [...], in [0, 1]; clamped to [1e-6, 1 - 1e-6], without gradient beyond.

    Returns:
      [], mean of -(T log T + (1 - T) log(1 - T)), in [0, log 2].
    """
    t = jnp.clip(transmittance, 1e-6, 1 - 1e-6)
    return -jnp.mean(t * jnp.log(t) + (1 - t) * jnp.log1p(-t))


def weigh(terms: Mapping[str, Array], weights: Mapping[str, chex.Numeric]) -> tuple[Array, dict[str, Array]]:
    """Puts the loss together.

    Args:
      terms: unweighted terms by name.
      weights: weight (with its window at this step) of each of these terms.

    Returns:
      (sum [], weighted terms by name). A term whose weight is exactly 0 counts 0 even where it is not finite.

    Raises:
      ValueError: if the names differ.
    """
    if set(terms) != set(weights):
        raise ValueError(f"terms {sorted(terms)} and weights {sorted(weights)} must have the same names")
    weighted = {}
    for name, term in terms.items():
        weight = jnp.asarray(weights[name], jnp.float32)
        weighted[name] = jnp.where(weight == 0, 0.0, weight * term)
    total = sum(weighted.values(), start=jnp.zeros((), jnp.float32))
    return total, weighted
