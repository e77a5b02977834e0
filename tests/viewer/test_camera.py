"""The browser's camera: viser's conventions against ours, and rays that fill any window."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from voxjax.cameras import BLENDER_FOCAL_PX, BLENDER_WIDTH_PX, camera_rays, focal_px, orbit_pose
from voxjax.viewer.camera import FOV, Camera, fitting_fov, of_client, pixel_rays, tile_camera, wxyz_of


def look_at_opencv(position):
    """Quaternion (w, x, y, z) of an OpenCV camera that looks at the origin with z up, by cross products."""
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    matrix = np.column_stack([right, np.cross(forward, right), forward])
    return np.roll(Rotation.from_matrix(matrix).as_quat(), 1)


def handle_at(position, *, fov=FOV, width=600, height=400):
    return SimpleNamespace(
        wxyz=look_at_opencv(position), position=position, fov=fov, image_width=width, image_height=height
    )


@pytest.mark.parametrize(("azimuth", "elevation"), [(0, 0), (30, 45), (135, -20), (290, 80)])
def test_a_browser_camera_is_the_orbit_pose(azimuth, elevation):
    pose = np.asarray(orbit_pose(azimuth, elevation, 3.5))
    camera = of_client(handle_at(pose[:, 3].astype(np.float64)))
    np.testing.assert_allclose(camera.pose, pose, atol=1e-5)
    np.testing.assert_allclose(camera.forward, -pose[:, 3] / 3.5, atol=1e-5)
    assert camera.aspect == pytest.approx(1.5)
    # and back again, up to the sign that a quaternion leaves open
    quaternion = wxyz_of(camera.pose)
    expected = look_at_opencv(pose[:, 3].astype(np.float64))
    np.testing.assert_allclose(quaternion * np.sign(quaternion @ expected), expected, atol=1e-5)


def test_square_pixels_have_the_rays_of_all_other_pictures():
    pose = np.asarray(orbit_pose(20.0, 30.0, 4.0))
    rays = pixel_rays(Camera(pose, FOV, 1.0), 24, 24)
    expected = camera_rays(pose, width_px=24, height_px=24, focal=focal_px(24))
    np.testing.assert_allclose(rays.origins, expected.origins, atol=1e-6)
    np.testing.assert_allclose(rays.directions, expected.directions, atol=1e-6)
    np.testing.assert_allclose(rays.radii, expected.radii, rtol=1e-4)
    assert pytest.approx(2 * math.atan(BLENDER_WIDTH_PX / 2 / BLENDER_FOCAL_PX)) == FOV


@pytest.mark.parametrize(("width", "height", "aspect"), [(8, 5, 1.6), (7, 7, 2.3), (4, 9, 0.46)])
def test_rays_fill_the_window_whatever_its_pixels(width, height, aspect):
    """In camera coordinates the pixel centres lie where a grid over the whole frustum has them."""
    pose = np.asarray(orbit_pose(77.0, 10.0, 2.0))
    directions = np.asarray(pixel_rays(Camera(pose, 0.9, aspect), width, height).directions, np.float64)
    local = directions @ pose[:, :3]
    half = math.tan(0.45)
    for row in range(height):
        for column in range(width):
            x = half * aspect * (2 * (column + 0.5) / width - 1)
            y = half * (1 - 2 * (row + 0.5) / height)
            found = local[row, column] / -local[row, column, 2]
            np.testing.assert_allclose(found, [x, y, -1.0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=-1), 1.0, atol=1e-6)


def test_an_object_fits_into_the_shorter_side():
    assert fitting_fov(1.0) == fitting_fov(2.0) == FOV
    across = 2 * math.atan(math.tan(fitting_fov(0.5) / 2) * 0.5)
    assert across == pytest.approx(FOV)


@pytest.mark.parametrize(("whole", "part"), [(2.0, 1.0), (1.6, 0.8), (0.5, 1.0), (1.0, 1.0)])
def test_what_fits_into_the_window_fits_into_a_tile(whole, part):
    pose = np.asarray(orbit_pose(0.0, 0.0, 4.0))
    tile = tile_camera(Camera(pose, fitting_fov(whole), whole), part)
    shorter = math.tan(tile.fov / 2) * min(1.0, tile.aspect)
    assert shorter == pytest.approx(math.tan(FOV / 2)) and tile.aspect == part
    assert tile.pose is pose


def test_cameras_are_the_same_by_what_they_show():
    pose = np.asarray(orbit_pose(0.0, 0.0, 4.0))
    camera = Camera(pose, FOV, 1.5)
    assert camera.same_as(Camera(pose.copy(), FOV, 1.5))
    assert not camera.same_as(Camera(pose, FOV, 1.6))
    assert not camera.same_as(Camera(pose, FOV + 0.01, 1.5))
    assert not camera.same_as(Camera(np.asarray(orbit_pose(0.1, 0.0, 4.0)), FOV, 1.5))
