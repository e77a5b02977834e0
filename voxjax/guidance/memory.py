"""How much memory a guiding CLIP takes, and how many images it may see at a time."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from voxjax.guidance import Guidance

SHARE = 0.5
"""Of the free memory that a CLIP's activations may fill; the rest is for the field and its rays."""


def free_bytes() -> int | None:
    """Free memory of the local device that has least, bytes; None where the backend does not tell (CPU)."""
    stats = [device.memory_stats() or {} for device in jax.local_devices()]
    if not all("bytes_limit" in each for each in stats):
        return None
    return min(int(each["bytes_limit"] - each.get("bytes_in_use", 0)) for each in stats)


def bytes_per_image(guidance: Guidance) -> int:
    """Memory that the backward pass to the pixels wants kept, for each image.

    Counted from the shapes that the derivative stores, without running or compiling anything; what XLA then
    fuses away makes the true figure somewhat smaller.
    """

    def kept(n: int) -> int:
        images = jax.ShapeDtypeStruct((n, guidance.image_size, guidance.image_size, 3), jnp.float32)
        params = jax.eval_shape(lambda tree: tree, guidance.params)
        stored = jax.eval_shape(lambda p, x: jax.vjp(lambda y: guidance.encode(p, y), x)[1], params, images)
        return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(stored))

    # Parameters are kept too, once for all images: the difference leaves them out.
    return kept(2) - kept(1)


def choose_micro_batch(guidance: Guidance, n_images: int, *, wanted: int = 0, free: int | None = None) -> int:
    """Images that a model shall see at a time.

    Args:
      guidance: the model.
      n_images: images of a step.
      wanted: at most so many; 0 to choose by memory.
      free: bytes; None for no limit.

    Returns:
      The largest divisor of `n_images` within the limit, at least 1.
    """
    each = 0 if wanted or free is None else bytes_per_image(guidance)
    return fitting_batch(n_images, wanted=wanted, free=free, each=each)


def fitting_batch(n_images: int, *, wanted: int, free: int | None, each: int) -> int:
    """As `choose_micro_batch`, of a model that keeps `each` bytes for an image."""
    limit = wanted
    if not wanted:
        limit = n_images if free is None else int(SHARE * free / max(each, 1))
    return max(d for d in range(1, n_images + 1) if n_images % d == 0 and (d <= limit or d == 1))
