"""One step on all devices, of this process or of several. The only file that knows how many there are.

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
      count: how many; 0 for all. Where several processes train together they use all that they have.

    Raises:
      ValueError: there are fewer than `count`, or not as many in each process.
    """

    def __init__(self, count: int = 0):
        there, local = jax.device_count(), jax.local_devices()
        self._together = jax.process_count() > 1
        if count > there:
            raise ValueError(f"{count} devices asked for, and there are {there}")
        if self._together and (count not in (0, there) or len(local) * jax.process_count() != there):
            raise ValueError(f"several processes use all {there} devices, as many each; leave it at 0")
        self._devices = local[: count or len(local)]

    @property
    def count(self) -> int:
        """How many devices, of all processes."""
        return jax.device_count() if self._together else len(self._devices)

    @property
    def axis_name(self) -> str | None:
        """Axis over which a step exchanges; None on a single device."""
        return AXIS_NAME if self.count > 1 else None

    def compile(self, step: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any], tuple[Any, Any]]:
        """Returns `step(state, inputs)` for what `spread` returned; the old state's memory is reused."""
        if self.count == 1:
            return jax.jit(step, donate_argnums=0)
        return jax.pmap(step, axis_name=AXIS_NAME, devices=self._mapped, donate_argnums=0)

    @property
    def _mapped(self) -> list[Any] | None:
        """The devices as pmap is told them: None is all of all processes, of which each feeds its own."""
        return None if self._together else self._devices

    def spread(self, tree: Any) -> Any:
        """Puts a copy on every device of this process, which share no memory with `tree`."""
        if self.count == 1:
            return jax.tree.map(lambda leaf: jax.device_put(leaf, self._devices[0], may_alias=False), tree)
        copy = jax.pmap(lambda _, leaf: leaf, in_axes=(0, None), devices=self._mapped)
        return copy(jax.numpy.arange(len(self._devices)), tree)

    def outline(self, tree: Any) -> Any:
        """The shapes of what `spread` would make of arrays, or of their shapes."""
        if self.count == 1:
            there = jax.sharding.SingleDeviceSharding(self._devices[0])
            return jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=there), tree
            )
        n = len(self._devices)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((n, *leaf.shape), leaf.dtype), tree)

    def gather(self, tree: Any) -> Any:
        """Returns this process's first device's copy of what all devices hold alike."""
        if self.count == 1:
            return tree
        return jax.tree.map(lambda leaf: jax.numpy.asarray(jax.device_get(leaf[0])), tree)
