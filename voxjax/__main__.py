"""The command `voxjax`: `voxjax train ...` is `python -m voxjax.train ...`, and so on."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import voxjax
from voxjax.command import COMMANDS, run_command
from voxjax.errors import UserError

# Where the command is not the module of its own name.
_MODULES = {"guidance": "voxjax.guidance.__main__"}


def main(arguments: Sequence[str]) -> None:
    """Hands the arguments after the first to the command that it names.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: no such command, or whatever the command raises.
    """
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help", "help"):
        print(usage())
    elif name in ("-V", "--version"):
        print(f"voxjax {voxjax.__version__}")
    elif name in COMMANDS:
        # Imported only now: `voxjax --help` need not wait for jax.
        importlib.import_module(_MODULES.get(name, f"voxjax.{name}")).main(rest)
    else:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        advice = f"did you mean voxjax {near[0]}?" if near else f"there is {', '.join(COMMANDS)}"
        raise UserError(f"{name}: no such command; {advice}")


def usage() -> str:
    """What `voxjax --help` says."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {words}" for name, words in COMMANDS.items()]
    return "\n".join(
        ["usage: voxjax COMMAND ...", "", *lines, "", "voxjax COMMAND --help lists the flags of a command."]
    )


def run() -> NoReturn:
    """The console script."""
    run_command(main)


if __name__ == "__main__":
    sys.exit(run())
