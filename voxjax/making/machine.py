"""Looking at this machine: its accelerator, its memory, the CLIPs in the cache, the network."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import threading

import psutil

from voxjax.guidance import names
from voxjax.making.options import B32, Machine
from voxjax.making.runs import count_cores

_PROBE_S, _NETWORK_S = 120.0, 4.0
# The process that chooses must not hold the accelerator: the run will need it whole.
_PROBE = """
import json, jax
device = jax.local_devices()[0]
stats = device.memory_stats() or {}
free = stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)
print(json.dumps([device.platform, device.device_kind, free]))
"""


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
    """(device, free bytes) of the accelerator that jax finds in a process of its own; None without one."""
    if not has_plugins():
        return None
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True, timeout=_PROBE_S
        )
        kind, device, free = json.loads(done.stdout.splitlines()[-1])
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired):
        return None
    return None if kind == "cpu" else (device, free)


def hub_answers(seconds: float = _NETWORK_S) -> bool:
    """Whether the hub gives an answer within a few seconds; a name server may let one wait longer."""
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(names.hub_has(B32, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(answers and answers[0])
