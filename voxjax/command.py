"""What the commands share: their names, one-line errors, and a parser that refuses what it does not know."""

from __future__ import annotations

import argparse
import errno
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from voxjax.errors import UserError
from voxjax.heap import keep_freed_memory

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))  # the disk, or the user's share of it

COMMANDS = {
    "make": "make an object from a prompt, with whatever this machine has",
    "train": "train one object from a text prompt",
    "render": "make the pictures of a run again, at any size",
    "export": "make a mesh of a run that other programs open",
    "evaluate": "judge finished runs with a CLIP",
    "report": "put a run on one page, or many in an index",
    "reproduce": "make a table or figure of the paper",
    "sweep": "train prompts x configs x settings x seeds, on this machine or a cluster",
    "compare": "train several configs on one prompt and set them side by side",
    "view": "watch and turn runs in a browser, finished ones and those that train",
    "guidance": "list, fetch and try the CLIPs",
}
"""Sub-commands of `voxjax`, each also `python -m voxjax.<name>`, with what it does."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are `UserError`s, and which accepts no shortened names.

    Args:
      command: one of `COMMANDS`, for a program of that name and description; None where `options` say both.
      options: of `argparse.ArgumentParser`.
    """

    def __init__(self, command: str | None = None, **options: Any):
        if command is not None:
            sentence = f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}."
            options = {"prog": f"voxjax {command}", "description": sentence, **options}
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As usual, but that `--flag=~/x` means what `--flag ~/x` does: shells leave the former as it is."""
        words = sys.argv[1:] if args is None else args
        at_home = re.compile(r"(--[\w-]+=)(~(?:/.*)?)")
        found = [(word, at_home.fullmatch(word)) for word in words]
        words = [each[1] + os.path.expanduser(each[2]) if each else word for word, each in found]
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage."""
        raise UserError(f"{message}; --help lists the flags")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """A converter for `add_argument(type=...)`: a whole number within bounds.

    Args:
      low: smallest value allowed.
      high: largest value allowed.

    Returns:
      text -> int, which raises argparse.ArgumentTypeError naming the bounds.
    """

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")
        return value

    return convert


def run_command(main: Callable[[Sequence[str]], None], arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave the process: 0 when all went well, 130 for Ctrl-C.

    2 for what the user can put right: a mistake, or a full disk.

    Args:
      main: takes the arguments after the program's name.
      arguments: by default those of this process.

    Raises:
      SystemExit: always.
    """
    keep_freed_memory()
    if hasattr(sys.stdout, "reconfigure"):
        # Paths have the words of prompts in any script: one that the terminal lacks must end nothing.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main(sys.argv[1:] if arguments is None else arguments)
    except UserError as error:
        print(f"voxjax: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"voxjax: {where}{error.strerror}; make room and start again", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("voxjax: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Makes SIGTERM raise KeyboardInterrupt in the block, as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # which alone may set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
