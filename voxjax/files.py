"""Files that are either complete or absent under their final name, in folders that are known to take them."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from voxjax.errors import UserError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name once the block ends without an error.

    Args:
      path: final place of the file; missing parent folders are made, an older file is replaced.

    Yields:
      A hidden path in the same folder with the same suffix (writers choose the format by it).

    Raises:
      Whatever the block raises; the temporary file is then removed and an older `path` is left as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    # The process in the name keeps a training run and a render command in one folder out of each other's
    # way, and tells who left a file behind.
    part = target.with_name(f".{target.stem}.{_host()}-{os.getpid()}.part{target.suffix}")
    try:
        yield part
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` as UTF-8, atomically.

    Args:
      path: final place of the file.
      text: whole content.
    """
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


class Busy(Exception):
    """Another process holds the lock."""


def read_lines(path: str | os.PathLike[str], flag: str) -> list[str]:
    """The lines of a text file that somebody named.

    Args:
      path: UTF-8 text; `~` is the home folder.
      flag: what named it, for the error.

    Raises:
      UserError: it cannot be read.
    """
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{flag}={path}: cannot be read ({error}); give a text file") from error


@contextmanager
def locked(file: str | os.PathLike[str], *, wait_s: float = 0.0) -> Iterator[None]:
    """Holds a lock during the block; the system drops it with the process, however that ends.

    Args:
      file: of the lock; made, and left.
      wait_s: seconds to wait where another process holds it.

    Raises:
      Busy: that one still holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout as error:
        raise Busy(os.fspath(file)) from error
    try:
        yield
    finally:
        lock.release()


def _host() -> str:
    return re.sub(r"\W", "_", socket.gethostname())


def remove_leftovers(folder: str | os.PathLike[str]) -> list[Path]:
    """Removes the temporary files of `atomic_path` whose process on this machine was killed.

    Args:
      folder: looked at without its subfolders; it need not exist.

    Returns:
      The files removed; those of a living process, or of another machine, stay.
    """
    removed = []
    for file in sorted(Path(folder).glob(".*.part*")):
        owner = re.fullmatch(r"\..+\.(?:(\w+)-)?(\d+)\.part(\.\w+)?", file.name)
        if owner is None or (owner[1] or _host()) != _host():
            continue
        # A process that starts cannot have a file in the making: one under its own number is older than it.
        if int(owner[2]) == os.getpid() or not psutil.pid_exists(int(owner[2])):
            file.unlink(missing_ok=True)
            removed.append(file)
    return removed


def refuse_unwritable(folder: str | os.PathLike[str], flag: str) -> None:
    """Looks, before any work, whether files can be written into a folder; leaves no trace of having looked.

    Args:
      folder: need not exist.
      flag: what the user typed, for the message: "--out=table.json".

    Raises:
      UserError: it cannot be made, is a file, or does not take files.
    """
    wanted = Path(folder)
    try:
        # No folder is made for a look: another process may be making the same one, or be about to use it.
        there = next(each for each in (wanted, *wanted.absolute().parents) if each.exists())
        probe = there / f".probe.{_host()}-{os.getpid()}.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(f"{flag}: cannot write there ({error.strerror}); give another folder") from error


def refuse_unwritable_file(path: str | os.PathLike[str], flag: str) -> None:
    """As `refuse_unwritable`, for a file.

    Args:
      path: of the file to be.
      flag: the flag's name, "--out".

    Raises:
      UserError: its folder does not take files, or a folder has its name.
    """
    if Path(path).is_dir():
        raise UserError(f"{flag}={path}: a folder of this name exists; give the name of a file")
    refuse_unwritable(Path(path).parent, f"{flag}={path}")
