"""The files that a mesh is written to, by suffix.

| suffix | what | axes | colours |
| --- | --- | --- | --- |
| `.glb` | glTF 2.0 mesh, unlit; lengths are metres, one scene unit is one | y up | `COLOR_0` linear, texture sRGB |
| `.obj` | Wavefront mesh, vertex colours behind the coordinates, or `.mtl` and `.png` beside it | y up | display |
| `.ply` | mesh, binary | z up, the field's own frame | display |

Colours of the field are display values (sRGB): eight-bit pictures show them as they are. glTF says that
`COLOR_0` is linear, so there they go through the sRGB curve; textures and the other files hold them unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.ply import export_ply

from voxjax.errors import UserError
from voxjax.files import atomic_path

# World (x, y, z up) to y up: turned about x.
Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


@dataclass(frozen=True)
class ColouredMesh:
    """A mesh as it leaves the house.

    Attributes:
      vertices: [n, 3] float64, world frame (z up), scene units.
      faces: [m, 3] int64, counter-clockwise from outside.
      normals: [n, 3], unit, outward.
      colours: [n, 3] in [0, 1], display values.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    colours: np.ndarray


def to_linear(display: np.ndarray) -> np.ndarray:
    """The sRGB curve (IEC 61966-2-1): display values in [0, 1] to linear ones."""
    display = np.asarray(display, np.float64)
    return np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)


def _as_trimesh(mesh: ColouredMesh, axes: np.ndarray, **visual: Any) -> trimesh.Trimesh:
    return trimesh.Trimesh(
        mesh.vertices @ axes.T,
        mesh.faces,
        vertex_normals=mesh.normals @ axes.T,
        process=False,
        **visual,
    )


def _bytes(colours: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(colours, 0.0, 1.0) * 255.0).astype(np.uint8)


def glb(mesh: ColouredMesh) -> bytes:
    """The mesh as binary glTF: y up, metres, colours linear, unlit so that it looks as the pictures do."""
    shape = _as_trimesh(mesh, Y_UP)
    shape.vertex_attributes["_COLOR_0"] = to_linear(mesh.colours).astype(np.float32)

    def finish(tree: dict[str, Any]) -> None:
        for part in tree["meshes"]:
            for primitive in part["primitives"]:
                primitive["attributes"]["COLOR_0"] = primitive["attributes"].pop("_COLOR_0")
                primitive["material"] = 0
        tree["materials"] = [_unlit({})]
        tree["extensionsUsed"] = ["KHR_materials_unlit"]

    return export_glb(shape, include_normals=True, tree_postprocessor=finish)


def _unlit(more: dict[str, Any]) -> dict[str, Any]:
    """A material without light, and dull where a program knows only lit ones."""
    return {
        "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0, **more},
        "extensions": {"KHR_materials_unlit": {}},
    }


def _write_glb(path: Path, mesh: ColouredMesh) -> None:
    path.write_bytes(glb(mesh))


def _write_obj(path: Path, mesh: ColouredMesh) -> None:
    shape = _as_trimesh(mesh, Y_UP, vertex_colors=_bytes(mesh.colours))
    path.write_text(trimesh.exchange.obj.export_obj(shape, header=None), encoding="utf-8")


def _write_ply(path: Path, mesh: ColouredMesh) -> None:
    shape = _as_trimesh(mesh, np.eye(3), vertex_colors=_bytes(mesh.colours))
    path.write_bytes(export_ply(shape, vertex_normal=True))


_WRITERS: dict[str, Callable[[Path, ColouredMesh], None]] = {
    ".glb": _write_glb,
    ".obj": _write_obj,
    ".ply": _write_ply,
}
SUFFIXES = tuple(_WRITERS)


def suffix_of(path: str | Path) -> str:
    """The suffix that says how a file is written.

    Raises:
      UserError: there is no such format.
    """
    name = Path(path).name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix) and name != suffix:
            return suffix
    raise UserError(f"--out={path}: no such format; a name may end in {', '.join(SUFFIXES)}")


def write(path: str | Path, mesh: ColouredMesh) -> None:
    """Writes a mesh, atomically.

    Args:
      path: final place; its suffix says the format.
      mesh: what to write.

    Raises:
      UserError: there is no such format.
    """
    writer = _WRITERS[suffix_of(path)]
    with atomic_path(path) as part:
        writer(part, mesh)
