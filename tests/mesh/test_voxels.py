"""Blocks and surface points of balls and boxes against counting and closed forms."""

import numpy as np
import trimesh

from voxjax.mesh.model import ColouredMesh
from voxjax.mesh.voxels import fill, surface_cells


def mesh_of(shape):
    vertices = np.asarray(shape.vertices)
    colours = np.where(vertices[:, 2:] > 0, [0.9, 0.1, 0.1], [0.1, 0.1, 0.9])
    return ColouredMesh(vertices, np.asarray(shape.faces), np.asarray(shape.vertex_normals), colours)


def test_a_ball_is_filled_where_centres_are_inside():
    mesh = mesh_of(trimesh.creation.icosphere(subdivisions=5, radius=0.8))
    blocks = fill(mesh, pitch=0.05, most=256)
    shape = blocks.filled.shape
    assert shape == (32, 32, 32)
    axes = [blocks.origin[i] + (np.arange(shape[i]) + 0.5) * 0.05 for i in range(3)]
    radius = np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij")), axis=0)
    assert blocks.filled[radius < 0.797].all() and not blocks.filled[radius > 0.8].any()
    centres = blocks.centres()
    assert len(centres) == blocks.filled.sum()
    np.testing.assert_allclose(centres.mean(axis=0), 0.0, atol=1e-3)


def test_holes_stay_open_and_several_parts_are_filled():
    torus = trimesh.creation.torus(0.6, 0.2)
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.15)
    mesh = mesh_of(trimesh.util.concatenate([torus, ball]))
    blocks = fill(mesh, pitch=0.02, most=256)
    volume = blocks.filled.sum() * blocks.pitch**3
    np.testing.assert_allclose(volume, torus.volume + ball.volume, rtol=0.01)
    nx, ny, nz = blocks.filled.shape
    assert blocks.filled[nx // 2, ny // 2, nz // 2]
    ring = int(nx / 2 + 0.3 / blocks.pitch)
    assert not blocks.filled[ring, ny // 2].any()


def test_a_box_whose_edges_lie_on_lines_of_centres_is_filled_whole():
    box = mesh_of(trimesh.creation.box((1.0, 0.5, 0.3)))
    blocks = fill(box, pitch=0.1, most=256)
    assert blocks.filled.shape == (10, 5, 3) and blocks.filled.all()
    np.testing.assert_allclose(blocks.origin, [-0.5, -0.25, -0.15])


def test_the_longest_side_is_bounded():
    blocks = fill(mesh_of(trimesh.creation.box((1.0, 0.5, 0.3))), pitch=0.001, most=40)
    assert blocks.filled.shape == (40, 20, 12) and blocks.filled.all()
    np.testing.assert_allclose(blocks.pitch, 0.025)


def test_there_is_one_point_for_each_cell_of_the_surface():
    mesh = mesh_of(trimesh.creation.icosphere(subdivisions=4, radius=0.8))
    positions, normals, colours = surface_cells(mesh, pitch=0.1)
    np.testing.assert_allclose(np.linalg.norm(positions, axis=-1), 0.8, atol=0.01)
    np.testing.assert_allclose(normals, positions / 0.8, atol=0.06)
    cells = np.floor(positions / 0.1).astype(int)
    assert len(np.unique(cells, axis=0)) == len(cells)
    # A surface meets 1.5 cells per area of a cell's face in the mean; some that it only grazes are missed.
    np.testing.assert_allclose(len(cells), 1.3 * 4 * np.pi * 0.64 / 0.01, rtol=0.1)
    everywhere = trimesh.creation.icosphere(subdivisions=4, radius=0.8).vertices
    gaps = np.linalg.norm(everywhere[:, None] - positions, axis=-1).min(axis=1)
    assert gaps.max() < 0.1
    up = positions[:, 2] > 0.15
    np.testing.assert_allclose(colours[up], np.tile([0.9, 0.1, 0.1], (up.sum(), 1)), atol=1e-6)
    again = surface_cells(mesh, pitch=0.1)
    np.testing.assert_array_equal(again[0], positions)
