"""The files that an object is written to, by the ending of their names.

| ending | what | axes | colours |
| --- | --- | --- | --- |
| `.glb` | binary glTF 2.0, unlit | y up | `COLOR_0` linear, texture sRGB |
| `.obj` | Wavefront; a texture lies beside it (`.mtl`, `-texture.png`) | y up | sRGB |
| `.ply` | mesh, binary | z up | sRGB |
| `.splat.ply` | Gaussian splats, see `splats` | y down | sRGB |
| `.vox` | MagicaVoxel blocks, see `vox` | z up | sRGB |
| `.npz` | the sampled field, see `_write_npz` | z up | sRGB |

Lengths: one scene unit is one metre, the unit of glTF; the other formats have none. z up is the world frame.
Colours of the field are display values (sRGB): eight-bit pictures show them as they are. glTF says that
`COLOR_0` is linear, so there they go through the sRGB curve; all other files hold them unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.obj import export_obj
from trimesh.exchange.ply import export_ply

from voxjax.errors import UserError
from voxjax.fields.activation import raw_to_colour
from voxjax.files import atomic_path
from voxjax.mesh import splats, vox, voxels
from voxjax.mesh.lattice import Lattice
from voxjax.mesh.model import ColouredMesh

Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""World (x, y, z up) to y up."""


@dataclass(frozen=True)
class Content:
    """What there is to write.

    Attributes:
      mesh: the surface.
      lattice: the sampled field that it was cut from.
      threshold: opacity of a voxel length at the surface.
    """

    mesh: ColouredMesh
    lattice: Lattice
    threshold: float


def to_linear(display: np.ndarray) -> np.ndarray:
    """The sRGB curve (IEC 61966-2-1): display values in [0, 1] to linear ones."""
    display = np.asarray(display, np.float64)
    return np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)


def glb_bytes(mesh: ColouredMesh) -> bytes:
    """The mesh as binary glTF: y up, metres, and unlit (KHR_materials_unlit), so that it looks as the field.

    A program that knows no unlit materials finds a dull one, and smooth normals.
    """
    shape = _shape(mesh, Y_UP)
    if mesh.texture is None:
        # As floats: eight bits are too few for linear colours in the dark.
        opaque = np.pad(to_linear(mesh.colours), ((0, 0), (0, 1)), constant_values=1.0)
        shape.vertex_attributes["_COLOR_0"] = opaque.astype(np.float32)

    def finish(tree: dict[str, Any]) -> None:
        for primitive in (each for part in tree["meshes"] for each in part["primitives"]):
            if "_COLOR_0" in primitive["attributes"]:
                primitive["attributes"]["COLOR_0"] = primitive["attributes"].pop("_COLOR_0")
            primitive["material"] = 0
        dull = {"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0}}
        tree.setdefault("materials", [dull])[0].update(extensions={"KHR_materials_unlit": {}})
        tree["extensionsUsed"] = ["KHR_materials_unlit"]

    return export_glb(shape, include_normals=True, tree_postprocessor=finish)


def _shape(mesh: ColouredMesh, axes: np.ndarray, *, colours: bool = False) -> trimesh.Trimesh:
    """As trimesh's, turned; with the texture if there is one, else with vertex colours where asked for."""
    visual: dict[str, Any] = {}
    if mesh.uv is not None and mesh.texture is not None:
        material = trimesh.visual.material.PBRMaterial(
            baseColorTexture=Image.fromarray(mesh.texture), metallicFactor=0.0, roughnessFactor=1.0
        )
        visual = {"visual": trimesh.visual.TextureVisuals(uv=mesh.uv, material=material)}
    elif colours:
        visual = {"vertex_colors": np.rint(np.clip(mesh.colours, 0.0, 1.0) * 255.0).astype(np.uint8)}
    return trimesh.Trimesh(
        mesh.vertices @ axes.T, mesh.faces, vertex_normals=mesh.normals @ axes.T, process=False, **visual
    )


def _write_glb(path: Path, content: Content) -> None:
    _put(path, glb_bytes(content.mesh))


def _write_obj(path: Path, content: Content) -> None:
    shape: Any = _shape(content.mesh, Y_UP, colours=True)
    if content.mesh.texture is None:
        _put(path, export_obj(shape, header=None).encode())
        return
    shape.visual.material = shape.visual.material.to_simple()
    shape.visual.material.name = f"{path.stem}-texture"
    text, beside = export_obj(shape, header=None, return_texture=True, mtl_name=f"{path.stem}.mtl")
    for name, data in beside.items():
        _put(path.with_name(name), data if isinstance(data, bytes) else data.encode())
    _put(path, text.encode())


def _write_ply(path: Path, content: Content) -> None:
    mesh = content.mesh
    if mesh.texture is not None:
        # No program agrees with another on textures in .ply.
        mesh = ColouredMesh(mesh.vertices, mesh.faces, mesh.normals, mesh.colours)
    _put(path, export_ply(_shape(mesh, np.eye(3), colours=True), vertex_normal=True))


def _write_splats(path: Path, content: Content) -> None:
    pitch = float(content.lattice.spacing.max())
    cells = voxels.surface_cells(content.mesh, pitch=pitch)
    _put(path, splats.splat_bytes(*cells, pitch=pitch))


def _write_vox(path: Path, content: Content) -> None:
    mesh = content.mesh
    blocks = voxels.fill(mesh, pitch=float(content.lattice.spacing.max()), most=vox.MOST)
    nearest = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False).kdtree.query(blocks.centres())[1]
    _put(path, vox.vox_bytes(blocks.filled, mesh.colours[nearest]))


