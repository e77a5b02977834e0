"""Vox_Exp: the raw values on the vertices are the parameters (the explicit grid of Pure CLIP guidance).

Notation as in `grid`: axis order [x, y, z, channel]; channel 0 raw density, channels 1 to 3 raw colour.
"""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn

from voxjax.fields import grid
from voxjax.structs import VoxelGrid


class VoxExp(nn.Module):
    """A voxel grid that is optimised directly, one packed array for density and colour.

    Attributes:
      shape: (nx, ny, nz), number of vertices.
      lower: smallest corner of the box, world frame.
      upper: largest corner of the box, world frame.
      alpha_init: opacity of the untrained field over an interval of 1, in (0, 1).
      learn_shift: whether the bias inside the softplus is a parameter (the paper's text) or a constant (its
        released code).
    """

    shape: tuple[int, int, int]
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    alpha_init: float = 1e-6
    learn_shift: bool = True

    explicit = True
    query = staticmethod(grid.query_voxels)
    occupied = staticmethod(grid.is_occupied)
    occupied_box = staticmethod(grid.occupied_box)

    @nn.compact
    def bake(self) -> VoxelGrid:
        """The scene that the renderer samples from.

        Returns:
          A `VoxelGrid` around the parameters `grid` [x, y, z, 4], zero at the start, and `density_shift` [],
          where that is learned; its occupancy is the tracked variable `occupancy`, all on at the start.

        Raises:
          ValueError: the occupancy has another shape than the grid.
        """
        occupancy = grid.tracked_occupancy(self, self.shape)
        values = self.param("grid", nn.initializers.zeros_init(), tuple(self.shape) + (4,), jnp.float32)
        return VoxelGrid(
            values=values,
            density_shift=grid.density_shift(self, self.alpha_init, learn=self.learn_shift),
            occupancy=occupancy,
            lower=jnp.asarray(self.lower, jnp.float32),
            upper=jnp.asarray(self.upper, jnp.float32),
        )
