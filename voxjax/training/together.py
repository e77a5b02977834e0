"""Several objects in one step: the same step mapped over them. One object alone is left as it is.

The objects differ in their prompt only, so that they share cameras and augmentations, as their runs alone
would: each becomes what it becomes alone, up to the rounding of float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.training.parts import Inputs


class Together:
    """n objects as one.

    Args:
      count: n, 1 or more.
    """

    def __init__(self, count: int):
        self.count = count

    def map(self, step: Callable[[Any, Inputs], Any]) -> Callable[[Any, Inputs], Any]:
        """Returns `step(state, inputs)` for what `stack` and `inputs` returned; its metrics are [n] each."""
        if self.count == 1:
            return step
        return jax.vmap(step, in_axes=(0, Inputs(key=None, clip_params=None, text=0, negatives=0)))  # type: ignore

    def stack(self, states: Sequence[Any]) -> Any:
        """The trees of all objects, of like shapes, as one with a leading axis [n]."""
        if self.count == 1:
            return states[0]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    def outline(self, states: Sequence[Any]) -> Any:
        """The shapes of what `stack` would return."""
        return jax.eval_shape(lambda *trees: self.stack(trees), *states)

    def inputs(self, each: Sequence[Inputs]) -> Inputs:
        """The inputs of all objects as one: their texts are stacked, the rest is that of the first."""
        if self.count == 1:
            return each[0]
        stack = lambda name: self.stack([getattr(one, name) for one in each])  # noqa: E731
        return each[0].replace(text=stack("text"), negatives=stack("negatives"))  # type: ignore[attr-defined]

    def apart(self, tree: Any) -> list[Any]:
        """The tree of each object, of what `map` returned."""
        if self.count == 1:
            return [tree]
        return [jax.tree.map(lambda leaf, i=i: leaf[i], tree) for i in range(self.count)]

    def scalars(self, metrics: Any) -> list[dict[str, float]]:
        """The metrics of each object, on the host, as numbers."""
        each = self.apart(metrics)
        return [{name: float(np.asarray(value)) for name, value in one.items()} for one in each]