def _write_npz(path: Path, content: Content) -> None:
    """The lattice itself, without pickle.

    Arrays: alpha [x, y, z], opacity of a voxel length; density [x, y, z], 1 / scene unit; colour
    [x, y, z, 3]; lattice_to_world [4, 4], which takes (i, j, k, 1) to (x, y, z, 1); threshold [], alpha at
    the surface. A voxel field's own vertices, or those of the lattice that was asked for.
    """
    lattice = content.lattice.own()
    density = np.logaddexp(0.0, lattice.raw.astype(np.float64))
    transform = np.diag([*lattice.spacing, 1.0])
    transform[:3, 3] = lattice.lower
    # Into an open file: to a name that does not end in .npz, as field.NPZ, numpy appends it.
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            alpha=-np.expm1(-density * lattice.interval).astype(np.float32),
            density=(density * lattice.interval / lattice.voxel).astype(np.float32),
            colour=np.asarray(raw_to_colour(lattice.scene.values[..., 1:])),
            lattice_to_world=transform,
            threshold=np.float64(content.threshold),
        )


def _put(path: Path, data: bytes) -> None:
    with atomic_path(path) as part:
        part.write_bytes(data)


_WRITERS: dict[str, Callable[[Path, Content], None]] = {
    ".glb": _write_glb,
    ".obj": _write_obj,
    ".ply": _write_ply,
    ".splat.ply": _write_splats,
    ".vox": _write_vox,
    ".npz": _write_npz,
}
ENDINGS = tuple(_WRITERS)


def ending_of(path: str | Path) -> str:
    """The ending that says how a file is written.

    Raises:
      UserError: there is no such format.
    """
    name = Path(path).name.lower()
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.endswith(ending) and name != ending:
            return ending
    raise UserError(f"--out={path}: no such format; its name must end in one of {', '.join(ENDINGS)}")


def write(path: str | Path, content: Content) -> None:
    """Writes a file, atomically.

    Args:
      path: final place; the ending of its name says the format.
      content: what to write.

    Raises:
      UserError: there is no such format.
    """
    _WRITERS[ending_of(path)](Path(path), content)
