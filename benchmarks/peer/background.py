"""The peer's random backgrounds: [3, height, width] in [0, 1], one at a time, without gradient."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from ml_collections import ConfigDict

from voxjax.augment.background import COLOUR_MATRIX, KERNEL_PX, SPECTRUM_DECAY, SPECTRUM_SD, SQUARES

Tensor = torch.Tensor


def checkerboard(colours: Tensor, size: int) -> Tensor:
    """[3, size, size]: 8 x 8 squares in the two colours [2, 3]."""
    square = torch.arange(size, device=colours.device) * SQUARES // size
    odd = (square[:, None] + square) % 2
    return colours[odd].permute(2, 0, 1)


def smooth_noise(normals: Tensor, size: int) -> Tensor:
    """[3, size, size]: colours of a random spectrum that falls with frequency.

    Args:
      normals: [2, 3, size, size // 2 + 1], standard normal, real and imaginary part.
      size: pixels a side.
    """
    device = normals.device
    rows, columns = torch.fft.fftfreq(size, device=device), torch.fft.rfftfreq(size, device=device)
    frequency = torch.hypot(rows[:, None], columns).clamp(min=1 / size)
    spectrum = torch.complex(normals[0], normals[1]) * (SPECTRUM_SD * size / frequency**SPECTRUM_DECAY)
    channels = torch.fft.irfft2(spectrum, s=(size, size)) / 4
    matrix = torch.tensor(COLOUR_MATRIX, dtype=torch.float32, device=device)
    return torch.sigmoid(torch.einsum("oc,chw->ohw", matrix, channels))


def blur(image: Tensor, sd: float) -> Tensor:
    """Gaussian blur of [3, h, w], kernel 15 along each axis, mirrored borders; sd in pixels."""
    reach = KERNEL_PX // 2
    offset = torch.arange(-reach, reach + 1, device=image.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offset / max(sd, 1e-3)) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, -1)
    padded = F.pad(image[None], (reach, reach, reach, reach), mode="reflect")
    across = F.conv2d(padded, kernel[:, :, None, :], groups=3)
    return F.conv2d(across, kernel[:, :, :, None], groups=3)[0]


@torch.no_grad()
def background(
    options: ConfigDict, size: int, rng: np.random.Generator, device: torch.device | str
) -> Tensor:
    """Draws one: a checkerboard, noise or smooth noise, blurred.

    Args:
      options: the group `augment` of a config.
      size: pixels a side.
      rng: of the choices; the pixels are drawn on the device.
      device: where.

    Returns:
      [3, size, size].
    """
    share = np.asarray(options.back_probabilities) / math.fsum(options.back_probabilities)
    kind = rng.choice(3, p=share)
    if kind == 0:
        image = checkerboard(torch.rand(2, 3, device=device), size)
    elif kind == 1:
        image = torch.rand(3, size, size, device=device)
    else:
        image = smooth_noise(torch.randn(2, 3, size, size // 2 + 1, device=device), size)
    if max(options.blur_sd) > 0:
        image = blur(image, rng.uniform(*options.blur_sd))
    return image
