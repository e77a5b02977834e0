"""The folder of a run as files: their names, the steps that are saved, and whether a checkpoint is whole.

Nothing here needs jax, so that whoever only looks after runs can ask how far they are.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

from voxjax.files import write_text

CONFIG, CHECKPOINTS, METRICS, SUMMARY = "config.json", "checkpoints", "metrics.jsonl", "summary.json"
PICTURES = ("preview.png", "eval.png", "turntable.mp4", "turntable_depth.mp4")
MESH, REPORT = "mesh.glb", "report.html"
LOCK = ".lock"
"""Held by the process that trains in the folder."""

_LIST = "files.json"


def read_summary(workdir: str | Path) -> dict[str, Any]:
    """Returns the summary of a run; empty where there is none, or none that can be read."""
    try:
        found = json.loads((Path(workdir) / SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def saved_steps(folder: Path) -> list[int]:
    """Returns the steps of the checkpoints in a folder, ascending; some may turn out to be damaged."""
    if not folder.is_dir():
        return []
    return sorted(int(p.name) for p in folder.iterdir() if re.fullmatch(r"\d+", p.name))


def write_list(checkpoint: Path) -> None:
    """Writes the list of a checkpoint's files, with their sizes and checksums, into it: its last file."""
    write_text(checkpoint / _LIST, json.dumps(_list_files(checkpoint)))


def fingerprint(checkpoint: Path) -> str:
    """Returns a digest of a checkpoint's content, taken from the list of its files and checksums.

    Raises:
      OSError: there is no such complete checkpoint.
    """
    return hashlib.sha256((checkpoint / _LIST).read_bytes()).hexdigest()


def damage(checkpoint: Path) -> str:
    """Returns what is wrong with the files of a checkpoint, in words; empty if sound. Reads all of them.

    Raises:
      OSError: they are there and cannot be read now, which says nothing about what is in them.
    """
    wanted = _read_list(checkpoint)
    try:
        found = _list_files(checkpoint)
    except FileNotFoundError:  # removed meanwhile
        wanted = None
    if wanted is None:
        return f"{_LIST} is missing or cannot be read"
    names = [name for name in sorted({*wanted, *found}) if wanted.get(name) != found.get(name)]
    return f"{names[0]} is not as it was written" if names else ""


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end and every file has its size; reads the list only."""
    try:
        wanted = _read_list(checkpoint)
        return wanted is not None and all(
            (checkpoint / name).stat().st_size == size for name, (size, _) in wanted.items()
        )
    except (OSError, ValueError, TypeError):
        return False


def _read_list(checkpoint: Path) -> dict[str, list[int]] | None:
    try:
        found = json.loads((checkpoint / _LIST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _list_files(folder: Path) -> dict[str, list[int]]:
    """Returns size and CRC-32 of every file below `folder`, apart from the list itself."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _LIST:
            content = path.read_bytes()
            files[path.relative_to(folder).as_posix()] = [len(content), zlib.crc32(content)]
    return files
