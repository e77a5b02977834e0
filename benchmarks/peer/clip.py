"""The peer's CLIPs: transformers' vision tower in PyTorch, of a model's size and with random weights."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from benchmarks.peer.known import vision_settings
from voxjax.guidance.base import CLIP_MEAN, CLIP_SD
from voxjax.guidance.ensemble import GuideSpec

Tensor = torch.Tensor


class Clip:
    """One guiding CLIP and what its images are to be like, a random unit vector.

    Args:
      spec: the model.
      device: where it computes.
      dtype: type that it computes in.

    Raises:
      UserError: see `known.vision_settings`.
    """

    def __init__(self, spec: GuideSpec, device: torch.device | str, dtype: torch.dtype):
        settings = CLIPVisionConfig(**vision_settings(spec))
        self.tower = CLIPVisionModelWithProjection(settings).eval().requires_grad_(False)
        self.tower.to(device=device, dtype=dtype)
        self._dtype, self._size = dtype, settings.image_size
        self._mean, self._sd = (
            torch.tensor(values, device=device, dtype=torch.float32).reshape(3, 1, 1)
            for values in (CLIP_MEAN, CLIP_SD)
        )
        self._target = F.normalize(torch.randn(settings.projection_dim, device=device), dim=-1)

    def loss(self, images: Tensor) -> Tensor:
        """Minus the mean cosine of images [n, 3, h, w] in [0, 1] and the target, []."""
        if images.shape[-1] != self._size:
            size = (self._size, self._size)
            images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        normalised = ((images - self._mean) / self._sd).to(self._dtype)
        embeddings = self.tower(pixel_values=normalised).image_embeds.float()
        return -(F.normalize(embeddings, dim=-1) @ self._target).mean()
