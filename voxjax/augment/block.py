"""Some of a step's images, for one of several devices that share the work.

Notation. v views, n = v * n_diff * n_back images, sorted by view, then DiffAug draw, then background.
"""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp

from voxjax.structs import Array


@dataclasses.dataclass(frozen=True)
class Block:
    """Some of the images that follow each other, where several devices share the work.

    Attributes:
      first: index of the first one, [] int32.
      size: m, how many, static.
    """

    first: Array
    size: int

    def images(self) -> Array:
        """Their indices, [m]."""
        return self.first + jnp.arange(self.size)

    def sources(self, copies: int, n: int) -> Array:
        """Indices of what they come from, if each of n things is the source of `copies` images.

        Returns:
          [at most n], things that follow each other, enough wherever a block of this size begins.
        """
        even = (n * copies) % self.size == 0 and (self.size % copies == 0 or copies % self.size == 0)
        count = max(self.size // copies, 1) if even else min((self.size - 1) // copies + 2, n)
        return jnp.minimum(self.first // copies, n - count) + jnp.arange(count)
