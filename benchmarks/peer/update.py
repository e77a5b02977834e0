"""The peer's other losses, and its Adam.

Notation. g: gradient, m and v: its running first and second moment.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.peer.scene import Grids
from voxjax.training.optimiser import OptimiserOptions

Tensor = torch.Tensor


def transmittance_loss(light: Tensor, tau: float) -> Tensor:
    """Minus the mean transmittance, but no more than `tau` of it, []."""
    return -light.mean().clamp(max=tau)


def entropy(light: Tensor) -> Tensor:
    """Mean entropy of the transmittances, []."""
    light = light.clamp(1e-6, 1 - 1e-6)
    return -(light * light.log() + (1 - light) * torch.log1p(-light)).mean()


def sphere_prior(alpha: Tensor, inside: Tensor) -> Tensor:
    """The prior that the unit sphere is filled, [], of opacities [x, y, z]."""
    return (inside * torch.log(inside / (alpha + 1e-4) + 1e-4)).mean()


def total_variation(values: Tensor) -> Tensor:
    """Sum of the Huber losses of all neighbours of a grid [1, c, x, y, z], []."""
    total = values.new_zeros(())
    for axis, n in enumerate(values.shape[2:], start=2):
        one, other = values.narrow(axis, 0, n - 1), values.narrow(axis, 1, n - 1)
        total = total + F.smooth_l1_loss(one, other, reduction="sum")
    return total


def add_total_variation(grids: Grids, weight: float) -> None:
    """Adds the gradient of the weighted total variation to both grids, where they have one already."""
    both = [grids.density, grids.colour]
    loss = weight * (total_variation(grids.density) + total_variation(grids.colour))
    for values, gradient in zip(both, torch.autograd.grad(loss, both), strict=True):
        assert values.grad is not None
        values.grad += gradient * (values.grad != 0)


class MaskedAdam:
    """Adam that leaves grid entries without a gradient alone, moments and all.

    Args:
      grids: what is optimised.
      options: rates and betas; without a warm-up.
    """

    def __init__(self, grids: Grids, options: OptimiserOptions):
        rates = (options.rate_density, options.rate_colour, options.rate_shift)
        moving = zip((grids.density, grids.colour, grids.shift), rates, strict=True)
        self._groups = [
            (values, rate, torch.zeros_like(values), torch.zeros_like(values))
            for values, rate in moving
            if values.requires_grad
        ]
        self._options, self._updates = options, 0

    @torch.no_grad()
    def step(self) -> None:
        """Takes one step and forgets the gradients."""
        o, before = self._options, self._updates
        self._updates = before + 1
        decay = 0.1 ** (before / o.decay_steps) if o.decay_steps else 1.0
        unbiased1, unbiased2 = 1 - o.beta1**self._updates, 1 - o.beta2**self._updates
        for values, rate, m, v in self._groups:
            g = values.grad
            assert g is not None
            touched = g != 0 if values.dim() == 5 else torch.ones_like(g, dtype=torch.bool)
            m.copy_(torch.where(touched, torch.lerp(g, m, o.beta1), m))
            v.copy_(torch.where(touched, torch.lerp(g * g, v, o.beta2), v))
            if o.eps_uncorrected:
                direction = m / (v.sqrt() + o.eps) * (unbiased2**0.5 / unbiased1)
            else:
                direction = m / unbiased1 / ((v / unbiased2).sqrt() + o.eps)
            values -= rate * decay * direction * touched
            values.grad = None
