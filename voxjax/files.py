"""Files that are either complete or absent under their final name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    # The process id keeps a training run and a render command in one folder out of each other's way.
    part = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
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
