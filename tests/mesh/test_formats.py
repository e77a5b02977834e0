"""Every file is opened by a program that is not ours, and says the same: triangles, up, colours."""

import io
import json
import struct

import jax
import numpy as np
import pytest
import trimesh
from helpers.mesh_scenes import ball, grid_run
from PIL import Image

from voxjax.errors import UserError
from voxjax.mesh.formats import ENDINGS, Content, ending_of, to_linear, write
from voxjax.mesh.lattice import sample_lattice
from voxjax.mesh.model import ColouredMesh
from voxjax.mesh.texture import textured

TOP, BOTTOM = np.array([0.8, 0.3, 0.1]), np.array([0.1, 0.2, 0.7])


def paint(points, normals):
    return np.where(points[:, 2:] > 0.5, TOP, BOTTOM)


@pytest.fixture(scope="module")
def content():
    """A cone on its base, pointing up the world's z: top in one colour, the rest in another."""
    shape = trimesh.creation.cone(radius=0.5, height=1.2, sections=48).subdivide().subdivide()
    vertices = np.asarray(shape.vertices)
    normals = np.asarray(shape.vertex_normals)
    mesh = ColouredMesh(vertices, np.asarray(shape.faces), normals, paint(vertices, normals))
    lattice = sample_lattice(grid_run(ball(0.7), lambda p: np.array([0.9, 0.1, 0.2])))
    return Content(mesh, lattice, 0.25)


@pytest.fixture(scope="module")
def with_texture(content):
    return Content(textured(content.mesh, paint, size_px=256), content.lattice, 0.25)


def glb_parts(data):
    """(JSON, binary chunk) of a .glb, by the specification."""
    magic, version, length, n_json, kind = struct.unpack("<4sIIII", data[:20])
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), 0x4E4F534A)
    n_binary, kind = struct.unpack("<II", data[20 + n_json : 28 + n_json])
    assert kind == 0x004E4942
    return json.loads(data[20 : 20 + n_json]), data[28 + n_json : 28 + n_json + n_binary]


def accessor(tree, binary, index):
    """The float32 numbers of an accessor."""
    each = tree["accessors"][index]
    assert each["componentType"] == 5126
    start = tree["bufferViews"][each["bufferView"]].get("byteOffset", 0) + each.get("byteOffset", 0)
    width = {"VEC2": 2, "VEC3": 3, "VEC4": 4}[each["type"]]
    return np.frombuffer(binary, "<f4", each["count"] * width, start).reshape(-1, width)


def load(path):
    return trimesh.load(path, force="mesh", process=False)


@pytest.mark.parametrize(("name", "up"), [("a.glb", 1), ("a.obj", 1), ("a.ply", 2)])
def test_meshes_keep_their_triangles_and_stand_upright(content, tmp_path, name, up):
    write(tmp_path / name, content)
    found = load(tmp_path / name)
    assert len(found.faces) == len(content.mesh.faces) and found.is_watertight
    expected = trimesh.Trimesh(content.mesh.vertices, content.mesh.faces)
    np.testing.assert_allclose(found.volume, expected.volume, rtol=1e-5)
    # One scene unit is one unit; the tip of the cone is up.
    np.testing.assert_allclose(np.ptp(found.vertices[:, up]), 1.2, rtol=1e-6)
    np.testing.assert_allclose(found.vertices[found.vertices[:, up].argmax()], np.eye(3)[up] * 1.2, atol=1e-6)
    # Right stays right, so nothing is mirrored.
    np.testing.assert_allclose(np.sort(found.vertices[:, 0]), np.sort(content.mesh.vertices[:, 0]), atol=1e-6)
    np.testing.assert_allclose(found.face_normals[0] @ found.vertex_normals[found.faces[0, 0]], 1, atol=0.5)


@pytest.mark.parametrize("ending", ENDINGS)
def test_endings_may_be_in_capitals(content, tmp_path, ending):
    name = f"A{ending.upper()}"
    write(tmp_path / name, content)
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).stat().st_size > 100


