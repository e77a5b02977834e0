"""OpenAI's CLIP ResNets: the image towers of RN50, RN101, RN50x4 and RN50x16, frozen.

Notation: n images, s pixels a side, c channels, k = s / 32 cells a side of the last feature map, w channels
behind the stem, d embedding dimensions. Feature maps are `[n, height, width, c]`.

What differs from the ResNet of He et al. (Radford et al. 2021, section 2.4): three convolutions in front
with an average pool behind them; wherever a block shrinks its map, an average pool (not a stride) does it;
and the last map is summed up by attention, whose query is the mean over the map.

Batch normalisation is frozen: with the running statistics of the checkpoint it is a scale and an offset per
channel (`fold_norm`), which is all that the parameter tree holds of it.
"""

from __future__ import annotations

from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from voxjax.guidance.base import Array

# PyTorch's default, which the checkpoints were trained with.
NORM_EPSILON = 1e-5
# Of a block's output to its inner width.
EXPANSION = 4
# Pixels of the image to a cell of the last map: stem 4, then three times 2.
REDUCTION = 32
# Of an attention head; OpenAI's all have it.
HEAD_WIDTH = 64
# Parameters that stay in float32 whatever the tower computes in; see `_Stem`.
FLOAT32_PARTS = ("stem", "layer1")


