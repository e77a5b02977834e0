"""Where the pictures come from: packages by name, who made them, under which licence, and how they get here.

Only archives are kept, as their registries serve them; `emoji` and `furniture` read out of them what is
needed. What cannot be fetched can be put into the folder by hand.
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
from dataclasses import dataclass
from pathlib import Path

from voxjax.errors import UserError
from voxjax.files import atomic_path

ARCHIVES = "archives"
_FETCH_S = 900


@dataclass(frozen=True)
class Source:
    """A set of pictures or models.

    Attributes:
      name: what the command calls it.
      title: what its makers call it.
      credit: who made it.
      licence: of the pictures or models themselves.
      package: its name at the registry; version: likewise.
      registry: `npm` or `apt`.
      archive: name of the package's file.
      sha256: of the archive; None where the registry's own signature is all there is.
      megabytes: to fetch.
    """

    name: str
    title: str
    credit: str
    licence: str
    package: str
    version: str
    registry: str
    archive: str
    sha256: str | None
    megabytes: int


SOURCES = {
    source.name: source
    for source in (
        Source(
            "noto",
            "Noto Color Emoji, 64 px",
            "Google; packed by Cal Henderson (emoji-data)",
            "Apache-2.0",
            "emoji-datasource-google",
            "16.0.0",
            "npm",
            "emoji-datasource-google-16.0.0.tgz",
            "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
            74,
        ),
        Source(
            "fluent",
            "Fluent Emoji, 3D",
            "Microsoft; packed by LobeHub",
            "MIT",
            "@lobehub/fluent-emoji-3d",
            "1.1.0",
            "npm",
            "lobehub-fluent-emoji-3d-1.1.0.tgz",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
            16,
        ),
        Source(
            "twemoji",
            "Twemoji, 64 px",
            "Twitter, Inc. and other contributors; packed by Cal Henderson (emoji-data)",
            "CC-BY-4.0",
            "emoji-datasource-twitter",
            "16.0.0",
            "npm",
            "emoji-datasource-twitter-16.0.0.tgz",
            "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
            62,
        ),
        Source(
            "openmoji",
            "OpenMoji",
            "HfG Schwäbisch Gmünd, Benedikt Groß, Daniel Utz and contributors",
            "CC-BY-SA-4.0",
            "openmoji",
            "17.0.0",
            "npm",
            "openmoji-17.0.0.tgz",
            "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
            4,
        ),
        Source(
            "furniture",
            "Sweet Home 3D, additional 3D models",
            "Andrew Kator and Jennifer Legaz (CC-BY-3.0-US), Reallusion (CC-BY-3.0-US), Scopia (CC-BY-3.0),"
            " contributors of Blend Swap (CC-BY-3.0; others CC0)",
            "CC-BY-3.0, CC-BY-3.0-US and CC0, by library",
            "sweethome3d-furniture",
            "1.8-1",
            "apt",
            "sweethome3d-furniture_1.8-1_all.deb",
            "3ccb90c63f9525e887a767b9cd5c8b6933b8b6b2973a615a5359ee68a2118668",
            120,
        ),
    )
}


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