@pytest.mark.parametrize("name", ["a.obj", "a.ply"])
def test_these_hold_display_values(content, tmp_path, name):
    write(tmp_path / name, content)
    found = load(tmp_path / name)
    up = found.vertices[:, 1 if name.endswith("obj") else 2] > 0.5
    colours = found.visual.vertex_colors[:, :3].astype(int)
    np.testing.assert_allclose(colours[up], np.tile(np.rint(255 * TOP), (up.sum(), 1)), atol=1)
    np.testing.assert_allclose(colours[~up], np.tile(np.rint(255 * BOTTOM), ((~up).sum(), 1)), atol=1)


def test_gltf_holds_linear_colours_and_an_unlit_material(content, tmp_path):
    write(tmp_path / "a.glb", content)
    tree, binary = glb_parts((tmp_path / "a.glb").read_bytes())
    (primitive,) = tree["meshes"][0]["primitives"]
    places = accessor(tree, binary, primitive["attributes"]["POSITION"])
    colours = accessor(tree, binary, primitive["attributes"]["COLOR_0"])
    assert (colours[:, 3] == 1.0).all()
    colours = colours[:, :3]
    up = places[:, 1] > 0.5

    def linear(display):  # by hand: IEC 61966-2-1
        return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in display]

    np.testing.assert_allclose(colours[up], np.tile(linear(TOP), (up.sum(), 1)), atol=1e-6)
    np.testing.assert_allclose(colours[~up], np.tile(linear(BOTTOM), ((~up).sum(), 1)), atol=1e-6)
    normals = accessor(tree, binary, primitive["attributes"]["NORMAL"])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1.0, atol=1e-5)
    material = tree["materials"][primitive["material"]]
    assert "KHR_materials_unlit" in material["extensions"]
    assert tree["extensionsUsed"] == ["KHR_materials_unlit"]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0.0


def test_the_srgb_curve_at_known_places():
    np.testing.assert_allclose(to_linear([0.0, 0.04045, 0.5, 1.0]), [0, 0.0031308, 0.2140411, 1], atol=1e-6)


def test_a_texture_goes_into_gltf_as_it_is(with_texture, tmp_path):
    write(tmp_path / "a.glb", with_texture)
    tree, binary = glb_parts((tmp_path / "a.glb").read_bytes())
    view = tree["bufferViews"][tree["images"][0]["bufferView"]]
    start = view.get("byteOffset", 0)
    image = np.asarray(Image.open(io.BytesIO(binary[start : start + view["byteLength"]])).convert("RGB"))
    np.testing.assert_array_equal(image, with_texture.mesh.texture)
    (primitive,) = tree["meshes"][0]["primitives"]
    # A colour of the vertices would be multiplied with it.
    assert "COLOR_0" not in primitive["attributes"]
    assert "KHR_materials_unlit" in tree["materials"][primitive["material"]]["extensions"]
    places = accessor(tree, binary, primitive["attributes"]["POSITION"])
    uv = accessor(tree, binary, primitive["attributes"]["TEXCOORD_0"])
    # glTF counts v from the top row down.
    rows, columns = (uv[:, 1] * 256).astype(int).clip(0, 255), (uv[:, 0] * 256).astype(int).clip(0, 255)
    high, low = places[:, 1] > 0.65, places[:, 1] < 0.35
    np.testing.assert_allclose(np.median(image[rows, columns][high], axis=0), np.rint(255 * TOP), atol=1)
    np.testing.assert_allclose(np.median(image[rows, columns][low], axis=0), np.rint(255 * BOTTOM), atol=1)


def test_an_obj_with_a_texture_brings_its_two_files(with_texture, tmp_path):
    write(tmp_path / "a cone.obj", with_texture)
    assert {path.name for path in tmp_path.iterdir()} == {"a cone.obj", "a cone.mtl", "a cone-texture.png"}
    found = load(tmp_path / "a cone.obj")
    image = np.asarray(found.visual.material.image.convert("RGB"))
    np.testing.assert_array_equal(image, with_texture.mesh.texture)
    colours = np.asarray(found.visual.to_color().vertex_colors)[:, :3]
    high = found.vertices[:, 1] > 0.65
    np.testing.assert_allclose(np.median(colours[high], axis=0), np.rint(255 * TOP), atol=2)


