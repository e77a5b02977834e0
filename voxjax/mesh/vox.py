"""MagicaVoxel's `.vox`: blocks in up to 255 colours.

Layout (ephtracy's MagicaVoxel-file-format-vox.txt): "VOX ", version 150, then chunks of (id [4], bytes of
content, bytes of children, content), integers little endian: MAIN with the children SIZE (x, y, z), XYZI
(count, then x, y, z, colour of each block, a byte each) and RGBA (256 colours; colour c is entry c - 1). z is
up, as in the world frame; colours are display values.
"""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

MOST = 256
"""Blocks along a side."""
_COLOURS = 255


def vox_bytes(filled: np.ndarray, colours: np.ndarray) -> bytes:
    """The file.

    Args:
      filled: [x, y, z] bool, at most `MOST` along a side.
      colours: [n, 3] in [0, 1] of the filled ones, in the order of `numpy.argwhere`.

    Returns:
      Its bytes.

    Raises:
      ValueError: a side is too long.
    """
    if max(filled.shape) > MOST:
        raise ValueError(f"at most {MOST} blocks along a side, got {filled.shape}")
    places = np.argwhere(filled).astype(np.uint8)
    index, palette = quantise(colours)
    table = np.zeros((256, 4), np.uint8)
    table[: len(palette), :3], table[: len(palette), 3] = palette, 255
    blocks = np.concatenate([places, (index + 1)[:, None].astype(np.uint8)], axis=-1)
    children = (
        _chunk(b"SIZE", struct.pack("<3i", *filled.shape))
        + _chunk(b"XYZI", struct.pack("<i", len(blocks)) + blocks.tobytes())
        + _chunk(b"RGBA", table.tobytes())
    )
    return b"VOX " + struct.pack("<i", 150) + _chunk(b"MAIN", b"", children)


def _chunk(name: bytes, content: bytes, children: bytes = b"") -> bytes:
    return name + struct.pack("<2i", len(content), len(children)) + content + children


def quantise(colours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours to the nearest of at most 255.

    Args:
      colours: [n, 3] in [0, 1].

    Returns:
      (index [n] int64, palette [k, 3] uint8).
    """
    exact = np.rint(np.clip(colours, 0.0, 1.0) * 255.0).astype(np.uint8)
    _, first, index = np.unique(
        exact.astype(np.int64) @ (65536, 256, 1), return_index=True, return_inverse=True
    )
    if len(first) <= _COLOURS:
        return index, exact[first]
    image = Image.fromarray(exact[None])
    small = image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    palette = np.array(small.getpalette(), np.uint8).reshape(-1, 3)[:_COLOURS]
    return np.asarray(small)[0].astype(np.int64), palette
