"""Poses, rays and the grid box against derivations of another kind, in float64."""

import jax
import numpy as np
import pytest

from voxjax import cameras

orbit_pose = jax.jit(cameras.orbit_pose)


def look_at(azimuth_deg, elevation_deg, radius):
    """Position from spherical coordinates, axes from cross products with the world's z."""
    azimuth, elevation = np.deg2rad([azimuth_deg, elevation_deg])
    position = radius * np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    backward = position / np.linalg.norm(position)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(backward, right), backward, position], axis=-1)


def brute_box(azimuths_deg, elevation_deg, width, height, focal, radius=4.0):
    """Intersection over cameras of the boxes of all near and far points, pixel by pixel."""
    lower, upper = np.full(3, -np.inf), np.full(3, np.inf)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    directions = np.stack(
        [(columns - width / 2) / focal, (height / 2 - rows) / focal, np.full_like(rows, -1.0)], axis=-1
    ).reshape(-1, 3)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    for azimuth in azimuths_deg:
        pose = look_at(azimuth, elevation_deg, radius)
        world = directions @ pose[:, :3].T
        points = np.concatenate([pose[:, 3] + t * world for t in (radius - np.sqrt(3), radius + np.sqrt(3))])
        lower, upper = np.maximum(lower, points.min(0)), np.minimum(upper, points.max(0))
    return lower, upper


def test_focal_and_range_are_the_reference_numbers():
    assert cameras.focal_px(800) == pytest.approx(1111.1111, abs=1e-9)
    assert cameras.focal_px(168, multiplier=1.2) == pytest.approx(1111.1111 * 168 / 800 * 1.2)
    half_angle = np.arctan(0.5 * 224 / cameras.focal_px(224))
    assert np.rad2deg(2 * half_angle) == pytest.approx(39.6, abs=0.01)
    assert cameras.near_far(4.0) == pytest.approx((4 - 3**0.5, 4 + 3**0.5))


def test_orbit_pose_matches_look_at():
    azimuths = np.array([0.0, 30.0, 90.0, 200.0, 359.0, -45.0])
    elevations = np.array([30.0, 45.0, 0.0, -20.0, 89.0, 10.0])
    poses = np.asarray(orbit_pose(azimuths, elevations, 4.0))
    expected = np.stack([look_at(a, e, 4.0) for a, e in zip(azimuths, elevations, strict=True)])
    np.testing.assert_allclose(poses, expected, atol=2e-5)


def test_orbit_pose_says_where_azimuth_zero_is_and_broadcasts():
    poses = np.asarray(orbit_pose(np.array([[0.0], [90.0]]), np.array([0.0, 90.0, -90.0]), 4.0))
    assert poses.shape == (2, 3, 3, 4)
    np.testing.assert_allclose(poses[:, 0, :, 3], [[4, 0, 0], [0, 4, 0]], atol=1e-5)
    np.testing.assert_allclose(poses[0, 1:, :, 3], [[0, 0, 4], [0, 0, -4]], atol=1e-5)
    rotations = poses[..., :3].reshape(-1, 3, 3)
    np.testing.assert_allclose(
        rotations @ rotations.transpose(0, 2, 1), np.tile(np.eye(3), (6, 1, 1)), atol=1e-6
    )
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-6)


def test_rays_match_a_float64_loop():
    width, height, focal = 6, 4, 7.5
    pose = look_at(70.0, 35.0, 4.0)
    traced = jax.jit(lambda p: cameras.camera_rays(p, width_px=width, height_px=height, focal=focal))
    rays = traced(np.stack([pose, look_at(10.0, 5.0, 3.0)]).astype(np.float32))
    assert rays.directions.shape == rays.origins.shape == (2, height, width, 3)
    for row in range(height):
        for column in range(width):
            direction = (
                pose[:, 0] * (column + 0.5 - 3) / focal + pose[:, 1] * (2 - row - 0.5) / focal - pose[:, 2]
            )
            direction /= np.sqrt(np.sum(direction**2))
            np.testing.assert_allclose(rays.directions[0, row, column], direction, atol=1e-6)
            np.testing.assert_allclose(rays.origins[0, row, column], pose[:, 3], atol=1e-6)


