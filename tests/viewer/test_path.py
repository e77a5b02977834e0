"""Camera paths against circles and SciPy's Hermite spline."""

import math

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from voxjax.cameras import orbit_pose
from voxjax.viewer.camera import FOV, Camera
from voxjax.viewer.path import Key, cameras_on_path


def key_at(azimuth, elevation=20.0, radius=3.0, target=(0.0, 0.0, 0.0)):
    pose = np.array(orbit_pose(azimuth, elevation, radius))
    pose[:, 3] += target
    return Key(Camera(pose, FOV, 1.5), np.array(target, np.float64))


def test_one_key_is_a_turn_around_its_target():
    target = np.array([0.2, -0.1, 0.5])
    cameras = cameras_on_path([key_at(50.0, 35.0, 2.5, target)], 8, closed=False)
    for k, camera in enumerate(cameras):
        expected = np.array(orbit_pose(50.0 + 45.0 * k, 35.0, 2.5))
        expected[:, 3] += target
        np.testing.assert_allclose(camera.pose, expected, atol=1e-5)
        assert (camera.fov, camera.aspect) == (FOV, 1.5)


@pytest.mark.parametrize("start", [0.0, 100.0, 170.0])
def test_four_keys_around_an_object_are_a_circle(start):
    keys = [key_at(start + 90.0 * k) for k in range(4)]
    cameras = cameras_on_path(keys, 24, closed=True)
    for k, camera in enumerate(cameras):
        np.testing.assert_allclose(camera.pose, orbit_pose(start + 15.0 * k, 20.0, 3.0), atol=1e-5)


def test_the_path_goes_through_its_keys_the_short_way():
    keys = [key_at(350.0, 10.0, 3.0), key_at(20.0, 50.0, 4.0), key_at(60.0, 30.0, 2.0, (0.0, 0.5, 0.0))]
    cameras = cameras_on_path(keys, 9, closed=False)
    for key, camera in zip(keys, cameras[::4], strict=True):
        np.testing.assert_allclose(camera.pose, key.camera.pose, atol=1e-5)
    azimuths = [math.degrees(math.atan2(c.position[1], c.position[0])) for c in cameras[:5]]
    assert all(-11 < azimuth < 21 for azimuth in azimuths) and azimuths == sorted(azimuths)


@pytest.mark.parametrize("closed", [True, False])
def test_between_keys_lies_a_catmull_rom_spline(closed):
    """Elevation and distance of random keys, at the slopes of their neighbours; SciPy interpolates."""
    rng = np.random.default_rng(3)
    n_keys, n = 5, 40
    elevations, radii = rng.uniform(-30, 60, n_keys), rng.uniform(2, 5, n_keys)
    keys = [key_at(30.0 * k, *pair) for k, pair in enumerate(zip(elevations, radii, strict=True))]
    cameras = cameras_on_path(keys, n, closed=closed)
    found = np.array([np.linalg.norm(camera.position) for camera in cameras])
    values = np.log(radii)
    if closed:
        values = np.append(values, values[0])
        around = np.concatenate([values[-2:-1], values, values[1:2]])
        times = np.arange(n) * n_keys / n
    else:
        around = np.concatenate([2 * values[:1] - values[1:2], values, 2 * values[-1:] - values[-2:-1]])
        times = np.linspace(0, n_keys - 1, n)
    slopes = (around[2:] - around[:-2]) / 2
    expected = np.exp(CubicHermiteSpline(np.arange(len(values)), values, slopes)(times))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    upright = [camera.pose[2, 0] for camera in cameras]  # no roll: the right-hand direction is level
    np.testing.assert_allclose(upright, 0.0, atol=1e-6)


def test_there_and_back():
    cameras = cameras_on_path([key_at(0.0), key_at(60.0)], 8, closed=True)
    found = [math.degrees(math.atan2(c.position[1], c.position[0])) for c in cameras]
    np.testing.assert_allclose(found, [0, 9.375, 30, 50.625, 60, 50.625, 30, 9.375], atol=1e-3)
