"""Configs as data: their leaves, their JSON, and what two of them differ in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict


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
    """Returns the ConfigDict that `to_json` wrote; JSON's lists become the tuples they were."""

    def tuples(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tuples(item) for key, item in value.items()}
        return tuple(value) if isinstance(value, list) else value

    return ConfigDict(tuples(json.loads(text))).lock()


def differences(old: ConfigDict, new: ConfigDict) -> list[str]:
    """Returns `key: old -> new` for each leaf that differs or exists on one side only."""
    a, b = dict(flatten(old)), dict(flatten(new))
    names = sorted(a.keys() | b.keys())
    return [
        f"{name}: {a.get(name, '(none)')!r} -> {b.get(name, '(none)')!r}"
        for name in names
        if a.get(name, "(none)") != b.get(name, "(none)")
    ]
