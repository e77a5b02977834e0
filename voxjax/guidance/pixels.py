"""Pictures from files as a CLIP wants them: the sharp resize of its own pipeline, not the one of training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from voxjax.errors import UserError


def read_picture(path: str | Path, size: int) -> np.ndarray:
    """Reads a picture, scales its shorter side and cuts out the middle, as CLIP's own pipeline does.

    Args:
      path: of a file that Pillow can read; what is transparent becomes white. It is turned as its camera
        noted, and grey of 16 bits is read as such.
      size: side of the result, pixels.

    Returns:
      [size, size, 3] float32 in [0, 1].

    Raises:
      UserError: no such file, or no picture.
    """
    from PIL import Image

    try:
        with Image.open(os.path.expanduser(path)) as file:
            turn = _turn_of(file)
            picture = file.copy() if turn is None else file.transpose(turn)
        if picture.mode.startswith("I"):
            # Pillow would cut 16 bits off at 255, not scale them.
            picture = Image.fromarray(np.uint8(np.asarray(picture).clip(0, 65535) / 257.0 + 0.5))
        picture = picture.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be read as a picture ({reason}); give a PNG or JPEG file") from error
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    scale = size / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    picture = picture.crop((left, top, left + size, top + size))
    return np.asarray(picture, np.float32) / 255.0


def _turn_of(file: Any) -> Any:
    """Which of Pillow's `Transpose` sets an opened picture upright, by the camera's note; None for none."""
    from PIL import ExifTags, Image

    turn = Image.Transpose
    flips = (turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM)
    turns = (*flips, turn.TRANSPOSE, turn.ROTATE_270, turn.TRANSVERSE, turn.ROTATE_90)
    try:
        return dict(enumerate(turns, start=2)).get(file.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # notes of any kind, which are no reason to refuse a picture
        return None
