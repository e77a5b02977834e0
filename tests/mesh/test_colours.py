"""The colour that a surface shows: closed forms for even, split and hazy objects."""

import numpy as np
from helpers.mesh_scenes import ball, grid_run

from voxjax.mesh.colours import AROUND_WEIGHT, colours_of, composite, orbit_directions
from voxjax.mesh.lattice import sample_lattice

RADIUS = 0.8


def points_on_ball(n=300):
    normals = np.random.default_rng(2).standard_normal((n, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return RADIUS * normals, normals


def test_an_even_colour_is_that_colour_everywhere():
    lattice = sample_lattice(grid_run(ball(RADIUS), lambda p: np.array([0.9, 0.2, 0.45]), side=32))
    points, normals = points_on_ball()
    found = colours_of(lattice)(points, normals)
    np.testing.assert_allclose(found, np.tile([0.9, 0.2, 0.45], (len(points), 1)), atol=1e-4)


def test_sides_keep_their_colours_also_below_where_no_orbit_looks():
    def colour(p):
        return np.where(p[..., 2:] > 0, [0.9, 0.1, 0.1], [0.1, 0.1, 0.9])

    lattice = sample_lattice(grid_run(ball(RADIUS), colour, side=48))
    points, normals = points_on_ball()
    found = colours_of(lattice)(points, normals)
    up, down = points[:, 2] > 0.2, points[:, 2] < -0.2
    assert up.sum() > 80 and down.sum() > 80
    np.testing.assert_allclose(found[up], np.tile([0.9, 0.1, 0.1], (up.sum(), 1)), atol=0.03)
    np.testing.assert_allclose(found[down], np.tile([0.1, 0.1, 0.9], (down.sum(), 1)), atol=0.03)


def test_haze_in_front_of_a_wall_takes_its_share():
    # A wall at x < 0 in red, and in front of it to x = 0.5 a haze in blue.
    density = 0.08  # per voxel length

    def raw(p):
        haze = np.log(np.expm1(density))
        return np.where(p[..., 0] < 0.0, 30.0, np.where(p[..., 0] < 0.5, haze, -60.0))

    def colour(p):
        return np.where(p[..., :1] < 0.03, [0.95, 0.05, 0.05], [0.05, 0.05, 0.95])

    lattice = sample_lattice(grid_run(raw, colour, side=65), cells=128)
    # Half a voxel inside the wall: of four voxels in front three are haze, one leads over to it.
    points = np.array([[-0.5 * lattice.voxel, y, 0.0] for y in (-0.3, 0.0, 0.3)])
    found = composite(lattice, points, np.array([1.0, 0.0, 0.0]))
    share = 1 - np.exp(-density * 3.25)
    expected = (1 - share) * np.array([0.95, 0.05, 0.05]) + share * np.array([0.05, 0.05, 0.95])
    np.testing.assert_allclose(found, np.tile(expected, (3, 1)), atol=0.03)
    # Along the wall there is only haze.
    along = composite(lattice, points + [0.3, 0, 0], np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(along, np.tile([0.05, 0.05, 0.95], (3, 1)), atol=1e-3)


def test_where_nothing_is_the_last_sample_tells():
    lattice = sample_lattice(
        grid_run(lambda p: np.full(p.shape[:-1], -75.0), lambda p: np.array([0.3, 0.6, 0.7])), cells=16
    )
    found = composite(lattice, np.zeros((2, 3)), np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, np.tile([0.3, 0.6, 0.7], (2, 1)), atol=1e-3)


def test_the_orbit_looks_from_above_and_all_around():
    directions, weights = orbit_directions()
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0)
    orbit = directions[weights == 1.0]
    rise = np.rad2deg(np.arcsin(orbit[:, 2]))
    assert rise.min() > 15 and rise.max() < 45
    assert np.linalg.norm(orbit[:, :2].mean(axis=0)) < 0.15
    around = directions[weights == AROUND_WEIGHT]
    np.testing.assert_allclose(around.mean(axis=0), 0.0, atol=0.06)
