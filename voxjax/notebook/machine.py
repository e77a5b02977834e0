"""What there is to train on, asked in a process of its own: the kernel must not hold the accelerator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from voxjax.notebook.words import CellError

_PROBE = """
import json, jax
device = jax.devices()[0]
memory = (device.memory_stats() or {}).get("bytes_limit", 0)
print(json.dumps([device.platform, device.device_kind, len(jax.devices()), memory, jax.__version__]))
"""
# Appears with the driver of the first NVIDIA GPU.
_NVIDIA = Path("/dev/nvidia0")


@dataclass(frozen=True)
class Machine:
    """What jax finds.

    Attributes:
      platform: "cpu", "gpu" or "tpu".
      device: name of the first device.
      count: devices.
      memory_bytes: what jax may use of the first device's own memory; 0 where it has none or does not say.
      jax_version: of the package.
      unused_gpu: an NVIDIA GPU is here that jax does not find.
    """

    platform: str
    device: str
    count: int
    memory_bytes: int
    jax_version: str
    unused_gpu: bool = False

    @property
    def has_gpu(self) -> bool:
        """Whether training will run on a GPU."""
        return self.platform == "gpu"

    @property
    def config(self) -> str:
        """The config to start with: one that the paper's authors meant for little memory, or the demo."""
        return "vox_exp:low" if self.has_gpu else "demo"

    def __str__(self) -> str:
        """Two lines for the cell."""
        memory = f", {self.memory_bytes / 2**30:.1f} GiB for jax" if self.memory_bytes else ""
        first = f"jax {self.jax_version} on {self.count} x {self.device}{memory}."
        if self.has_gpu:
            return f"{first}\nA GPU: any prompt, any config."
        if self.unused_gpu:
            return (
                f"{first}\nThere is an NVIDIA GPU that jax cannot use: install jax[cuda12] or jax[cuda13] of "
                f"version {self.jax_version}, and restart. Until then: the demo."
            )
        return (
            f"{first}\nNo GPU: the demo, guided by the small CLIP that knows coloured primitives only, takes "
            "minutes here. On Colab: Runtime > Change runtime type > GPU, then run all."
        )


def find_machine() -> Machine:
    """Asks jax, in another process, what it finds.

    Raises:
      CellError: jax cannot be imported, or fails; with its last line.
    """
    # A look must not reserve most of a GPU's memory.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    done = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise CellError(f"jax does not start: {last}; install voxjax again and restart the kernel")
    platform, device, count, memory, version = json.loads(done.stdout.splitlines()[-1])
    return Machine(platform, device, count, memory, version, platform == "cpu" and _NVIDIA.exists())
