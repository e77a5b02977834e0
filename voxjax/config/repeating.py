"""The command line that makes a config again: the nearest config that ships, and the differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from voxjax.config.loading import set_value
from voxjax.config.naming import shipped_names, split_spec
from voxjax.config.programs import listed_names, run_file
from voxjax.config.saved import flatten
from voxjax.errors import UserError

# What may follow a variant's name, the plain one first.
_WORDS = ("", "-released", "-text")


def repeating_flags(config: ConfigDict) -> tuple[list[str], list[str]]:
    """Flags of `voxjax train` that load this config.

    Args:
      config: of a run, perhaps of an older version.

    Returns:
      (`--config=NAME:VARIANT` with the fewest overrides behind it, prompt first; keys that cannot be set
      any more, so that empty means the flags load exactly this config).
    """
    wanted = dict(flatten(config))
    spec, shipped = min(_shipped(), key=lambda each: len(_changes(wanted, each[1])))
    changes = {"prompt": wanted["prompt"], **_changes(wanted, shipped)}
    flags, lost = [f"--config={spec}"], []
    for key, value in changes.items():
        text = value if isinstance(value, str) else repr(value)
        try:
            set_value(shipped, key, text)
        except UserError:
            lost.append(key)
            continue
        if dict(flatten(shipped))[key] == value:
            flags.append(f"--config.{key}={text}")
        else:
            lost.append(key)
    return flags, lost + sorted(dict(flatten(shipped)).keys() - wanted.keys())


def _changes(wanted: dict[str, Any], shipped: ConfigDict) -> dict[str, Any]:
    found = dict(flatten(shipped))
    return {key: value for key, value in wanted.items() if key not in found or found[key] != value}


def _shipped() -> Iterator[tuple[str, ConfigDict]]:
    """(spec, config) of every config that ships; of several that are the same the plainest name is first."""
    for name in shipped_names():
        file, _ = split_spec(name)
        for variant in listed_names(file):
            for word in _WORDS:
                try:
                    yield f"{name}:{variant}{word}", run_file(file, f"{variant}{word}")
                except UserError:  # not every variant has every word
                    continue
