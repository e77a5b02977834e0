"""Before a run starts: whether it fits into memory, and what to turn if it does not.

On an accelerator too much is refused, as the run would die minutes later with a page of XLA's words; on a CPU
it is a warning, as the system may still swap. How much is free is handed in as a number.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import psutil
from ml_collections import ConfigDict

from voxjax.config.loading import load
from voxjax.config.saved import flatten
from voxjax.errors import UserError
from voxjax.guidance.memory import free_bytes
from voxjax.training.needs import Needs, needs_of

PROCESS = 600 << 20
"""Bytes of memory that Python, jax and its compiler take on a CPU besides the run."""

MOST_TOGETHER = 8
"""Objects trained as one on an accelerator, at most, where nobody says: from there on a step is full."""

PRESETS = {
    "vox_exp": ("vox_exp:paper", "vox_exp:mid", "vox_exp:low"),
    "vox_imp": ("vox_imp:paper", "vox_imp:mid", "vox_imp:low"),
    "dream_fields": ("dream_fields:hq", "dream_fields:mq", "dream_fields:lq"),
}
"""Field -> its presets, the largest first."""


@dataclass(frozen=True)
class Memory:
    """What a run may use.

    Attributes:
      free: bytes, on the device that has least; of the whole machine on a CPU.
      device: its name.
      accelerator: whether it is no CPU.
    """

    free: int
    device: str
    accelerator: bool

    @property
    def limit(self) -> int | None:
        """Bytes by which micro-batches are chosen; None where they are not."""
        return self.free if self.accelerator else None


def memory_here() -> Memory:
    """Returns the memory of this process's devices."""
    device, free = jax.local_devices()[0], free_bytes()
    if free is None:
        return Memory(psutil.virtual_memory().available, device.device_kind, device.platform != "cpu")
    return Memory(free, device.device_kind, True)


def choose_together(config: ConfigDict, memory: Memory, count: int) -> int:
    """How many of `count` objects are trained as one where nobody says: as many as fit, and still gain."""
    most = min(count, MOST_TOGETHER if memory.accelerator else 1)
    return next((n for n in range(most, 1, -1) if _fits(_needs(config, memory, n), memory)), 1)


def preflight(config: ConfigDict, memory: Memory, *, together: int = 1, force: bool = False) -> Needs:
    """Holds what a config needs against what is free; nothing is made or compiled.

    Args:
      config: a checked config.
      memory: from `memory_here`.
      together: objects that are trained as one.
      force: warn only.

    Returns:
      What the run will need.

    Raises:
      UserError: an accelerator's memory is too small, and what to turn; or a CLIP of no such name.
    """
    needs = _needs(config, memory, together)
    if _fits(needs, memory):
        return needs
    fewer = "a smaller --together needs less; " if together > 1 else ""
    many = f" for {together} objects" if together > 1 else ""
    words = (
        f"this config needs{many} about {size_words(in_all(needs, memory))} of memory at its peak and "
        f"{memory.device} has {size_words(memory.free)} free; {fewer}{advice(config, memory)}"
    )
    if memory.accelerator and not force:
        raise UserError(f"{words}; --force tries it all the same")
    warnings.warn(words, stacklevel=2)
    return needs


def in_all(needs: Needs, memory: Memory) -> int:
    """Bytes that a run takes of `memory`: on a CPU also the process, and a second copy of the CLIPs."""
    return needs.total + (0 if memory.accelerator else PROCESS + needs.weights)


def _fits(needs: Needs, memory: Memory) -> bool:
    return in_all(needs, memory) <= memory.free


def _dtype(config: ConfigDict, memory: Memory) -> str:
    if config.clip.dtype != "auto":
        return config.clip.dtype
    return "bfloat16" if memory.accelerator else "float32"


def advice(config: ConfigDict, memory: Memory) -> str:
    """What to turn so that a config fits, and the largest preset of its field that does."""
    known = dict(flatten(config))
    keys = []
    for key, values in _ladder(config):
        for value in values:
            changed = ConfigDict(config.to_dict())
            group, _, leaf = key.rpartition(".")
            changed[group][leaf] = value
            if value != known[key] and _fits(_needs(changed, memory), memory):
                keys.append(f"--config.{key}={value}")
                break
    words = [f"each of these alone makes it fit: {', '.join(keys)}"] if keys else []
    for preset in PRESETS.get(config.field.name, ()):
        needs = _needs(load(preset, [("prompt", config.prompt)]), memory)
        if _fits(needs, memory):
            words.append(f"the preset {preset} fits ({size_words(in_all(needs, memory))})")
            break
    if not words:
        words.append("no single key and no preset of this field makes it fit, --config=demo is the smallest")
    if memory.accelerator and "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:
        words.append("jax takes three quarters of a card unless XLA_PYTHON_CLIENT_MEM_FRACTION=0.95 is set")
    return "; ".join(words)


def _needs(config: ConfigDict, memory: Memory, together: int = 1) -> Needs:
    free = None if memory.limit is None else memory.limit // together
    needs = needs_of(config, dtype=_dtype(config, memory), free=free, on_cpu=not memory.accelerator)
    return needs.times(together)


def _ladder(config: ConfigDict) -> Iterator[tuple[str, list[Any]]]:
    """Keys that save memory, with smaller and smaller values."""
    n = config.cameras.views_per_step * config.augment.n_diff * config.augment.n_back
    yield "clip.micro_batch", [d for d in range(n // 2, 0, -1) if n % d == 0]
    yield "clip.remat", [True]
    if config.field.name == "dream_fields":
        yield "dream_fields.chunk", [config.dream_fields.chunk // d for d in (2, 4, 8)]
        yield "dream_fields.n_samples", [config.dream_fields.n_samples // d for d in (2, 4)]
    else:
        yield "field.side", [config.field.side * d // 8 for d in (7, 6, 5, 4)]
        yield "cameras.ray_parts", [4, 16]
    yield "cameras.width_px", [config.cameras.width_px * d // 8 for d in (6, 4, 3, 2)]
    if config.cameras.views_per_step > 1:
        yield "cameras.views_per_step", list(range(config.cameras.views_per_step - 1, 0, -1))
    if config.augment.n_diff > 1:
        yield "augment.n_diff", list(range(config.augment.n_diff - 1, 0, -1))


def size_words(n_bytes: int) -> str:
    """A number of bytes for reading."""
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"
