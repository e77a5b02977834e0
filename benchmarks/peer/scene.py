"""The peer's scene and cameras.

Notation. Grids are [1, channels, x, y, z], as `grid_sample` takes them, the outermost vertices on the faces
of the box; m numbers samples, v views. World frame: z up, scene units.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

Tensor = torch.Tensor


class Grids(torch.nn.Module):
    """Raw density and raw colour on the vertices of a box, as two grids.

    Args:
      values: [x, y, z, 4], raw density and raw colour.
      shift: added to the raw density before the softplus.
      learn_shift: whether that is a parameter.
      occupancy: [x, y, z] bool, False where a vertex is switched off.
      lower: smallest corner of the box.
      upper: largest corner of the box.
    """

    def __init__(
        self,
        values: np.ndarray,
        shift: float,
        *,
        learn_shift: bool,
        occupancy: np.ndarray,
        lower: tuple[float, ...],
        upper: tuple[float, ...],
    ):
        super().__init__()
        packed = torch.tensor(values).permute(3, 0, 1, 2)[None]
        self.density = torch.nn.Parameter(packed[:, :1].contiguous())
        self.colour = torch.nn.Parameter(packed[:, 1:].contiguous())
        self.shift = torch.nn.Parameter(torch.tensor(float(shift)), requires_grad=learn_shift)
        self.register_buffer("occupancy", torch.tensor(occupancy))
        self.register_buffer("lower", torch.tensor(lower, dtype=torch.float32))
        self.register_buffer("upper", torch.tensor(upper, dtype=torch.float32))

    def occupied(self, points: Tensor) -> Tensor:
        """Whether the vertex nearest to each of [m, 3] points inside the box is on, [m] bool."""
        last = torch.tensor(self.occupancy.shape, device=points.device) - 1
        nearest = ((points - self.lower) / (self.upper - self.lower) * last + 0.5).long()
        x, y, z = torch.minimum(nearest.clamp(min=0), last).unbind(-1)
        return self.occupancy[x, y, z]

    def density_at(self, points: Tensor) -> Tensor:
        """Density [m] at [m, 3] points, unit 1 / length."""
        return F.softplus(self._interpolate(self.density, points)[:, 0] + self.shift)

    def colour_at(self, points: Tensor) -> Tensor:
        """Colour [m, 3] at [m, 3] points, in (0, 1)."""
        return torch.sigmoid(self._interpolate(self.colour, points))

    def _interpolate(self, values: Tensor, points: Tensor) -> Tensor:
        """[m, channels]; `grid_sample` wants the last axis of the grid first, from -1 to 1."""
        place = (points - self.lower) / (self.upper - self.lower) * 2 - 1
        place = place.flip(-1).reshape(1, 1, 1, -1, 3)
        found = F.grid_sample(values, place, mode="bilinear", padding_mode="border", align_corners=True)
        return found.reshape(values.shape[1], -1).T

    def vertex_alpha(self, interval: float) -> Tensor:
        """Opacity [x, y, z] of every vertex over an interval, in the unit of 1 / density."""
        return -torch.expm1(-F.softplus(self.density[0, 0] + self.shift) * interval)

    def inside_sphere(self, radius: float) -> Tensor:
        """[x, y, z] float: 1 where a vertex lies inside the sphere around the origin, else 0."""
        axes = [
            torch.linspace(low, high, n, device=self.lower.device)
            for low, high, n in zip(
                self.lower.tolist(), self.upper.tolist(), self.occupancy.shape, strict=True
            )
        ]
        x, y, z = torch.meshgrid(*axes, indexing="ij")
        return (x**2 + y**2 + z**2 <= radius**2).float()


def orbit(azimuth_deg: Tensor, elevation_deg: Tensor, radius: float) -> Tensor:
    """Cameras on a sphere that look at the origin, upright: [v] degrees each -> camera to world [v, 3, 4]."""
    a, e = torch.deg2rad(azimuth_deg), torch.deg2rad(elevation_deg)
    zero = torch.zeros_like(a)
    right = torch.stack([-a.sin(), a.cos(), zero], -1)
    up = torch.stack([-e.sin() * a.cos(), -e.sin() * a.sin(), e.cos()], -1)
    backward = torch.stack([e.cos() * a.cos(), e.cos() * a.sin(), e.sin()], -1)
    return torch.stack([right, up, backward, radius * backward], -1)


def pixel_rays(poses: Tensor, width_px: int, focal: float) -> tuple[Tensor, Tensor]:
    """One ray through every pixel centre of square images.

    Args:
      poses: [v, 3, 4], camera to world.
      width_px: pixels a side.
      focal: pixels.

    Returns:
      (origins [v * width * width, 3], unit directions, the same), view by view and row by row.
    """
    side = (torch.arange(width_px, device=poses.device) + 0.5 - width_px / 2) / focal
    y, x = torch.meshgrid(-side, side, indexing="ij")
    camera = F.normalize(torch.stack([x, y, -torch.ones_like(x)], -1), dim=-1).reshape(-1, 3)
    directions = camera @ poses[:, :, :3].transpose(1, 2)
    origins = poses[:, None, :, 3].expand_as(directions)
    return origins.reshape(-1, 3), directions.reshape(-1, 3)


def near_far(radius: float) -> tuple[float, float]:
    """Distances from a camera at `radius` between which the scene lies, scene units."""
    return radius - math.sqrt(3), radius + math.sqrt(3)
