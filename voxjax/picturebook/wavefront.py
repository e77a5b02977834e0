"""Wavefront files (.obj, .mtl) to triangles with materials: as much of the format as pictures need.

Polygons are cut into fans; normals, smoothing and lines are left out.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
      colour: [3] in [0, 1], of the diffuse light, multiplied with the texture's.
      opacity: in [0, 1].
      texture: path of its picture in the package; None without one.
    """

    colour: np.ndarray
    opacity: float
    texture: str | None


@dataclass(frozen=True)
class Model:
    """Triangles.

    Attributes:
      vertices: [n, 3] float64.
      faces: [m, 3] int64, indices of vertices.
      uv: [m, 3, 2], places of their corners in the texture, v upwards; 0 where the file gives none.
      material_ids: [m], indices of materials.
      materials: at least one.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    material_ids: np.ndarray
    materials: tuple[Material, ...]


_DEFAULT = Material(np.full(3, 0.7), 1.0, None)


def read_model(path: str, read: Callable[[str], bytes]) -> Model:
    """Reads a model and its materials.

    Args:
      path: of the .obj file.
      read: path -> content; raises KeyError where there is no such file.

    Raises:
      ValueError: a file without a triangle, or one that is damaged.
    """
    vertices: list[str] = []
    textures: list[str] = []
    corners: list[tuple[int, int]] = []  # three a triangle: (vertex, place in the texture or -1)
    owners: list[int] = []
    named: dict[str, Material] = {}
    ids: dict[str, int] = {}
    current = 0
    for line in read(path).decode("utf-8", "replace").splitlines():
        if line.startswith("v "):
            vertices.append(line)
        elif line.startswith("vt "):
            textures.append(line)
        elif line.startswith("f "):
            polygon = [_corner(word, len(vertices), len(textures)) for word in line.split()[1:]]
            for i in range(1, len(polygon) - 1):
                corners += (polygon[0], polygon[i], polygon[i + 1])
                owners.append(current)
        elif line.startswith("usemtl"):
            current = ids.setdefault(line[6:].strip(), len(ids) + 1)
        elif line.startswith("mtllib"):
            named |= _read_materials(posixpath.join(posixpath.dirname(path), line[6:].strip()), read)
    if not owners:
        raise ValueError(f"{path}: no triangle")
    indices = np.asarray(corners, np.int64).reshape(-1, 3, 2)
    places = np.vstack([_numbers(textures, 2), np.zeros((1, 2))])  # the last stands for none
    return Model(
        vertices=_numbers(vertices, 3),
        faces=indices[..., 0],
        uv=places[indices[..., 1]],
        material_ids=np.asarray(owners),
        materials=(_DEFAULT, *(named.get(name, _DEFAULT) for name in ids)),
    )


def _corner(word: str, n_vertices: int, n_textures: int) -> tuple[int, int]:
    """Indices of a corner such as `3/7/2`; they count from 1, and negative ones from the end."""
    parts = word.split("/")
    vertex = int(parts[0])
    texture = int(parts[1]) if len(parts) > 1 and parts[1] else 0
    vertex = vertex - 1 if vertex > 0 else n_vertices + vertex
    return vertex, texture - 1 if texture >= 0 else n_textures + texture


def _numbers(lines: list[str], n: int) -> np.ndarray:
    return np.array([line.split()[1 : n + 1] for line in lines], np.float64).reshape(-1, n)


def _read_materials(path: str, read: Callable[[str], bytes]) -> dict[str, Material]:
    try:
        text = read(path).decode("utf-8", "replace")
    except KeyError:
        return {}
    found: dict[str, dict[str, str]] = {}
    settings: dict[str, str] = {}
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "newmtl":
            settings = found.setdefault(rest.strip(), {})
        elif word:
            settings[word] = rest.strip()
    return {name: _material(each, posixpath.dirname(path)) for name, each in found.items()}


def _material(settings: dict[str, str], folder: str) -> Material:
    colour = np.array(settings.get("Kd", "0.7 0.7 0.7").split()[:3], np.float64)
    texture = settings.get("map_Kd")
    if texture is not None:
        # Some exporters leave the colour black where a texture replaces it.
        colour = colour if colour.max() > 0.05 else np.ones(3)
        texture = posixpath.normpath(posixpath.join(folder, texture.split()[-1].replace("\\", "/")))
    return Material(colour, float(settings.get("d", "1").split()[-1]), texture)
