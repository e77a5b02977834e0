"""The network of Dream Fields: residual blocks on encoded positions (arXiv 2112.01455).

With the default sizes it has 315,396 parameters: 262 * 128 + 128 into it, 4 blocks of 256 + (128 * 256 + 256)
+ (256 * 128 + 128), then 128 * 128 + 128 and 128 * 4 + 4. Weights start as flax starts them (LeCun normal,
biases zero, layer norm with epsilon 1e-6).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

Array = jax.Array


class ResidualNetwork(nn.Module):
    """From encoded positions to four raw values.

    Attributes:
      width: of the features between the blocks.
      hidden: width inside a block.
      n_blocks: number of residual blocks.
      dtype: name of the type that it computes in; its parameters are float32.
    """

    width: int
    hidden: int
    n_blocks: int
    dtype: str

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """[n, channels] to raw colour and raw density [n, 4] float32."""
        x = nn.swish(nn.Dense(self.width, dtype=self.dtype, name="first")(features))
        for i in range(self.n_blocks):
            y = nn.LayerNorm(dtype=self.dtype, name=f"norm_{i}")(x)
            y = nn.swish(nn.Dense(self.hidden, dtype=self.dtype, name=f"widen_{i}")(y))
            x = x + nn.Dense(self.width, dtype=self.dtype, name=f"narrow_{i}")(y)
        x = nn.swish(nn.Dense(self.width, dtype=self.dtype, name="last")(x))
        return nn.Dense(4, dtype=self.dtype, name="raw")(x).astype(jnp.float32)


def merge_inputs(params: Mapping[str, Any], place: np.ndarray) -> dict[str, Any]:
    """The same network for features of which some are equal, and then are given once.

    Args:
      params: of `ResidualNetwork`.
      place: [channels] int, for each channel the one of the smaller network that it is equal to; 0 to the
        largest, none left out.

    Returns:
      `params` with the rows of the first layer's kernel that meet the same value added up.
    """
    first = params["first"]
    kernel = jax.ops.segment_sum(first["kernel"], place, num_segments=int(place.max()) + 1)
    return {**params, "first": {**first, "kernel": kernel}}
