"""What is typed for a training: the objects, and how and where they are trained."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.command import Parser, whole_number
from voxjax.config.loading import load, take_overrides
from voxjax.config.naming import default_workdir
from voxjax.config.prompts import place_prompts, read_prompts
from voxjax.errors import UserError

Objects = list[tuple[ConfigDict, Path]]
"""The config and the folder of each object."""

_FLAGS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--config", {"required": True}, "config and variant: vox_exp:low, or path.py:variant"),
    ("--workdir", {}, "folder of the run; default: runs/<config>/<prompt>"),
    ("--prompts", {"default": ""}, "file with a prompt a line: all are trained, each in <workdir>/<prompt>"),
    (
        "--together",
        {"type": whole_number(1, 1024), "default": 0},
        "prompts that are trained as one; default: by the memory of the accelerator, 1 on a CPU",
    ),
    (
        "--force",
        {"action": "store_true"},
        "start even if the memory of the accelerator is expected to be too small",
    ),
    ("--profile", {"type": Path}, "folder for a trace of ten steps, for Perfetto or TensorBoard"),
    (
        "--coordinator",
        {"default": ""},
        "HOST:PORT of the first of several processes that train together; auto under SLURM or in a cloud",
    ),
    ("--processes", {"type": whole_number(1, 100_000)}, "how many these are"),
    ("--process", {"type": whole_number(0, 99_999)}, "which of them this is, from 0"),
)


def read_flags(arguments: Sequence[str]) -> tuple[Namespace, Objects]:
    """Reads the command line.

    Raises:
      UserError: an unknown flag or key, a wrong value, or flags that do not go together.
    """
    parser = Parser("train")
    for name, options, words in _FLAGS:
        parser.add_argument(name, help=words, **options)
    parser.epilog = "Any key of the config can be set with --config.key=value; configs/base.py lists them."
    flags, rest = parser.parse_known_args(arguments)
    for name in ("processes", "process"):
        value = getattr(flags, name)
        if value is not None and not flags.coordinator:
            raise UserError(f"--{name}={value}: give --coordinator=HOST:PORT too, the same for all")
    return flags, _objects(flags, take_overrides(rest, flags=[name for name, _, _ in _FLAGS]))


def _objects(flags: Namespace, settings: list[tuple[str, str]]) -> Objects:
    if not flags.prompts:
        if flags.together:
            raise UserError(f"--together={flags.together}: there is one prompt; give several with --prompts")
        config = load(flags.config, settings)
        return [(config, Path(flags.workdir or default_workdir(flags.config, config.prompt)))]
    if "prompt" in dict(settings):
        raise UserError(f"--config.prompt and --prompts={flags.prompts}: give one of them")
    places = place_prompts(read_prompts([], flags.prompts), flags.config, flags.workdir)
    return [(load(flags.config, [*settings, ("prompt", prompt)]), place) for prompt, place in places.items()]
