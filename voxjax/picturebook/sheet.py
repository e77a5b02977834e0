"""Contact sheets of what a model learns from: the bank, and batches as they are drawn."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from voxjax.files import atomic_path
from voxjax.picturebook import batches, drawing
from voxjax.picturebook.bank import Bank

_COLUMNS = 32


def write_sheets(folder: Path, bank: Bank, draw: batches.Draw, seed: int) -> list[Path]:
    """Writes `bank.png`, a picture of each thing and source, and `batch-*.png` at three amounts of clutter.

    Args:
      folder: created where need be.
      bank: of the model.
      draw: of the same.
      seed: of what is drawn.

    Returns:
      The files.
    """
    _, first = np.unique(np.stack([bank.source_ids, bank.things]), axis=1, return_index=True)
    parts = (jnp.asarray(bank.pictures[rows]) for rows in np.split(first, range(256, len(first), 256)))
    shown = np.concatenate([np.asarray(drawing.plain_images(part, size=64)) for part in parts])
    files = [_tile(folder / "bank.png", shown)]
    for clutter in (0.0, 0.5, 1.0):
        key, rng = jax.random.key(seed, impl="rbg"), np.random.default_rng(seed)
        images = np.asarray(draw(key, rng, jnp.float32(clutter)).images)
        files.append(_tile(folder / f"batch-{clutter:.1f}.png", images))
    return files


def _tile(file: Path, images: np.ndarray) -> Path:
    """[n, s, s, 3] in [0, 1], row by row; the last row filled up with white."""
    columns = min(_COLUMNS, max(8, len(images) // 8))
    n_rows = -(-len(images) // columns)
    size = images.shape[1]
    whole = np.ones((n_rows * columns, size, size, 3), np.float32)
    whole[: len(images)] = images
    rows = whole.reshape(n_rows, columns, size, size, 3).transpose(0, 2, 1, 3, 4)
    with atomic_path(file) as part:
        picture = np.rint(rows.reshape(n_rows * size, columns * size, 3) * 255).astype(np.uint8)
        Image.fromarray(picture).save(part)
    return file
