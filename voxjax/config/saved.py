"""Configs as data: their leaves, their JSON, and what two of them differ in.

A run on disk may be older than some keys. They are filled in with what the code did before they were there,
so that it still opens, and shows what it was; keys about what is written at the end, with the default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

# Keys that came later -> what the code did before.
_BEFORE: dict[str, Any] = {
    "schedule_steps": 0,
    "parallel": "views",
    "cameras.ray_parts": 0,
    "field.mask_near_cameras": False,
    "dream_fields.section": "mipnerf",
    "dream_fields.widen": 0.0,
    "dream_fields.jitter_ends": False,
    "augment.share_backgrounds": False,
    "augment.under": "nothing",
    "augment.composite": "premultiplied",
    "augment.background_at": "render",
    "augment.blur_vertical_sd": 0.0,
    "optimiser.eps_uncorrected": False,
    "optimiser.warmup_shape": "linear",
    "log.field_gradients": False,
    "output.mesh": True,
    "output.report": True,
}


def flatten(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields every leaf as (dotted key, value)."""
    for key, value in config.items():
        if isinstance(value, ConfigDict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def to_json(config: ConfigDict) -> str:
    """Returns the config as indented JSON with sorted keys."""
    return json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n"


def from_json(text: str) -> ConfigDict:
    """Returns the ConfigDict that `to_json` wrote, completed; JSON's lists become the tuples they were."""

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tuples(item) for key, item in value.items()}
        return tuple(value) if isinstance(value, list) else value

    config = ConfigDict(tuples(json.loads(text)))
    _complete(config)
    return config.lock()


def _complete(config: ConfigDict) -> None:
    """Fills in the keys that an older version did not write."""
    known = dict(flatten(config))
    for key, value in _BEFORE.items():
        group, _, leaf = key.rpartition(".")
        if key not in known and (not group or group in config):
            (config[group] if group else config)[leaf] = value
    fields = config.get("dream_fields")
    if fields is not None and "origin" not in fields:
        fields.origin = "follow" if fields.get("track_origin", True) else "fixed"
        if "track_origin" in fields:
            del fields.track_origin


def differences(old: ConfigDict, new: ConfigDict) -> list[str]:
    """Returns `key: old -> new` for each leaf that differs or exists on one side only."""
    a, b = dict(flatten(old)), dict(flatten(new))
    names = sorted(a.keys() | b.keys())
    return [
        f"{name}: {a.get(name, '(none)')!r} -> {b.get(name, '(none)')!r}"
        for name in names
        if a.get(name, "(none)") != b.get(name, "(none)")
    ]
