"""The whole way from a field to files, on balls whose size, colour and place are known."""

import dataclasses
import json
import struct

import jax.numpy as jnp
import numpy as np
import pytest
import trimesh
from helpers.small_runs import HALF_WIDTH, write_run

from voxjax.errors import UserError
from voxjax.mesh.export import ExportOptions, export_run
from voxjax.run import load_run

RADIUS, CENTRE = 0.62, (0.1, -0.2, 0.3)
LOWER_RGB, UPPER_RGB = (0.8, 0.3, 0.1), (0.1, 0.4, 0.9)
"""Of the two halves of the ball; display values."""


def two_coloured(run):
    """The run with another colour above the middle of its ball."""
    values = np.array(run.scene.values)
    z = np.linspace(-HALF_WIDTH, HALF_WIDTH, values.shape[2])
    for colour, half in ((LOWER_RGB, z <= CENTRE[2]), (UPPER_RGB, z > CENTRE[2])):
        share = np.asarray(colour)
        values[:, :, half, 1:] = np.log(share / (1 - share))
    return dataclasses.replace(run, scene=run.scene.replace(values=jnp.asarray(values)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("ball") / "run"
    return two_coloured(load_run(write_run(workdir, "a red ball", LOWER_RGB, radius=RADIUS, centre=CENTRE)))


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    endings = (".glb", ".obj", ".ply", ".npz", ".vox", ".splat.ply")
    done = export_run(run, [folder / f"ball{each}" for each in endings], check=folder / "check.png")
    return done, {each: folder / f"ball{each}" for each in endings}, folder


def loaded(path):
    return trimesh.load(path, force="mesh", process=False)


def test_it_is_the_ball(exported):
    done, _, folder = exported
    assert done.watertight and done.n_removed == 0
    # The outlines choose the threshold: within a quarter of the way between two vertices.
    np.testing.assert_allclose(done.bounds[0], np.subtract(CENTRE, RADIUS), atol=0.03)
    np.testing.assert_allclose(done.bounds[1], np.add(CENTRE, RADIUS), atol=0.03)
    assert done.silhouette_iou > 0.95 and done.colour_error < 0.06
    text = "\n".join(done.lines())
    assert "watertight" in text and f"{done.n_faces}" in text and "z up" in text
    assert (folder / "check.png").stat().st_size > 1000


def test_volume_and_bounds_at_a_given_threshold(run, tmp_path):
    done = export_run(run, [tmp_path / "b.ply"], options=ExportOptions(threshold=0.5))
    assert done.threshold == 0.5
    # A chord of length c lies at most c^2 / 8r inside a sphere, and none exceeds a cell's diagonal.
    edge = 2 * HALF_WIDTH / (run.scene.values.shape[0] - 1)
    volume = 4 / 3 * np.pi * RADIUS**3
    assert volume * (1 - 3 * (3 * edge**2) / 8 / RADIUS**2) < done.volume < volume * 1.005
    np.testing.assert_allclose(done.bounds, [np.subtract(CENTRE, RADIUS), np.add(CENTRE, RADIUS)], atol=0.012)


@pytest.mark.parametrize(("ending", "up"), [(".glb", 1), (".obj", 1), (".ply", 2)])
def test_trimesh_loads_it_with_its_top_up(exported, ending, up):
    mesh = loaded(exported[1][ending])
    assert mesh.is_watertight and mesh.volume == pytest.approx(exported[0].volume, rel=1e-4)
    middle = mesh.bounds.mean(axis=0)
    assert middle[up] == pytest.approx(CENTRE[2], abs=0.03)
    # A turn, not a mirror: x stays, and the third axis is minus y where y is up.
    assert middle[0] == pytest.approx(CENTRE[0], abs=0.03)
    assert middle[3 - up] == pytest.approx(-CENTRE[1] if up == 1 else CENTRE[1], abs=0.03)


def display(linear):
    """sRGB's curve, by its standard."""
    linear = np.asarray(linear, np.float64)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def halves(heights, colours):
    """Median colour of what lies well above and well below the middle."""
    above, below = heights > CENTRE[2] + 0.3, heights < CENTRE[2] - 0.3
    return np.median(colours[above], axis=0), np.median(colours[below], axis=0)


def test_colours_are_linear_in_gltf_and_display_values_elsewhere(exported):
    files = exported[1]
    tree, binary = gltf(files[".glb"])
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    places, linear = (accessor(tree, binary, attributes[name]) for name in ("POSITION", "COLOR_0"))
    above, below = halves(places[:, 1], display(linear[:, :3]))
    np.testing.assert_allclose(above, UPPER_RGB, atol=0.02)
    np.testing.assert_allclose(below, LOWER_RGB, atol=0.02)
    for ending, up in ((".ply", 2), (".obj", 1)):
        mesh = loaded(files[ending])
        colours = np.asarray(mesh.visual.vertex_colors)[:, :3] / 255
        above, below = halves(mesh.vertices[:, up], colours)
        np.testing.assert_allclose(above, UPPER_RGB, atol=0.02)
        np.testing.assert_allclose(below, LOWER_RGB, atol=0.02)


def gltf(path):
    """A binary glTF by its specification: (tree, binary chunk)."""
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4s2I", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    tree = json.loads(data[20 : 20 + size])
    size_binary, kind = struct.unpack_from("<I4s", data, 20 + size)
    assert kind == b"BIN\0"
    return tree, data[28 + size : 28 + size + size_binary]


def accessor(tree, binary, index):
    entry = tree["accessors"][index]
    view = tree["bufferViews"][entry["bufferView"]]
    types = {5121: np.uint8, 5123: np.uint16, 5126: np.float32}
    width = {"VEC2": 2, "VEC3": 3, "VEC4": 4}[entry["type"]]
    start = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
    flat = np.frombuffer(binary, types[entry["componentType"]], entry["count"] * width, start)
    values = flat.reshape(-1, width).astype(np.float64)
    return values / np.iinfo(types[entry["componentType"]]).max if entry.get("normalized") else values


def test_the_grid_comes_whole(exported):
    with np.load(exported[1][".npz"], allow_pickle=False) as held:
        arrays = dict(held)
    alpha = arrays["alpha"]
    matrices = [array for array in arrays.values() if array.shape == (4, 4)]
    assert len(matrices) == 1
    places = np.argwhere(alpha > 0.5) @ matrices[0][:3, :3].T + matrices[0][:3, 3]
    assert np.linalg.norm(places - CENTRE, axis=-1).max() < RADIUS + 0.15
    np.testing.assert_allclose(places.mean(axis=0), CENTRE, atol=0.05)


def test_blocks_are_a_magicavoxel_file(exported):
    data = exported[1][".vox"].read_bytes()
    assert data[:4] == b"VOX " and struct.unpack_from("<i", data, 4)[0] in (150, 200)
    chunks, at = {}, 20  # behind MAIN, whose children follow
    while at < len(data):
        name, size, children = struct.unpack_from("<4s2i", data, at)
        chunks[name] = data[at + 12 : at + 12 + size]
        at += 12 + size + children
    assert at == len(data)
    shape = struct.unpack("<3i", chunks[b"SIZE"])
    (count,) = struct.unpack_from("<i", chunks[b"XYZI"])
    cells = np.frombuffer(chunks[b"XYZI"], np.uint8, offset=4).reshape(count, 4)
    palette = np.frombuffer(chunks[b"RGBA"], np.uint8).reshape(256, 4)
    assert (cells[:, :3] < np.array(shape)).all() and (cells[:, 3] > 0).all()
    # A ball fills pi / 6 of the cube around it.
    assert count / np.prod(shape) == pytest.approx(np.pi / 6, rel=0.12)
    colours = palette[cells[:, 3].astype(int) - 1, :3] / 255
    z = cells[:, 2] + 0.5
    above, below = colours[z > 0.75 * shape[2]], colours[z < 0.25 * shape[2]]
    np.testing.assert_allclose(np.median(above, axis=0), UPPER_RGB, atol=0.05)
    np.testing.assert_allclose(np.median(below, axis=0), LOWER_RGB, atol=0.05)


def test_splats_lie_on_the_surface(exported):
    data = exported[1][".splat.ply"].read_bytes()
    head, _, body = data.partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    names = [line.split()[2] for line in lines if line.startswith("property float")]
    count = next(int(line.split()[2]) for line in lines if line.startswith("element vertex"))
    table = np.frombuffer(body, "<f4").reshape(count, len(names)).astype(np.float64)
    column = {name: table[:, i] for i, name in enumerate(names)}
    # Viewers of splats have y down: (x, y, z) of the world is (x, -z, y) there.
    world = np.stack([column["x"], column["z"], -column["y"]], axis=-1)
    distance = np.linalg.norm(world - CENTRE, axis=-1)
    assert abs(np.median(distance) - RADIUS) < 0.03 and distance.std() < 0.05
    colours = 0.5 + 0.28209479177387814 * np.stack([column[f"f_dc_{i}"] for i in range(3)], axis=-1)
    above, below = halves(world[:, 2], colours)
    np.testing.assert_allclose(above, UPPER_RGB, atol=0.03)
    np.testing.assert_allclose(below, LOWER_RGB, atol=0.03)
    assert (1 / (1 + np.exp(-column["opacity"])) > 0.5).all()
    turns = np.stack([column[f"rot_{i}"] for i in range(4)], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(turns, axis=-1), 1.0, atol=1e-5)


def test_fewer_faces_and_a_texture(run, tmp_path):
    done = export_run(run, [tmp_path / "b.glb"], options=ExportOptions(faces=600, texture_px=256))
    assert done.n_faces <= 600 and done.silhouette_iou > 0.95 and done.colour_error < 0.06
    mesh = loaded(tmp_path / "b.glb")
    assert mesh.visual.uv.min() >= 0.0 and mesh.visual.uv.max() <= 1.0
    assert mesh.visual.material.baseColorTexture.size == (256, 256)


def test_an_empty_surface_says_what_to_try(run, tmp_path):
    empty = dataclasses.replace(run, scene=run.scene.replace(values=run.scene.values.at[..., 0].set(-8.0)))
    with pytest.raises(UserError, match=r"surface is empty: .*largest opacity of a voxel is .*"):
        export_run(empty, [tmp_path / "b.glb"])
    assert not list(tmp_path.iterdir())


def test_an_unknown_ending_is_refused_before_any_work(tmp_path):
    with pytest.raises(UserError, match=r"b\.stl.*\.glb"):
        export_run(None, [tmp_path / "b.stl"])  # type: ignore[arg-type]


def test_two_balls_stay_and_a_crumb_goes(run, tmp_path):
    axes = [np.linspace(-HALF_WIDTH, HALF_WIDTH, n) for n in run.scene.values.shape[:3]]
    place = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    crumb = (axes[0][10], axes[1][16], axes[2][17])  # a vertex, the only one inside
    balls = [((-0.5, 0.0, 0.0), 0.4), ((0.6, 0.0, 0.0), 0.4), (crumb, 0.08)]
    raw = np.max([1000.0 * (r - np.linalg.norm(place - c, axis=-1)) for c, r in balls], axis=0)
    values = jnp.asarray(run.scene.values).at[..., 0].set(raw)
    three = dataclasses.replace(run, scene=run.scene.replace(values=values))
    done = export_run(three, [tmp_path / "a.ply"], options=ExportOptions(threshold=0.5))
    assert len(loaded(tmp_path / "a.ply").split()) == 2
    assert done.n_removed == 1 and 0.0 < done.removed < 0.005
    alone = export_run(three, [tmp_path / "b.ply"], options=ExportOptions(threshold=0.5, keep_largest=True))
    assert len(loaded(tmp_path / "b.ply").split()) == 1
    assert alone.n_removed == 2 and 0.45 < alone.removed < 0.55
