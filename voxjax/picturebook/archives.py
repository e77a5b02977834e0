"""Packages: fetched by their registries' programs, held to their SHA-256, and read.

Only archives are kept, as their registries serve them. What cannot be fetched can be put into the folder by
hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import lzma
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from voxjax.errors import UserError
from voxjax.files import atomic_path
from voxjax.picturebook.sources import Source

ARCHIVES = "archives"
_FETCH_S = 900


def fetch(source: Source, cache: Path) -> Path:
    """The archive of a source, fetched where the cache has none.

    Args:
      source: which.
      cache: folder; the archive lies in `archives` in it.

    Returns:
      The file, whole.

    Raises:
      UserError: it cannot be had; the line says what to put where.
    """
    file = cache / ARCHIVES / source.archive
    if not file.is_file():
        program = {"npm": "npm", "apt": "apt-get"}[source.registry]
        by_hand = f"put {source.archive} ({source.registry} package {source.package}) into {file.parent}"
        if shutil.which(program) is None:
            raise UserError(f"{program} is not installed, which fetches {source.title}: {by_hand}")
        print(f"fetching {source.package} {source.version}, {source.megabytes} MB", flush=True)
        with tempfile.TemporaryDirectory() as place:
            words = _command(source)
            try:
                ended = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=_FETCH_S)
            except subprocess.TimeoutExpired as error:
                raise UserError(f"`{' '.join(words)}` took over {_FETCH_S} s: {by_hand}") from error
            found = Path(place) / source.archive
            if ended.returncode or not found.is_file():
                reason = (ended.stderr.strip().splitlines() or ["no word why"])[-1]
                raise UserError(f"`{' '.join(words)}` did not give it ({reason}): {by_hand}")
            with atomic_path(file) as part:
                shutil.copyfile(found, part)
    _verify(source, file)
    return file


def _command(source: Source) -> list[str]:
    if source.registry == "npm":
        return ["npm", "pack", "--silent", f"{source.package}@{source.version}"]
    return ["apt-get", "download", f"{source.package}={source.version}"]


def _verify(source: Source, file: Path) -> None:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != source.sha256:
        raise UserError(f"{file} is not the {source.package} {source.version} that is meant; remove it")


def read_members(archive: Path, name_of: Callable[[str], str | None]) -> dict[str, bytes]:
    """Files of a package.

    Args:
      archive: `.tgz` or `.deb`.
      name_of: path within the archive -> what to call the file, None to leave it out.

    Returns:
      Contents by name.

    Raises:
      UserError: an archive that cannot be read.
    """
    found = {}
    try:
        with _opened(archive) as tar:
            for member in tar:
                name = name_of(member.name) if member.isfile() else None
                stream = tar.extractfile(member) if name is not None else None
                if name is not None and stream is not None:
                    found[name] = stream.read()
    except (tarfile.TarError, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise UserError(f"cannot read {archive} ({error}); remove it") from error
    return found


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    """The files of a package; a Debian one is an `ar` file with a compressed tar file in it (deb(5))."""
    with archive.open("rb") as stream, tempfile.TemporaryFile() as part:
        if stream.read(8) != b"!<arch>\n":
            stream.seek(0)
            shutil.copyfileobj(stream, part)
        while header := stream.read(60):
            name, size = header[:16].decode().strip(" /"), int(header[48:58])
            if name.startswith("data.tar"):
                shutil.copyfileobj(stream, part)
                part.truncate(size)
                break
            stream.seek(size + size % 2, 1)
        part.seek(0)
        with tarfile.open(fileobj=part, mode="r:*") as tar:
            yield tar