def fold_norm(
    scale: np.ndarray, bias: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and offset that a frozen batch normalisation comes down to.

    Args:
      scale: [c], learned.
      bias: [c], learned.
      mean: [c], running mean.
      variance: [c], running variance.

    Returns:
      a [c] and b [c], float32, with `a * x + b = (x - mean) / sqrt(variance + epsilon) * scale + bias`.
    """
    scale, bias, mean, variance = (np.asarray(each, np.float64) for each in (scale, bias, mean, variance))
    factor = scale / np.sqrt(variance + NORM_EPSILON)
    return factor.astype(np.float32), (bias - mean * factor).astype(np.float32)


class FrozenNorm(nn.Module):
    """x [..., c] -> scale * x + bias, float32 whatever x is."""

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """See the class."""
        channels = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (channels,))
        bias = self.param("bias", nn.initializers.zeros, (channels,))
        return x.astype(jnp.float32) * scale + bias


def _halve(x: Array) -> Array:
    """Mean over 2 x 2 cells; an odd row or column at the end is left out, as in PyTorch."""
    n, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    x = x.reshape(n, height // 2, 2, width // 2, 2, channels)
    return jnp.mean(x, axis=(2, 4))


class _Stem(nn.Module):
    """Images [n, s, s, 3] -> [n, s / 4, s / 4, w], float32 whatever the rest computes in.

    Stem and first stage are a hundredth of the parameters, and all that follows sees through them: their
    kernels rounded to bfloat16 would make most of the error of the tower's gradient.
    """

    width: int

    @nn.compact
    def __call__(self, images: Array) -> Array:
        """See the class."""
        x, half = images, self.width // 2
        for i, (channels, stride) in enumerate(((half, 2), (half, 1), (self.width, 1)), start=1):
            # Padded on all sides alike; "SAME" would pad a map that is halved at its far sides only.
            convolve = nn.Conv(
                channels, (3, 3), strides=stride, padding=((1, 1), (1, 1)), use_bias=False, name=f"conv{i}"
            )
            x = nn.relu(FrozenNorm(name=f"norm{i}")(convolve(x)))
        return _halve(x)


class _Bottleneck(nn.Module):
    """A residual block: [n, h, w, c] -> [n, h / shrink, w / shrink, 4 * width]."""

    width: int
    shrink: int
    dtype: Any

    def _convolve(self, x: Array, channels: int, size: int, name: str) -> Array:
        # Padded on all sides alike, which is not what "SAME" means to PyTorch where there is a stride.
        padding = ((size // 2, size // 2),) * 2
        return nn.Conv(channels, (size, size), padding=padding, use_bias=False, dtype=self.dtype, name=name)(
            x
        )

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """See the class."""
        out_channels = EXPANSION * self.width
        out = nn.relu(FrozenNorm(name="norm1")(self._convolve(x, self.width, 1, "conv1")))
        out = nn.relu(FrozenNorm(name="norm2")(self._convolve(out, self.width, 3, "conv2")))
        out = _halve(out) if self.shrink == 2 else out
        out = FrozenNorm(name="norm3")(self._convolve(out, out_channels, 1, "conv3"))
        if self.shrink == 2 or x.shape[-1] != out_channels:
            x = _halve(x) if self.shrink == 2 else x
            x = FrozenNorm(name="downsample_norm")(self._convolve(x, out_channels, 1, "downsample"))
        return nn.relu(out + x.astype(jnp.float32)).astype(self.dtype)


class _Stage(nn.Module):
    """Blocks of one width; the first may shrink the map."""

    blocks: int
    width: int
    shrink: int
    dtype: Any
    remat: bool

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """See the class."""
        block = nn.remat(_Bottleneck) if self.remat else _Bottleneck
        for i in range(self.blocks):
            x = block(self.width, self.shrink if i == 0 else 1, self.dtype, name=str(i))(x)
        return x


class _AttentionPool(nn.Module):
    """Last map [n, k, k, c] -> features [n, d]: attention over cells and mean, asked by the mean."""

    d: int
    heads: int
    dtype: Any

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """See the class."""
        n, height, width, channels = x.shape
        cells = x.reshape(n, height * width, channels).astype(jnp.float32)
        tokens = jnp.concatenate([jnp.mean(cells, axis=1, keepdims=True), cells], axis=1)
        position = self.param("positional_embedding", nn.initializers.normal(), tokens.shape[1:])
        tokens = (tokens + position).astype(self.dtype)

        def project(x: Array, name: str) -> Array:
            x = nn.Dense(channels, dtype=self.dtype, name=name)(x)
            return x.reshape(n, -1, self.heads, channels // self.heads)

        query = project(tokens[:, :1], "q_proj")[:, 0]
        key, value = project(tokens, "k_proj"), project(tokens, "v_proj")
        score = jnp.einsum("nhc,nthc->nht", query, key, preferred_element_type=jnp.float32)
        weight = jax.nn.softmax(score * (channels // self.heads) ** -0.5, axis=-1)
        pooled = jnp.einsum("nht,nthc->nhc", weight.astype(self.dtype), value).reshape(n, channels)
        return nn.Dense(self.d, dtype=self.dtype, name="c_proj")(pooled)


class ResNetTower(nn.Module):
    """Normalised images [n, s, s, 3] -> features [n, d], not of unit length, and cells [n, k * k, 32 * w].

    The two outputs are those of the other image towers.

    Attributes:
      layers: blocks of each of the four stages.
      width: w.
      embedding_size: d.
      heads: of the attention that sums up the last map.
      dtype: compute type of convolutions and matrix products behind the first stage.
      remat: derivatives keep the blocks' inputs and compute the rest again.
    """

    layers: tuple[int, int, int, int]
    width: int
    embedding_size: int
    heads: int
    dtype: Any
    remat: bool = False

    @nn.compact
    def __call__(self, images: Array) -> tuple[Array, Array]:
        """See the class."""
        n, size = images.shape[:2]
        x = _Stem(self.width, name="stem")(images)
        for i, blocks in enumerate(self.layers):
            shrink, dtype = (1, jnp.float32) if i == 0 else (2, self.dtype)
            x = _Stage(blocks, self.width << i, shrink, dtype, self.remat, name=f"layer{i + 1}")(x)
        k = size // REDUCTION
        chex.assert_shape(x, (n, k, k, REDUCTION * self.width))
        pool = _AttentionPool(self.embedding_size, self.heads, self.dtype, name="attnpool")
        return pool(x), x.reshape(n, k * k, -1)
