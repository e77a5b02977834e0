"""Pictures of things out of the packages of emoji: cropped to their outlines, 64 px, transparent around."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from voxjax.errors import UserError
from voxjax.files import atomic_path
from voxjax.picturebook import archives, icons, names, sources

WIDTH_PX = 64
_SVG_PX = 2 * WIDTH_PX
EMOJI = tuple(name for name, source in sources.SOURCES.items() if source.members != sources.MODELS)


def pictures(name: str, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """All pictures of one package that show a thing of the list.

    Args:
      name: of the source, one of `EMOJI`.
      cache: folder of archives and of what is made of them.

    Returns:
      pictures [n, 64, 64, 4] uint8, colours not multiplied by alpha; things [n] int32, places in the list.

    Raises:
      UserError: the package cannot be had, or what reads it is not installed.
    """
    file = cache / "pictures" / f"{name}.npz"
    if file.is_file():
        with np.load(file, allow_pickle=False) as stored:
            if str(stored["digest"]) == names.digest():
                return stored["pictures"], stored["things"]
    source, draw = sources.SOURCES[name], _opened
    if source.members == sources.ICONS or source.members.endswith("svg"):
        _refuse_without_renderer(name)
        draw = _svg
    rows, things = [], []
    for i, files in enumerate(_files(source, archives.fetch(source, cache))):
        rows += [crop(draw(file)) for file in files]
        things += [i] * len(files)
    shown, owners = np.stack(rows), np.array(things, np.int32)
    with atomic_path(file) as part:
        np.savez_compressed(part, pictures=shown, things=owners, digest=np.array(names.digest()))
    return shown, owners


def _files(source: sources.Source, archive: Path) -> list[list[bytes]]:
    """What a package has for each thing."""
    if source.members == sources.ICONS:
        found = icons.read(archive)
        return [icons.of(thing, found) for thing in names.things()]
    found = archives.read_members(archive, _key_of(re.compile(source.members)))
    return [[found[point] for point in thing.code_points if point in found] for thing in names.things()]


def _key_of(pattern: re.Pattern[str]) -> Callable[[str], str | None]:
    """Path in the package -> its code points without the variation selector, which packages use at will."""

    def key(path: str) -> str | None:
        match = pattern.fullmatch(path)
        return match[1].lower().replace("-fe0f", "") if match else None

    return key


def crop(image: Image.Image) -> np.ndarray:
    """[64, 64, 4] uint8: what is not transparent, as large as fits, in the middle."""
    whole = image.convert("RGBA")
    box = whole.getchannel("A").point(lambda alpha: 255 * (alpha > 16)).getbbox() or (0, 0, *whole.size)
    part = whole.crop(box)
    scale = WIDTH_PX / max(part.size)
    size = max(1, round(part.width * scale)), max(1, round(part.height * scale))
    part = part.resize(size, Image.Resampling.LANCZOS)
    result = Image.new("RGBA", (WIDTH_PX, WIDTH_PX))
    result.paste(part, ((WIDTH_PX - size[0]) // 2, (WIDTH_PX - size[1]) // 2))
    return np.asarray(result)


def _opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def _svg(data: bytes) -> Image.Image:
    import resvg_py

    drawn = resvg_py.svg_to_bytes(svg_string=data.decode(), width=_SVG_PX, skip_system_fonts=True)
    return _opened(bytes(drawn))


def _refuse_without_renderer(name: str) -> None:
    try:
        import resvg_py  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{sources.SOURCES[name].title} is drawn by resvg-py: pip install 'voxjax[picturebook]', or leave"
            f" it out with --without={name}"
        ) from error
