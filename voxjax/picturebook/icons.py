"""Sets of icons as Iconify packs them: one JSON file with a drawing for every name, and aliases."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

from voxjax.errors import UserError
from voxjax.picturebook import archives
from voxjax.picturebook.names import Thing

_MEMBER = "package/icons.json"
# Names that some sets give something else: a flag, a game, a face.
_AMBIGUOUS = ("turkey", "cricket", "sunglasses")


def read(archive: Path) -> dict[str, bytes]:
    """The drawings of a set.

    Args:
      archive: of the package.

    Returns:
      SVG by `plain` name. An alias that turns or mirrors its drawing is left out.

    Raises:
      UserError: an archive without such a set.
    """
    try:
        content = archives.read_members(archive, lambda path: path if path == _MEMBER else None)[_MEMBER]
        stored = json.loads(content)
        found = {plain(name): _svg(icon, stored) for name, icon in stored["icons"].items()}
        for name, alias in stored.get("aliases", {}).items():
            if set(alias) == {"parent"} and plain(alias["parent"]) in found:
                found.setdefault(plain(name), found[plain(alias["parent"])])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{archive} has no set of icons that can be read ({error}); remove it") from error
    return found


def of(thing: Thing, icons: dict[str, bytes]) -> list[bytes]:
    """The drawings that show a thing, each once: by its names, and by what Unicode calls its characters."""
    spoken = [thing.name, *thing.others]
    spoken += [unicodedata.name(chr(int(p, 16)), "") for p in thing.code_points if "-" not in p]
    keys = [plain(name) for name in spoken if plain(name) not in _AMBIGUOUS]
    return list(dict.fromkeys(icons[key] for key in keys if key in icons))


def plain(name: str) -> str:
    """Letters and digits only, as sets divide words each in their own way: "hot-dog", "hotdog"."""
    return re.sub("[^a-z0-9]", "", name.lower())


def _svg(icon: dict, stored: dict) -> bytes:
    """The drawing as a file; size and corner are the set's where the icon has none of its own."""
    left, top, width, height = (
        float(icon.get(key, stored.get(key, default)))
        for key, default in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
    )
    box = f"{left} {top} {width} {height}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}">'
        f"{icon['body']}</svg>"
    ).encode()
