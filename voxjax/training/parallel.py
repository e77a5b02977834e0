"""One step on all local devices. The only file that knows how many there are.

The devices do one step together, or each has views of its own (`config.parallel`); what they exchange inside
the step goes over the axis named here. With one device the step is jitted as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

AXIS_NAME = "devices"


class Devices:
    """The devices that a run uses.

    Args:
      count: how many of the local ones; 0 for all.

    Raises:
      ValueError: there are fewer than `count`.
    """

    def __init__(self, count: int = 0):
        local = jax.local_devices()
        if count > len(local):
            raise ValueError(f"{count} devices asked for, and there are {len(local)}")
        self._devices = local[: count or len(local)]

    @property
    def count(self) -> int:
        """How many devices."""
        return len(self._devices)

    @property
    def axis_name(self) -> str | None:
        """Axis over which a step exchanges; None on a single device."""
        return AXIS_NAME if self.count > 1 else None

    def compile(self, step: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any], tuple[Any, Any]]:
        """Returns `step(state, inputs)` for what `spread` returned; the old state's memory is reused."""
        if self.count == 1:
            return jax.jit(step, donate_argnums=0)
        return jax.pmap(step, axis_name=AXIS_NAME, devices=self._devices, donate_argnums=0)

    def spread(self, tree: Any) -> Any:
        """Puts a copy on every device; the copies never share memory with `tree`, so they may be donated."""
        if self.count == 1:
            return jax.tree.map(lambda leaf: jax.device_put(leaf, self._devices[0], may_alias=False), tree)
        copy = jax.pmap(lambda _, leaf: leaf, in_axes=(0, None), devices=self._devices)
        return copy(jax.numpy.arange(self.count), tree)

    def gather(self, tree: Any) -> Any:
        """Returns the first device's copy of what all devices hold alike."""
        if self.count == 1:
            return tree
        return jax.tree.map(lambda leaf: jax.numpy.asarray(jax.device_get(leaf[0])), tree)
