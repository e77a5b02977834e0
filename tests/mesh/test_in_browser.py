"""The .glb in a browser, drawn by three.js: upside up, and in the very colours of the field."""

import io

import numpy as np
import pytest
import trimesh
from PIL import Image
from trimesh.viewer.notebook import scene_to_html

from voxjax.evaluation.report_mesh import viewer_page
from voxjax.mesh.formats import glb_bytes
from voxjax.mesh.model import ColouredMesh
from voxjax.mesh.texture import textured

TOP, BOTTOM = np.array([0.8, 0.3, 0.1]), np.array([0.1, 0.2, 0.7])


def paint(points, normals):
    return np.where(points[:, 2:] > 0.0, TOP, BOTTOM)


@pytest.fixture(scope="module")
def cone():
    """A cone that points up the world's z, tip in one colour, base in another."""
    shape = trimesh.creation.cone(radius=0.5, height=1.2, sections=48)
    for _ in range(3):
        shape = shape.subdivide()
    vertices = np.asarray(shape.vertices) - [0, 0, 0.6]
    normals = np.asarray(shape.vertex_normals)
    return ColouredMesh(vertices, np.asarray(shape.faces), normals, paint(vertices, normals))


def shot(page):
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)


def like(image, colour, *, within):
    return (np.abs(image - np.rint(255 * np.asarray(colour))) <= within).all(axis=-1)


def rows_of(mask):
    return np.nonzero(mask)[0]


def assert_upside_up(image, *, within=3):
    """The tip's colour lies above the base's, and the object narrows upwards."""
    tip, base = like(image, TOP, within=within), like(image, BOTTOM, within=within)
    assert tip.sum() > 2000 and base.sum() > 4000
    assert np.percentile(rows_of(tip), 95) < np.percentile(rows_of(base), 5) + 40
    assert rows_of(tip).mean() < rows_of(base).mean() - 50
    assert_narrow_above(tip | base)


def assert_narrow_above(mask):
    width = mask.sum(axis=1)
    filled = np.flatnonzero(width > 5)
    quarter = len(filled) // 4
    assert quarter > 20 and width[filled[:quarter]].mean() < 0.6 * width[filled[-quarter:]].mean()


def open_page(page, path, text):
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())


@pytest.mark.parametrize("kind", ["vertices", "texture"])
def test_the_page_shows_it_upside_up_in_its_colours(page, tmp_path, cone, kind):
    mesh = cone if kind == "vertices" else textured(cone, paint, size_px=256)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    open_page(page, tmp_path / "cone.html", viewer_page(glb_bytes(mesh)))
    page.wait_for_selector("body[data-shown]", timeout=30_000)
    page.wait_for_timeout(300)
    image = shot(page)
    assert_upside_up(image)
    # Turned by a drag it still stands; without the drag it would be the same picture.
    page.mouse.move(400, 300)
    page.mouse.down()
    page.mouse.move(700, 280, steps=4)
    page.mouse.up()
    turned = shot(page)
    assert_upside_up(turned)
    # A cone looks alike from all sides, but for the height that the drag changed as well.
    assert (turned != image).any()
    assert page.errors == []
    # One file: nothing is fetched but what it holds itself.
    assert {url.split(":")[0] for url in requests} <= {"file", "data", "blob"}


def test_trimesh_and_its_own_page_show_it_upside_up(page, tmp_path, cone):
    """The file through a second program: loaded by trimesh, shown by the page that trimesh writes."""
    (tmp_path / "cone.glb").write_bytes(glb_bytes(cone))
    scene = trimesh.load(tmp_path / "cone.glb")
    open_page(page, tmp_path / "trimesh.html", scene_to_html(scene))
    page.wait_for_selector("canvas", timeout=30_000)
    for _ in range(50):
        image = shot(page)
        shown = (image < 250).any(axis=-1)
        if shown.sum() > 5000:
            break
        page.wait_for_timeout(200)
    # That page knows nothing of linear colours; only the shape is looked at.
    assert_narrow_above(shown)
