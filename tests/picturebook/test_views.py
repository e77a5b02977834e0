"""3D models: what is read of the files, and how they look from all sides."""

import io

import numpy as np
import pytest
from helpers.little_packages import CUBE
from PIL import Image

from voxjax.picturebook import views, wavefront

UPRIGHT = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
MATERIAL = "newmtl paint\nKd 1.0 0.5 0.0\nd 1.0\n"


def model_of(text, materials=MATERIAL):
    files = {"m/cube.obj": text.encode(), "m/cube.mtl": materials.encode()}
    return wavefront.read_model("m/cube.obj", files.__getitem__)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_polygons_become_fans_with_their_materials():
    model = model_of(CUBE)
    assert model.vertices.shape == (8, 3) and model.faces.shape == (12, 3)
    np.testing.assert_array_equal(model.faces[:2], [[0, 1, 2], [0, 2, 3]])
    assert len(model.materials) == 2 and set(model.material_ids) == {1}
    np.testing.assert_array_equal(model.materials[1].colour, [1.0, 0.5, 0.0])


def test_negative_indices_texture_places_and_missing_materials():
    text = "v 0 0 0\nv 1 0 0\nvt 0.25 0.5\nv 1 1 0\nvt 0 1\nusemtl other\nf -3/1 -2/-1 -1\n"
    model = wavefront.read_model("a.obj", {"a.obj": text.encode()}.__getitem__)
    np.testing.assert_array_equal(model.faces, [[0, 1, 2]])
    np.testing.assert_array_equal(model.uv, [[[0.25, 0.5], [0.0, 1.0], [0.0, 0.0]]])
    assert model.materials[1].texture is None
    with pytest.raises(ValueError, match="no triangle"):
        model_of("v 0 0 0\n")


def test_textures_lie_beside_the_materials():
    materials = "newmtl paint\nKd 0 0 0\nmap_Kd -s 1 1 1 ..\\skin.png\n"
    material = model_of(CUBE, materials).materials[1]
    assert material.texture == "skin.png"
    np.testing.assert_array_equal(material.colour, 1.0)


def test_a_cube_from_all_sides():
    model = model_of(CUBE)
    shown = views.render(model, {}.__getitem__, np.random.default_rng(0), n_views=6, upright=UPRIGHT)
    assert shown.shape == (6, 64, 64, 4) and shown.dtype == np.uint8
    for view in shown:
        rows, columns = np.nonzero(view[..., 3] > 128)
        assert max(np.ptp(rows), np.ptp(columns)) >= 60, "as large as fits"
        # A cube hides between a square and a hexagon of what bounds it.
        assert 0.6 < (view[..., 3] / 255).sum() / ((np.ptp(rows) + 1) * (np.ptp(columns) + 1)) <= 1.0
        seen = view[view[..., 3] == 255].astype(float)
        assert (seen[:, 2] == 0).all() and (seen[:, 0] > 80).all()
        np.testing.assert_allclose(seen[:, 1], seen[:, 0] / 2, atol=12)  # the rim of full light is cut off
    assert not np.array_equal(shown[0], shown[1])


def test_up_is_up_and_textures_are_the_right_way_round():
    """A sheet that stands upright: red in the upper half of its texture, blue in the lower."""
    text = "mtllib cube.mtl\nv -1 0 0\nv 1 0 0\nv 1 2 0\nv -1 2 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
    text += "usemtl paint\nf 1/1 2/2 3/3 4/4\n"
    model = model_of(text, "newmtl paint\nKd 1 1 1\nmap_Kd skin.png\n")
    skin = np.zeros((8, 8, 3))
    skin[:4, :, 0], skin[4:, :, 2] = 255, 255
    files = {"m/skin.png": png(skin)}
    for view in views.render(model, files.__getitem__, np.random.default_rng(1), n_views=4, upright=UPRIGHT):
        solid = view[..., 3] == 255
        rows = np.arange(64)[:, None] * np.ones((1, 64))
        reddish, bluish = (solid & (view[..., c] > 60) & (view[..., 2 - c] == 0) for c in (0, 2))
        assert reddish.sum() > 100 and bluish.sum() > 100
        assert rows[reddish].mean() < rows[bluish].mean() - 8


def test_holes_in_a_texture_show_what_is_behind():
    """A red sheet with holes in front of a green one: both are seen from the front."""
    text = "mtllib cube.mtl\n"
    for z in (0.0, 0.2):
        text += f"v -1 0 {z}\nv 1 0 {z}\nv 1 2 {z}\nv -1 2 {z}\n"
    text += "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl back\nf 1 2 3 4\nusemtl front\nf 5/1 6/2 7/3 8/4\n"
    model = model_of(text, "newmtl back\nKd 0 1 0\nnewmtl front\nKd 1 1 1\nmap_Kd skin.png\n")
    skin = np.zeros((8, 8, 4))
    skin[..., 0] = 255
    skin[:, :4, 3] = 255
    rng = np.random.default_rng(1)
    shown = views.render(model, {"m/skin.png": png(skin)}.__getitem__, rng, n_views=2, upright=UPRIGHT)
    red = [(view[..., 0] > 60).sum() for view in shown]
    green = [(view[..., 1] > 60).sum() for view in shown]
    assert min(green) > 100 and max(red) > 100
    assert max(view[..., 2].max() for view in shown) == 0


def test_what_can_hardly_be_seen_is_left_out():
    text = CUBE.replace("f 5 6 7 8", "usemtl glass\nf 5 6 7 8\nusemtl paint")
    glass = views._without_glass(model_of(text, MATERIAL + "newmtl glass\nd 0.05\n"))
    assert len(glass.faces) == 10
    everything = views._without_glass(model_of(CUBE, "newmtl paint\nd 0.0\n"))
    assert len(everything.faces) == 12


def test_fine_meshes_become_coarse_and_look_the_same(monkeypatch):
    side = np.linspace(-1, 1, 40)
    x, y = np.meshgrid(side, side)
    vertices = np.stack([x, np.sqrt(2 - 0.5 * (x**2 + y**2)), y], axis=-1).reshape(-1, 3)
    cells = (np.arange(39)[:, None] * 40 + np.arange(39)).reshape(-1, 1)
    faces = np.concatenate([cells + [0, 1, 41], cells + [0, 41, 40]])
    colour = wavefront.Material(np.array([0.2, 0.4, 0.8]), 1.0, None)
    model = wavefront.Model(
        vertices, faces, np.zeros((len(faces), 3, 2)), np.zeros(len(faces), int), (colour,)
    )
    draw = lambda: views.render(  # noqa: E731
        model, {}.__getitem__, np.random.default_rng(2), n_views=1, upright=UPRIGHT
    )[0].astype(float)
    whole = draw()
    monkeypatch.setattr(views, "_MOST_FACES", 400)
    assert len(views._decimated(model).faces) < 600
    assert np.abs(draw() - whole).mean() < 5
