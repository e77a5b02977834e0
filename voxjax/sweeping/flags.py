"""What is typed for a sweep, as data: values of `--set`, and seeds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from voxjax.errors import UserError

_OPEN, _CLOSE = "([{", ")]}"
_MOST = 100_000


@dataclass(frozen=True)
class Axis:
    """A key of the config and the values that it takes in turn, as typed.

    Attributes:
      key: dotted.
      values: at least one.
    """

    key: str
    values: tuple[str, ...]


def read_axis(text: str) -> Axis:
    """Reads `key=v1,v2`; a comma within brackets or quotes belongs to its value.

    Raises:
      UserError: not of this form, or a key that has a flag of its own.
    """
    key, equals, values = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text}: write --set key=value,value, such as --set augment.diff=True,False")
    if key in ("prompt", "seed"):
        raise UserError(f"--set {text}: give {key}s with --{key}s")
    found = split_values(values, f"--set {text}")
    refuse_repeated(found, f"--set {text}")
    return Axis(key, tuple(found))


def split_values(text: str, flag: str) -> list[str]:
    """Splits at the commas outside of brackets and quotes; quotes around a whole value are taken away.

    Args:
      text: "True,False", "(0.,0.3),(0.,1.)", "'a, b',c"; a trailing comma or an empty text is an empty value.
      flag: for the message.

    Raises:
      UserError: a bracket or a quote is not closed.
    """
    values, depth, quote, start = [], 0, "", 0
    for i, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'" and (depth or not text[start:i].strip()):  # an apostrophe within a word is none
            quote = sign
        elif sign in _OPEN:
            depth += 1
        elif sign in _CLOSE:
            depth -= 1
        elif sign == "," and not depth:
            values.append(text[start:i])
            start = i + 1
        if depth < 0:
            break
    if depth or quote:
        raise UserError(f"{flag}: a bracket or a quote is not closed; put quotes around such a value")
    return [_unquoted(value.strip()) for value in (*values, text[start:])]


def _unquoted(value: str) -> str:
    whole = len(value) >= 2 and value[0] in "\"'" and value[0] == value[-1]
    return value[1:-1] if whole and value[0] not in value[1:-1] else value


def read_seeds(text: str) -> list[int]:
    """Reads `0,1,5` and ranges, `0-9`, ends included.

    Raises:
      UserError: anything else, a number twice, or more than 100,000.
    """
    flag, seeds = f"--seeds={text}", list[int]()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last or last >= 2**32:
            raise UserError(f"{flag}: write whole numbers from 0 to 2^32 - 1, such as 0,1 or 0-9")
        if last - first + len(seeds) >= _MOST:
            raise UserError(f"{flag}: more than {_MOST:,} seeds; write fewer")
        seeds += range(first, last + 1)
    refuse_repeated(map(str, seeds), flag)
    return seeds


def refuse_repeated(values: Iterable[str], flag: str) -> None:
    """Raises UserError where a value stands twice: its runs would be the same run."""
    seen = set[str]()
    for value in values:
        if value in seen:
            raise UserError(f"{flag}: {value!r} stands there twice; leave one away")
        seen.add(value)
