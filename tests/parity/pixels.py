"""From a render to a CLIP's pixels: our bilinear resize against the reference's bicubic one, by Pillow.

The reference preprocessing rounds to 8 bits, resizes by bicubic interpolation with antialiasing, and divides
by 255; what differs is measured on pixels in [0, 1] and on the embeddings of the CLIP that ships.
"""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from parity.models import pictures
from voxjax.augment.pipeline import resize_to
from voxjax.guidance import load_guidance


def sharp(size):
    """[size, size, 3]: a checkerboard of 4 px, thin rays, and a disc on white; edges everywhere."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    board = ((x // 4 + y // 4) % 2)[..., None] * np.array([0.9, 0.2, 0.1])
    rays = (np.sin(24 * np.arctan2(y, x)) > 0)[..., None] * np.array([0.1, 0.4, 1.0])
    disc = (np.hypot(x, y) < 0.3 * size)[..., None]
    outside = (np.hypot(x, y) > 0.45 * size)[..., None]
    return np.where(outside, 1.0, np.where(disc, board, rays)).astype(np.float32)


def smooth(size):
    """[size, size, 3]: colours that change over a third of the image."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(3 * x + 2 * y + i) * np.cos(4 * y - i) for i in range(3)]
    return (0.5 + 0.4 * np.stack(waves, -1)).astype(np.float32)


def _pillow_8_bit(image, size):
    picture = Image.fromarray(np.uint8(np.round(255 * image)))
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC), np.float32) / 255


def _pillow_float(image, size, method):
    planes = [Image.fromarray(image[..., i]).resize((size, size), method) for i in range(3)]
    return np.stack([np.asarray(plane) for plane in planes], -1)


def compare():
    """Figures for shrinking (renders for evaluation) and growing (crops in training).

    Returns:
      A list of dicts. `same_filter`: largest difference to Pillow's own bilinear filter in float, that is
      to the same mathematics. `mean`, `max`: absolute difference to the 8-bit bicubic reference. `cosine`:
      of the two embeddings.
    """
    guidance, _ = load_guidance("pocket", dtype="float32")
    size = guidance.image_size
    encode = jax.jit(guidance.encode)
    rows = []
    kinds = {"sharp": sharp, "smooth": smooth, "noise over patches": lambda s: pictures(1, s)[0]}
    for kind, draw in kinds.items():
        for source, target in ((512, 224), (152, 224), (512, size), (size * 2 // 3, size)):
            image = draw(source)
            ours = np.asarray(resize_to(jnp.asarray(image)[None], target))[0]
            theirs = _pillow_8_bit(image, target)
            difference = np.abs(ours - theirs)
            row = {"image": kind, "from": source, "to": target}
            row["same_filter"] = float(
                np.abs(ours - _pillow_float(image, target, Image.Resampling.BILINEAR)).max()
            )
            row |= {"mean": float(difference.mean()), "max": float(difference.max()), "cosine": None}
            if target == size:
                a, b = np.asarray(encode(guidance.params, jnp.stack([ours, theirs])))
                row["cosine"] = float(a @ b)
            rows.append(row)
    return rows
