"""3D models of things out of the furniture package, rendered from all sides once and kept.

A library is a zip file (.sh3f) whose `PluginFurnitureCatalog.properties` names its models. Models of a thing
go in turn to the guide and to the judge, so that neither sees a model of the other's.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voxjax.files import atomic_path
from voxjax.picturebook import archives, names, sources, views
from voxjax.picturebook.wavefront import read_model

N_VIEWS = 12
_CATALOGUE = "PluginFurnitureCatalog.properties"
_ENTRY = re.compile(r"^(\w+)#(\d+)\s*[=:]\s*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Item:
    """A model in a library.

    Attributes:
      key: library and number, `Scopia-17`.
      thing: place in the list of things.
      half: 0 for the guide's, 1 for the judge's.
      path: of the .obj file in the library.
      size_cm: [3] width, height, depth, as the object is in life.
      rotation: [3, 3], to be done before.
    """

    key: str
    thing: int
    half: int
    path: str
    size_cm: np.ndarray
    rotation: np.ndarray


def pictures(cache: Path, half: int) -> tuple[np.ndarray, np.ndarray]:
    """All views of one half of the models; renders those that the cache lacks.

    Args:
      cache: folder of archives and of what is made of them.
      half: 0 for the guide's, 1 for the judge's.

    Returns:
      pictures [n, 64, 64, 4] uint8, colours not multiplied by alpha, the views of a model in a row; things
      [n] int32, places in the list.

    Raises:
      UserError: the package cannot be had.
    """
    package = cache / "libraries"
    done = package / "complete"
    if not done.is_file():
        archive = archives.fetch(sources.SOURCES["furniture"], cache)
        for name, content in archives.read_members(archive, _library_name).items():
            with atomic_path(package / name) as part:
                part.write_bytes(content)
        done.touch()
    rows, things = [], []
    for library in sorted(package.glob("*.sh3f")):
        with zipfile.ZipFile(library) as opened:
            for item in _items(package, library.stem):
                if item.half == half and (shown := _rendered(item, opened, cache)) is not None:
                    rows.append(shown)
                    things += [item.thing] * len(shown)
    return np.concatenate(rows), np.array(things, np.int32)


def _library_name(path: str) -> str | None:
    return Path(path).name if path.endswith(".sh3f") else None


def _items(package: Path, library: str) -> list[Item]:
    return [item for item in assign(_catalogues(package)) if item.key.rpartition("-")[0] == library]


def _catalogues(package: Path) -> dict[str, dict[str, dict[str, str]]]:
    """Library -> number -> settings of each model."""
    found = {}
    for library in sorted(package.glob("*.sh3f")):
        with zipfile.ZipFile(library) as opened:
            found[library.stem] = read_catalogue(opened.read(_CATALOGUE).decode("latin-1"))
    return found


def read_catalogue(text: str) -> dict[str, dict[str, str]]:
    """A catalogue: number of a model -> its settings."""
    models: dict[str, dict[str, str]] = {}
    for name, number, value in _ENTRY.findall(text):
        models.setdefault(number, {})[name] = value
    return models


def assign(catalogues: dict[str, dict[str, dict[str, str]]]) -> list[Item]:
    """The models of things, shared out between the halves.

    Args:
      catalogues: library -> number -> settings.

    Returns:
      One item a model of a thing of the list, in the order of things; a thing's models go in turn to either
      half, the first of every second thing to the judge.
    """
    by_name: dict[str, list[tuple[str, dict[str, str]]]] = {}
    for library, models in catalogues.items():
        for number, settings in models.items():
            plain = re.sub(r"\s*\d+$", "", settings["name"].lower()).strip()
            by_name.setdefault(plain, []).append((f"{library}-{number}", settings))
    items = []
    for i, thing in enumerate(names.things()):
        found = [entry for name in thing.models for entry in by_name.get(name, [])]
        for k, (key, settings) in enumerate(found):
            sides = np.array([float(settings[side]) for side in ("width", "height", "depth")])
            turned = settings.get("modelRotation", "1 0 0 0 1 0 0 0 1").split()
            rotation = np.array(turned, np.float64).reshape(3, 3)
            items.append(Item(key, i, (i + k) % 2, settings["model"].lstrip("/"), sides, rotation))
    return items


def _rendered(item: Item, library: zipfile.ZipFile, cache: Path) -> np.ndarray | None:
    """[n, 64, 64, 4]; None for a model that cannot be read."""
    file = cache / "views" / f"{item.key}.npz"
    if not file.is_file():
        try:
            shown = render_item(item, library)
        except (ValueError, KeyError, IndexError) as error:
            print(f"{item.key} ({item.path}) left out: {error}", flush=True)
            shown = np.zeros((0, views.WIDTH_PX, views.WIDTH_PX, 4), np.uint8)
        with atomic_path(file) as part:
            np.savez_compressed(part, views=shown)
    with np.load(file, allow_pickle=False) as stored:
        return stored["views"] if len(stored["views"]) else None


def render_item(item: Item, library: zipfile.ZipFile) -> np.ndarray:
    """[N_VIEWS, 64, 64, 4] uint8, the same in every process.

    Raises:
      ValueError, KeyError or IndexError: a model that cannot be read.
    """
    path, read = item.path, library.read
    if path.endswith(".zip"):  # a model may be packed once more, its name that of the only .obj in it
        inner = zipfile.ZipFile(io.BytesIO(library.read(path)))
        path, read = next(name for name in inner.namelist() if name.endswith(".obj")), inner.read
    model = read_model(path, read)
    corners = (model.vertices @ item.rotation.T)[np.unique(model.faces)]
    extent = np.maximum(corners.max(0) - corners.min(0), 1e-9)
    y_up = np.diag(item.size_cm / extent) @ item.rotation
    z_up = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]) @ y_up
    rng = np.random.default_rng(zlib.crc32(item.key.encode()))
    return views.render(model, read, rng, n_views=N_VIEWS, upright=z_up)
