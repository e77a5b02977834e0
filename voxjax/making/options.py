"""What a machine is, and the configs that `voxjax make` chooses from, each with what it takes.

Times are orders of magnitude. Those of a CPU were measured on two cores; none of an accelerator was, and the
run itself tells the expected time after its first steps.
"""

from __future__ import annotations

from dataclasses import dataclass

GIB = 1 << 30
QUALITIES = ("draft", "good", "best")

B32, B16, L14 = "ViT-B/32", "ViT-B/16", "ViT-L/14"
TWINS = {B32: "ViT-B-32:laion2b", B16: "ViT-B-16:laion2b", L14: "ViT-L-14:laion2b"}
"""A CLIP of the same size that will do where the cache has it and not the first."""

DOWNLOAD_MB = {B32: 605, B16: 599, L14: 1711}


@dataclass(frozen=True)
class Machine:
    """What the choice depends on.

    Attributes:
      device: name of the device that jax computes on.
      accelerator: whether it is no CPU.
      free: bytes of memory that a run may use there.
      cores: of the CPU.
      cached: names of the CLIPs whose weights are here, without those that ship.
      online: whether the hub answers.
    """

    device: str
    accelerator: bool
    free: int
    cores: int
    cached: frozenset[str] = frozenset()
    online: bool = False


@dataclass(frozen=True)
class Option:
    """A config that ships, and what it takes.

    Attributes:
      config: its name.
      models: CLIPs that guide it, by the names in its file.
      needs: bytes at its peak, all images of a step at once.
      work: seconds on one core of a CPU, or on an accelerator of the size it is chosen for.
      settings: keys that differ from the file.
    """

    config: str
    models: tuple[str, ...]
    needs: int
    work: float
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Choice:
    """What will be done.

    Attributes:
      config: name of the config.
      settings: pairs of key and value on top of it.
      words: what was chosen and why, without a time.
      seconds: about how long one run takes; None if unknown.
      measured: whether that was ever seen on such a machine, and not only reckoned.
    """

    config: str
    settings: tuple[tuple[str, str], ...]
    words: str
    seconds: float | None
    measured: bool = True


SMALLEST = ("auto",)
"""What the demo's configs name: the CLIP that ships and knows the words (`guidance.shipped`)."""

DEMO = {
    "draft": Option("demo", SMALLEST, 90 << 20, 60, (("steps", "80"),)),
    "good": Option("demo", SMALLEST, 90 << 20, 100),
    "best": Option("demo:vox_imp", SMALLEST, 220 << 20, 220),
}
"""Quality -> the demo: the implicit grid is the one that a held-out judge likes best (README)."""

SMALL = {
    name: Option(f"small:{name}", (B32,), int(0.4 * GIB), work)
    for name, work in (("draft", 1000), ("good", 3300), ("best", 10000))
}
"""Quality -> what a CPU can do with a real CLIP."""

LOW = Option("vox_exp:low", (B32,), int(2.2 * GIB), 1800)
_MID = Option("vox_exp:mid", (B32,), int(2.8 * GIB), 3000)
_PAPER = Option("vox_exp:paper", (B16,), int(7.0 * GIB), 7200)
_ENSEMBLE = Option("vox_exp:ensemble", (B32, L14), int(12.4 * GIB), 10800)
LARGE = {
    "draft": (Option("vox_exp:low", (B32,), LOW.needs, 360, (("steps", "3000"),)),),
    "good": (_PAPER, _MID, LOW),
    "best": (_ENSEMBLE, _PAPER, _MID, LOW),
}
"""Quality -> what an accelerator can do, the first that fits."""

RELATIVE_WORK = {
    "RN50": 1.4,
    "RN101": 2.3,
    B16: 4.0,
    TWINS[B16]: 4.0,
    "RN50x4": 5.0,
    "ViT-B-16-plus-240:laion400m": 6.0,
    "RN50x16": 18.0,
    L14: 18.0,
    TWINS[L14]: 18.0,
    "ViT-L/14@336px": 43.0,
}
"""CLIPs that will do where nothing else is here, the quickest first: multiply-adds over those of ViT-B/32."""
