"""How the devices of a step share its work: each takes some rows of a list, and all get the whole back.

Notation: n rows of a list, k devices, m = ceil(n / k) rows on each. What is joined is differentiated too: the
gradient of a join hands every row's gradient, summed over the devices, back to the one that made it.
Devices that have joined everything a loss depends on hold the same loss; the k-th part of it on each of
them, and the sum of their gradients, is the gradient of one device that does all the work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from voxjax.structs import Array


@dataclasses.dataclass(frozen=True)
class Share:
    """One device's part of the work; used inside a step that is mapped over devices.

    Attributes:
      axis_name: of the mapped axis.
      count: k, devices along it, 2 or more.
    """

    axis_name: str
    count: int

    def rows(self, n: int) -> int:
        """m: rows of n that each device takes; the last ones repeat row n - 1 where k does not divide n."""
        return -(-n // self.count)

    def take(self, tree: Any) -> Any:
        """Every k-th row of arrays [n, ...]: neighbours, which cost alike, go to different devices."""
        return jax.tree.map(lambda leaf: jnp.take(leaf, self._index(leaf.shape[0]), axis=0), tree)

    def take_columns(self, tree: Any, n: int) -> Any:
        """The same of the columns of arrays [..., n]; what has no such axis stays as it is."""

        def pick(leaf: Array) -> Array:
            return jnp.take(leaf, self._index(n), axis=-1) if leaf.ndim and leaf.shape[-1] == n else leaf

        return jax.tree.map(pick, tree)

    def _index(self, n: int) -> Array:
        index = jnp.arange(self.rows(n)) * self.count + jax.lax.axis_index(self.axis_name)
        return jnp.minimum(index, n - 1)

    def join(self, tree: Any, n: int) -> Any:
        """The n rows [n, ...] of which each device has those that `take` gave it, [m, ...]."""

        def whole(leaf: Array) -> Array:
            parts = jax.lax.all_gather(leaf, self.axis_name)
            return jnp.swapaxes(parts, 0, 1).reshape(-1, *leaf.shape[1:])[:n]

        return jax.tree.map(whole, tree)

    def apply(self, function: Callable[[Array], Array], rows: Array) -> Array:
        """`function(rows)`, [n, ...] -> [n, ...] row by row, each device working on its own rows."""
        return self.join(function(self.take(rows)), rows.shape[0])

    def first(self, n: int) -> Array:
        """Where this device's block begins if each takes m rows that follow each other, [] int32.

        The last blocks begin earlier where k divides not n, and repeat rows of the one before.
        """
        m = self.rows(n)
        return jnp.minimum(jax.lax.axis_index(self.axis_name) * m, n - m)

    def join_blocks(self, block: Array, n: int) -> Array:
        """The n rows of which each device has the m that begin at `first`."""
        m = self.rows(n)
        parts = jax.lax.all_gather(block, self.axis_name)
        row = jnp.arange(n)
        owner = row // m
        return parts[owner, row - jnp.minimum(owner * m, n - m)]

    def sum(self, tree: Any) -> Any:
        """Sum over the devices."""
        return jax.lax.psum(tree, self.axis_name)