def test_a_ply_of_a_textured_mesh_keeps_the_colours_of_its_vertices(with_texture, tmp_path):
    write(tmp_path / "a.ply", with_texture)
    found = load(tmp_path / "a.ply")
    top = found.visual.vertex_colors[found.vertices[:, 2].argmax(), :3]
    np.testing.assert_allclose(top, np.rint(255 * TOP), atol=1)


def test_splats_lie_on_the_surface_with_the_tip_up(content, tmp_path):
    write(tmp_path / "a.splat.ply", content)
    points = np.asarray(trimesh.load(tmp_path / "a.splat.ply").vertices)
    assert len(points) > 200
    # y down: the tip has the smallest y.
    np.testing.assert_allclose([points[:, 1].min(), points[:, 1].max()], [-1.2, 0.0], atol=0.07)
    radius = np.linalg.norm(points[:, [0, 2]], axis=-1)
    on_side = np.abs(radius - 0.5 * (1.2 + points[:, 1]) / 1.2) < 0.02
    assert (on_side | (np.abs(points[:, 1]) < 0.04)).mean() > 0.98


def test_blocks_stand_upright(content, tmp_path):
    write(tmp_path / "a.vox", content)
    data = (tmp_path / "a.vox").read_bytes()
    at = data.index(b"XYZI") + 12
    (n,) = struct.unpack("<i", data[at : at + 4])
    blocks = np.frombuffer(data, np.uint8, 4 * n, at + 4).reshape(-1, 4).astype(int)
    pitch = content.lattice.spacing.max()
    np.testing.assert_allclose(n * pitch**3, np.pi * 0.25 * 1.2 / 3, rtol=0.05)
    layers = np.bincount(blocks[:, 2])
    assert layers[0] > 20 * layers[-1]
    # The palette's colour of the highest block is the top's.
    colour = blocks[blocks[:, 2].argmax(), 3]
    start = data.index(b"RGBA") + 12 + 4 * (colour - 1)
    np.testing.assert_allclose(list(data[start : start + 3]), np.rint(255 * TOP), atol=2)


def test_the_grid_comes_with_its_place_and_without_pickle(content, tmp_path):
    write(tmp_path / "a.npz", content)
    lattice = content.lattice.own()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert set(found) == {"alpha", "density", "colour", "lattice_to_world", "threshold"}
        shape = found["alpha"].shape
        assert shape == lattice.raw.shape and shape[0] < content.lattice.raw.shape[0]
        assert found["threshold"] == 0.25
        corner = found["lattice_to_world"] @ [*(np.array(shape) - 1), 1]
        np.testing.assert_allclose(found["lattice_to_world"] @ [0, 0, 0, 1], [-1.2, -1.2, -1.2, 1], rtol=1e-6)
        np.testing.assert_allclose(corner, [1.2, 1.2, 1.2, 1], rtol=1e-6)
        density = np.asarray(jax.nn.softplus(lattice.raw))
        np.testing.assert_allclose(found["alpha"], 1 - np.exp(-density * lattice.interval), atol=1e-6)
        # Per scene unit: over a voxel's edge it has the opacity of the voxel.
        np.testing.assert_allclose(1 - np.exp(-found["density"] * lattice.voxel), found["alpha"], atol=1e-6)
        np.testing.assert_allclose(found["colour"], np.tile([0.9, 0.1, 0.2], (*shape, 1)), atol=1e-3)


def test_endings_are_told_apart():
    for name, ending in (
        ("A.GLB", ".glb"),
        ("x.splat.ply", ".splat.ply"),
        ("splat.ply", ".ply"),
        ("x.y.obj", ".obj"),
    ):
        assert ending_of(name) == ending
    for name in ("x.gltf", "x", ".glb", "x.glb.zip"):
        with pytest.raises(UserError, match=r"no such format; its name must end in one of \.glb, "):
            ending_of(name)
    assert set(ENDINGS) == {".glb", ".obj", ".ply", ".splat.ply", ".vox", ".npz"}
