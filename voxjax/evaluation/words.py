"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

FIELDS = {"vox_exp": "Vox_Exp", "vox_imp": "Vox_Imp", "dream_fields": "Dream Fields"}
"""Key of a field -> its name as the papers write it."""


def duration(seconds: float) -> str:
    """Returns seconds as `12.0 s`, `1 min 23 s` or `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size(n_bytes: float) -> str:
    """Returns bytes as `512 B`, `340 KiB`, `1.5 MiB` or `1.50 GiB`."""
    if n_bytes < 2**10:
        return f"{n_bytes:.0f} B"
    if n_bytes < 2**20:
        return f"{n_bytes / 2**10:.0f} KiB"
    return f"{n_bytes / 2**20:.3g} MiB" if n_bytes < 2**30 else f"{n_bytes / 2**30:.2f} GiB"


def config_value(value: Any) -> str:
    """Returns the value of a key as one would type it, floats with six digits."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(config_value(each) for each in value) + ")"
    return str(value) if value != "" else '""'


def optional(value: T | None, words: Callable[[T], str]) -> str:
    """Returns `words(value)`, a dash where there is no value."""
    return "–" if value is None else words(value)
