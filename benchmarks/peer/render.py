"""The peer's renderer: samples inside the box by boolean masks, compositing by cumulative products.

Notation. r numbers rays, m the samples that are kept, s the places for samples on a ray.
"""

from __future__ import annotations

import torch

from benchmarks.peer.scene import Grids

Tensor = torch.Tensor
THRESHOLD = 1e-7
"""Opacity or weight at or below which a sample contributes nothing (as in the method)."""


def in_box(
    grids: Grids, origins: Tensor, directions: Tensor, *, near: float, far: float, step_size: float
) -> tuple[Tensor, Tensor]:
    """Which samples at equal steps from each ray's entry lie in the box.

    Args:
      grids: whose box.
      origins: [r, 3].
      directions: [r, 3], of unit length.
      near: smallest distance of a sample, scene units.
      far: largest distance of a sample.
      step_size: between samples, scene units.

    Returns:
      (distance from the origin [r, s], inside [r, s] bool), s the number on the longest ray.
    """
    slope = torch.where(directions.abs() < 1e-10, 1e-10, directions)
    one, other = (grids.lower - origins) / slope, (grids.upper - origins) / slope
    enter = torch.minimum(one, other).amax(-1).clamp(near, far)
    leave = torch.maximum(one, other).amin(-1).clamp(near, far)
    steps = torch.arange(int(((leave - enter) / step_size + 0.5).max().clamp(min=1)), device=origins.device)
    distance = enter[:, None] + (steps + 0.5) * step_size
    return distance, distance < leave[:, None]


def render(
    grids: Grids,
    origins: Tensor,
    directions: Tensor,
    *,
    near: float,
    far: float,
    step_size: float,
    interval: float,
) -> tuple[Tensor, Tensor, int]:
    """Renders rays; arguments as in `in_box`.

    Args:
      grids: the scene.
      origins: [r, 3].
      directions: [r, 3].
      near: as there.
      far: as there.
      step_size: as there.
      interval: length that a sample stands for, in the unit of 1 / density.

    Returns:
      (premultiplied colour [r, 3], transmittance [r], number of samples in the box).
    """
    distance, inside = in_box(grids, origins, directions, near=near, far=far, step_size=step_size)
    ray, slot = inside.nonzero(as_tuple=True)
    n_samples = len(ray)
    points = origins[ray] + distance[ray, slot, None] * directions[ray]
    on = grids.occupied(points)
    ray, slot, points = ray[on], slot[on], points[on]

    alpha = -torch.expm1(-grids.density_at(points) * interval)
    seen = alpha > THRESHOLD
    ray, slot, points = ray[seen], slot[seen], points[seen]
    dense = torch.zeros(distance.shape, device=points.device).index_put((ray, slot), alpha[seen])
    # Nowhere exactly 0, where the derivative of a product takes a slower way.
    passing = torch.cumprod((1 - dense).clamp(min=1e-10), dim=1)
    before = torch.cat([torch.ones_like(passing[:, :1]), passing[:, :-1]], dim=1)
    weight = (dense * before)[ray, slot]

    shown = weight > THRESHOLD
    ray, weight = ray[shown], weight[shown]
    colour = torch.zeros_like(origins).index_add(0, ray, weight[:, None] * grids.colour_at(points[shown]))
    return colour, passing[:, -1], n_samples
