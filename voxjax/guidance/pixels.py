"""Pictures from files as a CLIP wants them: the sharp resize of its own pipeline, not the one of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from voxjax.errors import UserError


def read_picture(path: str | Path, size: int) -> np.ndarray:
    """Reads a picture, scales its shorter side and cuts out the middle, as CLIP's own pipeline does.

    Args:
      path: of a file that Pillow can read; what is transparent becomes white.
      size: side of the result, pixels.

    Returns:
      [size, size, 3] float32 in [0, 1].

    Raises:
      UserError: no such file, or no picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            picture = file.convert("RGBA")
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"{path}: cannot be read as a picture; give a PNG or JPEG file") from error
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    scale = size / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    picture = picture.crop((left, top, left + size, top + size))
    return np.asarray(picture, np.float32) / 255.0
