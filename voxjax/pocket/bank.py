"""The bank: photographs of all primitives and pairs, unlit and uncoloured, as uint8 in memory.

Rendered once per training run (about two minutes on two cores) and never written to disk. Colour, light,
texture and background are drawn afresh for every batch (`scenes`).
"""

from __future__ import annotations

import concurrent.futures

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from voxjax.pocket import captions, shapes, tracer

Array = jax.Array
WIDTH_PX = 64
_CHUNK = 128


@struct.dataclass
class Bank:
    """Photographs, one entry an image.

    Attributes:
      alpha: [n, height, width] uint8, coverage * 255.
      normal: [n, height, width, 3] int8, camera frame, * 127.
      top: [n, height, width] bool, True where the upper object is seen.
      elevation_deg: [n], needed to know which way is up in the camera frame.
      indices: [n, 2] int32, places in SHAPES of the lower (or only) and the upper object.
    """

    alpha: np.ndarray
    normal: np.ndarray
    top: np.ndarray
    elevation_deg: np.ndarray
    indices: np.ndarray


def _quantise(trace: tracer.Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    alpha = np.asarray(jnp.round(trace.alpha * 255)).astype(np.uint8)
    normal = np.asarray(jnp.round(trace.normal * 127)).astype(np.int8)
    return alpha, normal, np.asarray(trace.top)


def _photograph(key: Array, indices: np.ndarray, *, is_pair: bool) -> Bank:
    """Photographs every row of `indices` from a random pose, on two threads."""
    poses = jax.vmap(tracer.sample_pose)(jax.random.split(key, len(indices)))
    flags = jnp.full(len(indices), is_pair)

    def chunk(start: int):
        part = slice(start, start + _CHUNK)
        pose = jax.tree.map(lambda leaf: leaf[part], poses)
        return _quantise(tracer.trace_many(pose, jnp.asarray(indices[part]), flags[part], width_px=WIDTH_PX))

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(chunk, range(0, len(indices), _CHUNK)))
    alpha, normal, top = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Bank(alpha, normal, top, np.asarray(poses.elevation_deg), indices)


def photograph_bank(key: Array, *, per_shape: int, per_pair: int) -> tuple[Bank, Bank]:
    """Photographs `per_shape` poses of each primitive and `per_pair` of each of the 64 stacked pairs.

    Args:
      key: PRNG key; every pose comes from it.
      per_shape: views of each of the 8 primitives.
      per_pair: views of each (lower, upper) combination.

    Returns:
      The bank of single objects and the bank of pairs.
    """
    key_single, key_pair = jax.random.split(key)
    n_shapes = len(shapes.SHAPES)
    singles = np.stack([np.tile(np.arange(n_shapes), per_shape), np.zeros(n_shapes * per_shape, int)], axis=1)
    pairs = np.tile(np.asarray(captions.pair_codes()), (per_pair, 1))
    return (
        _photograph(key_single, singles.astype(np.int32), is_pair=False),
        _photograph(key_pair, pairs.astype(np.int32), is_pair=True),
    )
