"""Loading a config: a name or a file, its variant, and overrides from the command line.

A config file is a Python program with `get_config(variant)` that returns an `ml_collections.ConfigDict`.
Its keys and their types are fixed by that program; an override can change a value, never a type or a name.
Every mistake ends in a `UserError` of one line: the key, the value, and what to write instead.
"""

from __future__ import annotations

import ast
import difflib
import functools
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from voxjax.config.naming import shipped_folder, split_spec
from voxjax.config.programs import run_file
from voxjax.config.saved import flatten
from voxjax.config.validation import check
from voxjax.errors import UserError

_PREFIX = "--config."


def load(spec: str, overrides: Sequence[tuple[str, str]] = ()) -> ConfigDict:
    """Loads a config file, applies overrides, and validates the result.

    Args:
      spec: name of a config that ships, or path of a file; optionally followed by `:variant`.
      overrides: pairs of dotted key and value as typed.

    Returns:
      A locked ConfigDict whose every value is sound.

    Raises:
      UserError: no such file or variant, an unknown or missing key, or a value of the wrong type or out of
        range.
    """
    config = run_file(*split_spec(spec))
    _refuse_unlike_base(config, spec)
    for key, text in overrides:
        set_value(config, key, text)
    check(config)
    return config.lock()


def _refuse_unlike_base(config: ConfigDict, spec: str) -> None:
    """Holds the keys and types of a config against those of `configs/base.py`, which has them all.

    Whole numbers become numbers where numbers stand in base, and in tuples.

    Raises:
      UserError: a key that nothing reads, one that is missing, or a value of another type.
    """
    known = _defaults()
    own = dict(flatten(config))
    for key in own:
        if key not in known:
            raise UserError(f"--config={spec}: it sets {key}, which is no key; {_closest(key, list(known))}")
    for key, default in known.items():
        if key not in own:
            raise UserError(f"--config={spec}: it lacks {key}; let it begin with configs.base.get_config()")
        value = _widened(own[key], default)
        if value is not own[key]:  # a leaf that refers to another is left to do so
            with config.ignore_type():
                _set_leaf(config, key, value)
        if not isinstance(value, type(default)) or isinstance(value, bool) != isinstance(default, bool):
            raise UserError(
                f"--config={spec}: {key} is {value!r}; it must be of the type of its default, {default!r}"
            )


@functools.cache
def _defaults() -> dict[str, Any]:
    """Every key of `configs/base.py` with its value."""
    return dict(flatten(run_file(shipped_folder() / "base.py", None)))


def _widened(value: Any, default: Any) -> Any:
    if isinstance(value, tuple) and int in map(type, value):
        return tuple(float(item) if type(item) is int else item for item in value)
    return float(value) if type(value) is int and isinstance(default, float) else value


def take_overrides(
    arguments: Sequence[str], *, flags: Sequence[str] = ("--config", "--workdir")
) -> list[tuple[str, str]]:
    """Reads `--config.key=value` and `--config.key value` from what the flag parser did not know.

    Args:
      arguments: what it left.
      flags: the flags that it knows, for the message.

    Returns:
      Pairs of dotted key and value as typed, in order.

    Raises:
      UserError: an argument that is not of this form.
    """
    pairs, rest = [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith(_PREFIX):
            hint = difflib.get_close_matches(argument.split("=")[0], flags, 1, 0.6)
            known = ", ".join((*flags, "--config.key=value"))
            advice = f"did you mean {hint[0]}?" if hint else f"flags are {known}"
            raise UserError(f"unknown argument {argument}; {advice}")
        key, equals, value = argument[len(_PREFIX) :].partition("=")
        if not equals:
            if not rest:
                raise UserError(f"{argument} has no value; write {argument}=value")
            value = rest.pop(0)
        pairs.append((key, value))
    return pairs


def set_value(config: ConfigDict, key: str, text: str) -> None:
    """Sets one leaf from typed text, converted to the type of the value that it replaces.

    Raises:
      UserError: `key` is no leaf of `config`, or `text` does not fit its type.
    """
    known = dict(flatten(config))
    if key not in known:
        inside = [name for name in known if name.startswith(key + ".")]
        if inside:
            raise UserError(f"--config.{key}={text}: this is a group; set one of {', '.join(inside)}")
        raise UserError(f"--config.{key}={text}: no such key; {_closest(key, list(known))}")
    value = _convert(text, known[key])
    if value is None:
        raise UserError(f"--config.{key}={text}: not {_kind(known[key])}; the default is {known[key]!r}")
    _set_leaf(config, key, value)


def _set_leaf(config: ConfigDict, key: str, value: Any) -> None:
    *groups, leaf = key.split(".")
    for group in groups:
        config = config[group]
    config[leaf] = value


def _closest(key: str, known: list[str]) -> str:
    by_leaf = [name for name in known if name.split(".")[-1] == key.split(".")[-1]]
    near = by_leaf or difflib.get_close_matches(key, known, 1, 0.5)
    if not near:
        leaves = {name.split(".")[-1]: name for name in known}
        near = [leaves[leaf] for leaf in difflib.get_close_matches(key.split(".")[-1], list(leaves), 1, 0.5)]
    return f"did you mean --config.{near[0]}?" if near else "configs/base.py lists them all"


def _kind(value: Any) -> str:
    if isinstance(value, tuple):
        item = "texts" if not value or isinstance(value[0], str) else "numbers"
        return f"a tuple of {item} such as {value!r}" if value else "a tuple such as (1.0,) or ('a text',)"
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    return names[type(value)]


def _convert(text: str, old: Any) -> Any:
    """Returns `text` as the type of `old`, or None where it does not fit."""
    if isinstance(old, str):
        return text
    if isinstance(old, bool):
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    try:
        if isinstance(old, int):
            return int(text)
        if isinstance(old, float):
            return float(text)
        items = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        # One text needs no brackets where a tuple of texts is wanted.
        texts = isinstance(old, tuple) and (not old or isinstance(old[0], str))
        return (text,) if texts and text and text[0] not in "([" else None
    if not isinstance(items, (tuple, list)):
        return None
    if all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in items):
        return tuple(float(item) for item in items) if not old or isinstance(old[0], float) else None
    return (
        tuple(items)
        if all(isinstance(item, str) for item in items) and not (old and isinstance(old[0], float))
        else None
    )
