"""The z-buffer against rays that are cut with every triangle, in float64."""

import numpy as np
import pytest

from voxjax.cameras import camera_rays, focal_px, orbit_pose
from voxjax.mesh.raster import covered, project, rasterise

SIZE = 23


def cut_with_all(vertices, faces, pose, *, focal, size):
    """Nearest triangle and the point's weights for each pixel, by Moeller and Trumbore's formula."""
    rays = camera_rays(pose, width_px=size, height_px=size, focal=focal)
    directions = np.asarray(rays.directions, np.float64).reshape(-1, 3)
    origin = np.asarray(pose, np.float64)[:, 3]
    face, bary = np.full(size * size, -1), np.zeros((size * size, 3))
    for pixel, direction in enumerate(directions):
        nearest = np.inf
        for index, (a, b, c) in enumerate(vertices[faces]):
            matrix = np.stack([-direction, b - a, c - a], axis=-1)
            if abs(np.linalg.det(matrix)) < 1e-14:
                continue
            distance, u, v = np.linalg.solve(matrix, origin - a)
            if min(u, v, 1 - u - v) >= 0 and 0 < distance < nearest:
                nearest, face[pixel], bary[pixel] = distance, index, (1 - u - v, u, v)
    return face.reshape(size, size), bary.reshape(size, size, 3)


@pytest.mark.parametrize("seed", range(3))
def test_random_triangles(seed):
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(-1, 1, (60, 3))
    faces = rng.permutation(60).reshape(20, 3)
    pose, focal = orbit_pose(70.0 * seed, 25.0, 3.0), focal_px(SIZE)
    expected, bary = cut_with_all(vertices, faces, pose, focal=focal, size=SIZE)
    seen = rasterise(project(vertices, pose, focal=focal, size_px=SIZE), faces, width_px=SIZE, height_px=SIZE)
    assert 0.3 < seen.mask.mean() < 1.0
    # A ray that grazes an edge may fall on either side of it.
    same = seen.face == expected
    assert same.mean() > 0.99
    np.testing.assert_allclose(seen.bary[same], bary[same], atol=2e-4)


def test_values_are_interpolated_in_space_and_not_in_the_picture():
    # A floor that runs away from the camera: halfway up the picture is not halfway along.
    vertices = np.array([[2.0, -1, -0.5], [2.0, 1, -0.5], [-6.0, 1, -0.5], [-6.0, -1, -0.5]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    pose = orbit_pose(0.0, 10.0, 4.0)
    seen = rasterise(project(vertices, pose, focal=40.0, size_px=64), faces, width_px=64, height_px=64)
    found = seen.interpolate(vertices, faces)
    rays = camera_rays(pose, width_px=64, height_px=64, focal=40.0)
    origin, directions = np.asarray(pose)[:, 3], np.asarray(rays.directions, np.float64)
    expected = origin + directions * ((-0.5 - origin[2]) / directions[..., 2])[..., None]
    assert seen.mask.sum() > 300
    np.testing.assert_allclose(found[seen.mask], expected[seen.mask], atol=1e-3)
    assert not found[~seen.mask].any()


def test_triangles_side_by_side_leave_no_gap_and_share_only_their_rims():
    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(np.arange(9.0), np.arange(9.0), indexing="ij"), axis=-1).reshape(-1, 2)
    inner = ((grid > 0) & (grid < 8)).all(axis=-1)
    grid = grid * 4.1 - (0.37, 0.29)
    grid[inner] += rng.uniform(-1.2, 1.2, (inner.sum(), 2))
    corner = (np.arange(8)[:, None] * 9 + np.arange(8)).reshape(-1)
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + 10], -1), np.stack([corner, corner + 10, corner + 9], -1)]
    )
    points = np.concatenate([grid, np.ones((81, 1))], axis=-1)
    _, row, column, weights = covered(points, faces, width_px=32, height_px=32)
    count = np.zeros((32, 32), int)
    np.add.at(count, (row, column), 1)
    assert (count == 1).all()
    np.testing.assert_allclose(weights.sum(axis=-1), 1.0)


def test_what_lies_outside_or_has_no_area_is_not_drawn():
    points = np.array([[-9.0, -9, 1], [-5, -9, 1], [-5, -5, 1], [3.0, 3, 1], [5, 5, 1], [7, 7, 1]])
    seen = rasterise(points, np.array([[0, 1, 2], [3, 4, 5]]), width_px=8, height_px=6)
    assert seen.face.shape == (6, 8) and not seen.mask.any()
    assert not rasterise(points, np.zeros((0, 3), int), width_px=8, height_px=6).mask.any()


def test_large_pictures_are_drawn_in_pieces():
    points = np.array([[0.0, 0, 1], [1100, 0, 1], [0, 1100, 1], [1100, 1100, 2.0]])
    seen = rasterise(points, np.array([[0, 1, 2], [1, 3, 2]]), width_px=1100, height_px=1100)
    assert seen.face[10, 10] == 0 and seen.face[1090, 1090] == 1 and seen.mask.all()


def test_points_that_are_not_visible_hide_nothing():
    """Two triangles one behind the other; the nearer one has its left half cut away."""
    points = np.array([[0, 0, 1.0], [8, 0, 1.0], [0, 8, 1.0], [0, 0, 2.0], [8, 0, 2.0], [0, 8, 2.0]])
    faces = np.array([[0, 1, 2], [3, 4, 5]])

    def right(face, bary):
        return (face == 0) | (bary[:, 1] > 0.5)  # corner 1 is the right one

    seen = rasterise(points, faces, width_px=8, height_px=8, visible=right)
    whole = rasterise(points, faces, width_px=8, height_px=8)
    columns = np.arange(8)[None, :] + 0.5 * np.ones((8, 1))
    np.testing.assert_array_equal(seen.face, np.where(whole.mask, np.where(columns > 4, 1, 0), -1))
