"""The peer's augmentations: DiffAug, backgrounds, perspective and crop, in loops over images.

Notation. Images are [channels, height, width]; colour is premultiplied, T the transmittance, and what a pixel
finally shows is colour + T * background.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from ml_collections import ConfigDict

from benchmarks.peer.background import background
from voxjax.augment.diffaugment import share_px

Tensor = torch.Tensor


def jitter(colour: Tensor, brightness: float, saturation: float, contrast: float) -> Tensor:
    """Brightness, then saturation, then contrast of [3, h, w]."""
    colour = colour + brightness
    grey = colour.mean(0, keepdim=True)
    colour = (colour - grey) * saturation + grey
    mean = colour.mean()
    return (colour - mean) * contrast + mean


def shift(image: Tensor, rows: int, columns: int) -> Tensor:
    """Moves [c, h, w] down and to the right, filled with zero."""
    _, height, width = image.shape
    padded = F.pad(image, (abs(columns), abs(columns), abs(rows), abs(rows)))
    top, left = abs(rows) - rows, abs(columns) - columns
    return padded[:, top : top + height, left : left + width]


def cut(image: Tensor, row: int, column: int, side_px: int) -> Tensor:
    """Sets a square about (row, column) of [c, h, w] to zero; at the border what is left of it."""
    keep = torch.ones_like(image[:1])
    top, left = row - side_px // 2, column - side_px // 2
    keep[:, max(top, 0) : max(top + side_px, 0), max(left, 0) : max(left + side_px, 0)] = 0
    return image * keep


def homography(corners: Tensor, size: int) -> Tensor:
    """The projective map [3, 3] that takes `corners` [4, 2] (x, y in pixels) to those of the image."""
    last = size - 1.0
    square = torch.tensor([[0.0, 0.0], [last, 0.0], [last, last], [0.0, last]])
    rows, right = [], []
    for (x, y), (u, v) in zip(corners.tolist(), square.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    entries = torch.linalg.solve(torch.tensor(rows, dtype=torch.float64), torch.tensor(right).double())
    return torch.cat([entries, torch.ones(1, dtype=torch.float64)]).reshape(3, 3).float()


def warp(image: Tensor, corners: Tensor, *, row: int, column: int, side_px: int) -> Tensor:
    """The image whose corners were moved to `corners`, cropped.

    Args:
      image: [c, size, size].
      corners: [4, 2], pixels, on the host: top left, top right, bottom right, bottom left.
      row: first row of the crop.
      column: first column of the crop.
      side_px: side of the crop.

    Returns:
      [c, side, side], zero where nothing of the image lies.
    """
    size = image.shape[1]
    back = homography(corners, size).to(image.device)
    ones = torch.arange(side_px, device=image.device, dtype=torch.float32)
    y, x = torch.meshgrid(ones + row, ones + column, indexing="ij")
    place = torch.stack([x, y, torch.ones_like(x)], -1) @ back.T
    place = place[..., :2] / place[..., 2:] * (2 / (size - 1)) - 1
    return F.grid_sample(image[None], place[None], padding_mode="zeros", align_corners=True)[0]


def diff(
    colour: Tensor, light: Tensor, options: ConfigDict, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """DiffAug of one view: colour [3, h, w] and T [1, h, w] -> the same."""
    size, low = colour.shape[1], options.brightness
    colour = jitter(
        colour, rng.uniform(-low, low), rng.uniform(*options.saturation), rng.uniform(*options.contrast)
    )
    both = torch.cat([colour, 1 - light])
    most = share_px(options.translation, size)
    if most:
        both = shift(both, *rng.integers(-most, most + 1, 2).tolist())
    hole = share_px(options.cutout, size)
    if hole:
        both = cut(both, *rng.integers(0, size + 1 - hole % 2, 2).tolist(), hole)
    return both[:3], 1 - both[3:]


def look(image: Tensor, options: ConfigDict, rng: np.random.Generator) -> Tensor:
    """Perspective and crop of one image."""
    size = image.shape[1]
    side = size - options.crop_px
    row, column = rng.integers(0, options.crop_px + 1, 2).tolist()
    if options.persp and rng.random() < options.persp_probability:
        inwards = rng.uniform(0, options.distortion / 2 * (size - 1), (4, 2))
        last, signs = size - 1.0, np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        corners = np.array([[0, 0], [last, 0], [last, last], [0, last]]) + signs * inwards
        return warp(image, torch.tensor(corners), row=row, column=column, side_px=side)
    return image[:, row : row + side, column : column + side]


def augment(colour: Tensor, light: Tensor, options: ConfigDict, rng: np.random.Generator) -> Tensor:
    """Rendered views to the images that a CLIP judges.

    Args:
      colour: [v, 3, size, size], premultiplied.
      light: [v, 1, size, size], transmittance.
      options: the group `augment` of a config.
      rng: of all choices.

    Returns:
      [v * n_diff * n_back, 3, size - crop_px, size - crop_px].
    """
    size, images = colour.shape[-1], []

    def draw() -> list[Tensor]:
        return [background(options, size, rng, colour.device) for _ in range(options.n_back)]

    for view_colour, view_light in zip(colour, light, strict=True):
        shared = draw() if options.share_backgrounds else None
        for _ in range(options.n_diff):
            changed, changed_light = diff(view_colour, view_light, options, rng)
            for behind in shared or draw():
                images.append(look(changed + changed_light * behind, options, rng))
    return torch.stack(images)
