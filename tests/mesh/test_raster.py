"""Triangles to pixels against rays through every pixel, each tested against every triangle."""

import numpy as np

from voxjax.cameras import focal_px, orbit_pose
from voxjax.mesh.raster import project, rasterise

SIZE = 24


def nearest_by_rays(vertices, faces, pose, focal):
    """Möller and Trumbore (1997), one ray and one triangle at a time: (index [size, size], distance)."""
    index, depth = np.full((SIZE, SIZE), -1), np.full((SIZE, SIZE), np.inf)
    for row in range(SIZE):
        for column in range(SIZE):
            x, y = (column + 0.5 - SIZE / 2) / focal, -(row + 0.5 - SIZE / 2) / focal
            direction = pose[:, :3] @ np.array([x, y, -1.0])
            for i, (a, b, c) in enumerate(vertices[faces]):
                across = np.cross(direction, c - a)
                determinant = (b - a) @ across
                if abs(determinant) < 1e-12:
                    continue
                start = pose[:, 3] - a
                u = start @ across / determinant
                other = np.cross(start, b - a)
                v, t = direction @ other / determinant, (c - a) @ other / determinant
                if u >= 0 and v >= 0 and u + v <= 1 and 0 < t < depth[row, column]:
                    index[row, column], depth[row, column] = i, t
    return index, depth


def test_the_nearest_triangle_is_seen_in_every_pixel():
    rng = np.random.default_rng(0)
    vertices = rng.uniform(-0.9, 0.9, (30, 3))
    faces = np.arange(30).reshape(10, 3)
    pose = np.asarray(orbit_pose(35.0, 20.0, 4.0), np.float64)
    focal = float(focal_px(SIZE))
    want, depth = nearest_by_rays(vertices, faces, pose, focal)
    assert len(np.unique(want)) > 5
    points = project(vertices, pose, focal=focal, size_px=SIZE)
    seen = rasterise(points, faces, width_px=SIZE, height_px=SIZE)
    # A pixel on the very edge may fall to either side.
    assert (seen.face != want).sum() <= 2
    agree = (seen.face == want) & (want >= 0)
    places = seen.interpolate(vertices, faces)[agree]
    along = -(places - pose[:, 3]) @ pose[:, 2]
    np.testing.assert_allclose(along, depth[agree], rtol=1e-4)
