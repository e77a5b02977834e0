"""What there is to compute on: cores, and what jax finds, asked in a process of its own.

Whoever only chooses or shows must not hold the accelerator, nor reserve its memory: the training that comes
after will need all of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

_PATIENCE_S = 120.0
_PROBE = """
import json, jax
here = jax.local_devices()
stats = here[0].memory_stats() or {}
limit, used = stats.get("bytes_limit", 0), stats.get("bytes_in_use", 0)
print(json.dumps([here[0].platform, here[0].device_kind, len(here), limit, limit - used, jax.__version__]))
"""


def count_cores() -> int:
    """Cores of the CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class JaxFailure(Exception):
    """jax cannot be imported, fails or does not answer; its last line."""


@dataclass(frozen=True)
class Devices:
    """The devices of this process's machine.

    Attributes:
      platform: "cpu", "gpu" or "tpu".
      kind: name of the first device.
      count: of them.
      limit_bytes: what jax may use of the first one's own memory; 0 where it has none or does not say.
      free_bytes: what is free of that.
      jax_version: of the package.
    """

    platform: str
    kind: str
    count: int
    limit_bytes: int
    free_bytes: int
    jax_version: str


def find_devices() -> Devices:
    """Asks jax, in another process, what it finds.

    Raises:
      JaxFailure: no answer, and why.
    """
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JaxFailure(str(error)) from None
    try:
        return Devices(*json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, TypeError, IndexError):
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise JaxFailure(last) from None
