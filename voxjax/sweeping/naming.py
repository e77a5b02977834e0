"""The folder of a run in a sweep: readable, and given by the run alone: a larger sweep finds it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from voxjax.config.naming import digits, slug

_LONGEST = 180  # bytes: a file name may have 255, and temporary ones get an ending


def run_name(config: str, prompt: str, settings: Sequence[tuple[str, Any]], seed: int) -> str:
    """Returns the name of a run's folder: `vox_exp-low_a-bonsai-tree_augment.diff=False_seed0`.

    What a text loses on its way into a file name comes back as six digits of its SHA-256, so that two
    texts that look alike have two folders.

    Args:
      config: what `spec_name` makes of config and variant.
      prompt: what is made.
      settings: the keys that the sweep varies, with their values, in a fixed order.
      seed: of the run.
    """
    parts = [config, _prompt_name(prompt)]
    parts += [f"{key}={_value_name(value)}" for key, value in settings]
    name = "_".join(parts)
    if len(name.encode()) > _LONGEST:
        short = name.encode()[:_LONGEST].decode(errors="ignore")
        name = f"{short.rstrip('-_.')}-{digits(name)}"
    return f"{name}_seed{seed}"


def _prompt_name(prompt: str) -> str:
    name = slug(prompt)
    return name if name.replace("-", " ") == prompt else f"{name}-{digits(prompt)}"


def _value_name(value: Any) -> str:
    if isinstance(value, tuple) and value and all(isinstance(item, float) for item in value):
        return ",".join(map(repr, value))
    text = value if isinstance(value, str) else repr(value)
    name = re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.")[:60]
    return name if name == text else f"{name}-{digits(text)}".strip("-")
