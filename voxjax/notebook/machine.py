"""What there is to train on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from voxjax.devices import JaxFailure, find_devices
from voxjax.notebook.words import CellError

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
            f"{first}\nNo GPU: the demo, guided by a small CLIP that knows 727 things and coloured "
            "primitives, takes minutes here. On Colab: Runtime > Change runtime type > GPU, then run all."
        )


def find_machine() -> Machine:
    """Asks jax what it finds.

    Raises:
      CellError: jax cannot be imported, or fails; with its last line.
    """
    try:
        found = find_devices()
    except JaxFailure as failure:
        raise CellError(
            f"jax does not start: {failure}; install voxjax again and restart the kernel"
        ) from None
    unused = found.platform == "cpu" and _NVIDIA.exists()
    return Machine(
        found.platform, found.kind, found.count, found.limit_bytes, found.jax_version, unused_gpu=unused
    )
