"""Looking at this machine: its accelerator, its memory, the CLIPs in the cache, the network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import threading

import psutil

from voxjax.devices import JaxFailure, count_cores, find_devices
from voxjax.guidance import names
from voxjax.making.options import B32, Machine

_NETWORK_S = 4.0


def look() -> Machine:
    """Returns this machine; the network is not asked."""
    cores = count_cores()
    cached = frozenset(name for name in names.HUB_NAMES if names.is_here(name))
    found = _accelerator()
    if found is None:
        return Machine(platform.machine(), False, psutil.virtual_memory().available, cores, cached)
    device, free = found
    return Machine(device, True, free, cores, cached)


def has_plugins() -> bool:
    """Whether jax may find anything but a CPU, without importing it."""
    if os.environ.get("JAX_PLATFORMS") == "cpu":
        return False
    return bool(
        importlib.metadata.entry_points(group="jax_plugins")
        or importlib.util.find_spec("jax_plugins")
        or importlib.util.find_spec("libtpu")
        or os.environ.get("PJRT_NAMES_AND_LIBRARY_PATHS")
    )


def _accelerator() -> tuple[str, int] | None:
    """(device, free bytes) of the accelerator that jax finds; None without one."""
    if not has_plugins():
        return None
    try:
        found = find_devices()
    except JaxFailure:
        return None
    return None if found.platform == "cpu" else (found.kind, found.free_bytes)


def hub_answers(seconds: float = _NETWORK_S) -> bool:
    """Whether the hub gives an answer within a few seconds; a name server may let one wait longer."""
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(names.hub_has(B32, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(answers and answers[0])
