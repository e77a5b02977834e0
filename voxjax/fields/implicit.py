"""Vox_Imp: two small networks give the raw values on the vertices (the implicit grid of Pure CLIP guidance).

Notation as in `grid`. v: vertices that are evaluated, in a flat list; a slab is a stretch of that list. The
networks see the encoded position of a vertex; what is interpolated between vertices is their output, so that
everything behind `bake` is the same as with an explicit grid.

Memory. Slabs are evaluated one after another and once more in the backward pass, so that the activations of
one slab exist at a time, and the encoding of none is kept.

Switched-off vertices are rendered empty. The terms of the loss about the scene itself, and the occupancy
test, see the networks' values everywhere, as in the released code. With `skip` they see nothing there either,
and the networks are not asked: less work as the scene empties, but another loss.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from voxjax.fields import grid
from voxjax.fields.encoding import vertex_encoding
from voxjax.structs import Array, VoxelGrid

EMPTY = -100.0
"""Raw density of a vertex that is switched off: no opacity (released code)."""


class _Mlp(nn.Module):
    """[..., n_in] -> [..., n_out]: `n_layers` linear layers with ReLU between them; the last bias is 0.

    The other numbers start uniform in +-1 / sqrt(n_in) of their layer, as they do in the reference.
    """

    width: int
    n_layers: int
    n_out: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """See the class."""
        kernel = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        for _ in range(self.n_layers - 1):
            bound = x.shape[-1] ** -0.5

            def bias(key: Array, shape: Any, dtype: Any = jnp.float32, bound: float = bound) -> Array:
                return jax.random.uniform(key, shape, dtype, -bound, bound)

            x = nn.relu(nn.Dense(self.width, kernel_init=kernel, bias_init=bias)(x))
        return nn.Dense(self.n_out, kernel_init=kernel)(x)


class VoxImp(nn.Module):
    """A voxel grid whose raw values are two networks of the vertices' positions.

    Attributes:
      shape: (nx, ny, nz), number of vertices.
      lower: smallest corner of the box, world frame.
      upper: largest corner of the box, world frame.
      alpha_init: opacity of raw density 0 over an interval of 1, in (0, 1).
      learn_shift: whether the bias inside the softplus is a parameter.
      width: of the hidden layers.
      n_layers: linear layers of each network.
      n_frequencies: octaves of the positional encoding, 2^0 to 2^(n_frequencies - 1).
      slab: vertices evaluated at a time.
      skip: whether switched-off vertices are left out, and count as empty everywhere.
      capacity: room for evaluated vertices, where `skip` is on; None for all.
      in_parts: `(function, index [v]) -> function(index)` where several devices share the vertices; None
        where each evaluates all of them.
    """

    shape: tuple[int, int, int]
    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    alpha_init: float = 1e-6
    learn_shift: bool = True
    width: int = 128
    n_layers: int = 3
    n_frequencies: int = 10
    slab: int = 65536
    skip: bool = False
    capacity: int | None = None
    in_parts: Callable[[Callable[[Array], Array], Array], Array] | None = None

    query = staticmethod(grid.query_voxels)
    occupied = staticmethod(grid.is_occupied)
    occupied_box = staticmethod(grid.occupied_box)

    @nn.compact
    def bake(self) -> VoxelGrid:
        """The scene that the renderer samples from.

        Returns:
          A `VoxelGrid` of the parameters `density` and `colour` (the networks) and `density_shift` [], where
          that is learned; its occupancy is the tracked variable `occupancy`. With `skip` it has `evaluated`
          and `overflow`, which counts the vertices beyond `capacity`, the last ones of the list, left empty;
          without, `raw`.

        Raises:
          ValueError: the occupancy has another shape than the grid.
        """
        occupancy = grid.tracked_occupancy(self, self.shape)
        one = jnp.zeros((1, 3 + 6 * self.n_frequencies))
        networks = [_Mlp(self.width, self.n_layers, n_out) for n_out in (1, 3)]
        params = [
            self.param(name, lambda key, network=network: network.init(key, one)["params"])
            for name, network in zip(("density", "colour"), networks, strict=True)
        ]

        def values_at(params: Any, index: Array) -> Array:
            encoded = self._encoded(index)
            parts: list[Any] = [
                n.apply({"params": p}, encoded) for n, p in zip(networks, params, strict=True)
            ]
            return jnp.concatenate(parts, axis=-1)

        empty = jnp.array([EMPTY, 0.0, 0.0, 0.0])
        total = int(np.prod(self.shape))
        slabs = functools.partial(self._in_slabs, functools.partial(values_at, params))
        evaluate = slabs if self.in_parts is None else functools.partial(self.in_parts, slabs)
        common = {
            "density_shift": grid.density_shift(self, self.alpha_init, learn=self.learn_shift),
            "occupancy": occupancy,
            "lower": jnp.asarray(self.lower, jnp.float32),
            "upper": jnp.asarray(self.upper, jnp.float32),
        }
        if not self.skip:
            raw = evaluate(jnp.arange(total)).reshape(*self.shape, 4)
            return VoxelGrid(values=jnp.where(occupancy[..., None], raw, empty), raw=raw, **common)
        room = total if self.capacity is None else min(self.capacity, total)
        index = jnp.nonzero(occupancy.reshape(-1), size=room, fill_value=total)[0]
        values = evaluate(index)
        filled = jnp.broadcast_to(empty, (total, 4)).at[index].set(values, mode="drop", unique_indices=True)
        evaluated = jnp.zeros(total, bool).at[index].set(True, mode="drop", unique_indices=True)
        return VoxelGrid(
            values=filled.reshape(*self.shape, 4),
            evaluated=evaluated.reshape(self.shape),
            overflow=jnp.sum(occupancy, dtype=jnp.int32) - jnp.sum(evaluated, dtype=jnp.int32),
            **common,
        )

    def _encoded(self, index: Array) -> Array:
        """Encoded positions [v, 3 + 6 * n_frequencies] of vertices given by their flat index [v].

        A wave knows one coordinate, of which a grid has few: each is encoded once, when the program is made.
        """
        _, ny, nz = self.shape
        places = (index // (ny * nz), index // nz % ny, index % nz)
        encoded = jnp.zeros(())
        for axis, (place, n) in enumerate(zip(places, self.shape, strict=True)):
            coordinates = np.linspace(self.lower[axis], self.upper[axis], n, dtype=np.float32)
            waves = vertex_encoding(np.tile(coordinates[:, None], 3), n_frequencies=self.n_frequencies)
            waves[:, np.arange(waves.shape[-1]) % 3 != axis] = 0.0  # the channels of the other coordinates
            encoded += jnp.asarray(waves).at[place].get(mode="clip")
        return encoded

    def _in_slabs(self, values_at: Any, index: Array) -> Array:
        """`values_at` of every index [v], a slab at a time, [v, 4]."""
        if index.size <= self.slab:
            return jax.checkpoint(values_at)(index)
        n_slabs = -(-index.size // self.slab)
        padded = jnp.pad(index, (0, n_slabs * self.slab - index.size), mode="edge")
        # Inside a loop nothing can be merged with the forward pass, so XLA needs no barrier against it.
        evaluate = jax.checkpoint(values_at, prevent_cse=False)
        values = lax.map(evaluate, padded.reshape(n_slabs, self.slab))
        chex.assert_shape(values, (n_slabs, self.slab, 4))
        return values.reshape(-1, 4)[: index.size]