def test_up_is_up_and_right_is_right():
    """Seen from +x, the world's z points up in the picture and its y to the right."""
    pose = orbit_pose(0.0, 0.0, 4.0)
    rays = jax.jit(lambda p: cameras.camera_rays(p, width_px=20, height_px=20, focal=25.0))(pose)

    def pixel_towards(point):
        offset = np.array(point) - np.asarray(rays.origins)
        cosine = np.sum(offset * np.asarray(rays.directions), axis=-1) / np.linalg.norm(offset, axis=-1)
        return np.unravel_index(np.argmax(cosine), cosine.shape)

    row_up, column_up = pixel_towards([0.0, 0.01, 1.0])
    row_right, column_right = pixel_towards([0.0, 1.0, 0.01])
    assert row_up < 8 and abs(column_up - 9.5) < 1
    assert column_right > 12 and abs(row_right - 9.5) < 1


def test_sampled_poses_cover_the_ranges_and_are_reported():
    draw = jax.jit(
        lambda key: cameras.sample_poses(key, 500, azimuth_deg=(0.0, 360.0), elevation_deg=(10.0, 60.0))
    )
    poses, azimuths, elevations = draw(jax.random.PRNGKey(0))
    np.testing.assert_allclose(poses, orbit_pose(azimuths, elevations, 4.0), atol=1e-5)
    for values, low, high in ((azimuths, 0, 360), (elevations, 10, 60)):
        values = np.asarray(values)
        assert low <= values.min() and values.max() < high
        # Each tenth of the range holds 50 of 500; 15 is five standard deviations below.
        counts = np.histogram(values, bins=10, range=(low, high))[0]
        assert counts.min() > 15 and counts.max() < 90
    assert abs(np.corrcoef(azimuths, elevations)[0, 1]) < 0.2
    assert not np.array_equal(azimuths, draw(jax.random.PRNGKey(1))[1])


def test_a_range_of_no_width_holds_the_elevation():
    _, _, elevations = jax.jit(lambda key: cameras.sample_poses(key, 3))(jax.random.PRNGKey(2))
    np.testing.assert_array_equal(elevations, 30.0)


def test_frustum_box_gives_the_reference_numbers():
    lower, upper = cameras.frustum_box(width_px=224, height_px=224, focal=cameras.focal_px(224))
    np.testing.assert_allclose(lower, [-1.603, -1.603, -2.373], atol=1e-3)
    np.testing.assert_allclose(upper, [1.603, 1.603, 1.616], atol=1e-3)
    for n_voxels, shape in ((140**3, (130, 130, 161)), (160**3, (148, 148, 185))):
        size = (np.prod(upper - lower) / n_voxels) ** (1 / 3)
        assert tuple(((upper - lower) / size).astype(int)) == shape


@pytest.mark.parametrize("width, height, elevation", [(24, 24, 30.0), (20, 12, 55.0)])
def test_frustum_box_against_brute_force(width, height, elevation):
    focal = cameras.focal_px(width)
    lower, upper = cameras.frustum_box(elevation_deg=elevation, width_px=width, height_px=height, focal=focal)
    brute_lower, brute_upper = brute_box(np.arange(0, 360, 0.25), elevation, width, height, focal)
    # A finite set of cameras gives a box that is a little too large, never too small.
    assert np.all(brute_lower <= lower + 1e-9) and np.all(brute_upper >= upper - 1e-9)
    np.testing.assert_allclose(lower, brute_lower, atol=6e-3)
    np.testing.assert_allclose(upper, brute_upper, atol=6e-3)


def test_frustum_box_of_a_range_of_elevations_is_inside_those_of_its_ends():
    options = {"width_px": 24, "height_px": 24, "focal": cameras.focal_px(24)}
    lower, upper = cameras.frustum_box(elevation_deg=(10.0, 50.0), **options)
    for elevation in (10.0, 30.0, 50.0):
        one_lower, one_upper = cameras.frustum_box(elevation_deg=elevation, **options)
        assert np.all(lower >= one_lower - 1e-9) and np.all(upper <= one_upper + 1e-9)
    same = cameras.frustum_box(elevation_deg=(30.0, 30.0), **options)
    np.testing.assert_array_equal(same, cameras.frustum_box(elevation_deg=30.0, **options))
