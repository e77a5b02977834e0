"""A baked texture tells at every point of the surface what the colours' formula tells there."""

import numpy as np
import pytest
import trimesh

from voxjax.mesh.model import ColouredMesh, look_up
from voxjax.mesh.texture import spread, textured


def formula(points, normals):
    """Colours that change along the object and with the side that a surface faces."""
    return np.clip(0.5 + 0.3 * points + 0.15 * normals, 0, 1)


@pytest.fixture(scope="module")
def wrapped():
    shape = trimesh.creation.icosphere(subdivisions=3, radius=0.9)
    vertices, normals = np.asarray(shape.vertices), np.asarray(shape.vertices) / 0.9
    mesh = ColouredMesh(vertices, np.asarray(shape.faces), normals, np.zeros_like(vertices))
    return mesh, textured(mesh, formula, size_px=256)


def test_the_triangles_are_the_same(wrapped):
    mesh, found = wrapped
    np.testing.assert_allclose(found.vertices[found.faces], mesh.vertices[mesh.faces])
    np.testing.assert_allclose(found.normals[found.faces], mesh.normals[mesh.faces])
    assert len(found.vertices) > len(mesh.vertices)
    assert found.texture.shape == (256, 256, 3) and found.texture.dtype == np.uint8
    assert found.uv.min() >= 0 and found.uv.max() <= 1


def test_every_point_reads_its_colour_seams_included(wrapped):
    _, found = wrapped
    rng = np.random.default_rng(0)
    bary = rng.dirichlet(np.ones(3), len(found.faces))
    # Half of the points lie on edges, where charts end.
    bary[::2, 0] = 0
    bary /= bary.sum(axis=-1, keepdims=True)
    points = np.einsum("nk,nkc->nc", bary, found.vertices[found.faces])
    normals = np.einsum("nk,nkc->nc", bary, found.normals[found.faces])
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    read = look_up(found.texture, np.einsum("nk,nkc->nc", bary, found.uv[found.faces]))
    error = np.abs(read - formula(points, normals))
    assert error.mean() < 0.005 and error.max() < 0.05


def test_charts_do_not_overlap(wrapped):
    _, found = wrapped
    corners = found.uv[found.faces]
    edges = corners[:, 1:] - corners[:, :1]
    area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum() / 2
    assert 0.3 < area <= 1.0


def test_spreading_fills_the_surroundings_step_by_step():
    image, known = np.zeros((7, 9, 3)), np.zeros((7, 9), bool)
    image[3, 2], image[3, 4] = (0.2, 0.4, 0.6), (0.6, 0.4, 0.2)
    known[3, 2] = known[3, 4] = True
    found = spread(image, known, steps=1)
    np.testing.assert_allclose(found[3, 3], [0.4, 0.4, 0.4])  # between the two
    np.testing.assert_allclose(found[2, 1], [0.2, 0.4, 0.6])
    np.testing.assert_allclose(found[4, 5], [0.6, 0.4, 0.2])
    np.testing.assert_allclose(found[0, 8], [0.4, 0.4, 0.4])  # out of reach: the mean
    np.testing.assert_allclose(spread(image, known, steps=3)[3, 7], [0.6, 0.4, 0.2])
    np.testing.assert_allclose(found[known], image[known])
