"""What stands beside the object: cameras where training looks from, boxes, paths."""

import math

import numpy as np
import pytest

from voxjax.config.loading import load
from voxjax.viewer.overlay import Overlay, training_cameras


def config_with(**changes):
    pairs = [("prompt", "a red ball"), *((f"cameras.{key}", str(value)) for key, value in changes.items())]
    return load("configs/base.py", pairs)


def angles(camera):
    x, y, z = camera.position
    return math.degrees(math.atan2(y, x)) % 360, math.degrees(math.asin(z / np.linalg.norm(camera.position)))


def test_cameras_stand_all_around_at_the_one_elevation():
    cameras = training_cameras(config_with(elevation_deg=(30.0, 30.0), radius=3.0))
    found = np.array([angles(camera) for camera in cameras])
    np.testing.assert_allclose(found[:, 0], np.arange(12) * 30.0, atol=1e-3)
    np.testing.assert_allclose(found[:, 1], 30.0, atol=1e-3)
    for camera in cameras:
        np.testing.assert_allclose(camera.forward, -camera.position / 3.0, atol=1e-5)


def test_cameras_span_the_ranges_that_training_draws_from():
    cameras = training_cameras(config_with(elevation_deg=(10.0, 60.0), azimuth_deg=(-60.0, 60.0)), n=6)
    found = np.array([angles(camera) for camera in cameras])
    assert sorted({round(e) for e in found[:, 1]}) == [10, 35, 60]
    azimuths = (found[:6, 0] + 180) % 360 - 180
    np.testing.assert_allclose(azimuths, [-50, -30, -10, 10, 30, 50], atol=1e-3)


@pytest.mark.parametrize("multiplier", [1.0, 1.2])
def test_cameras_see_as_wide_as_training(multiplier):
    camera = training_cameras(config_with(focal_multiplier=multiplier, width_px=100))[0]
    assert math.tan(camera.fov / 2) == pytest.approx(400 / 1111.1111 / multiplier)
    assert camera.aspect == 1.0


class Scene:
    """Names of what stands in the scene."""

    def __init__(self):
        self.things, self.points = {}, {}

    def _add(self, name, *arguments, **options):
        scene = self

        class Handle:
            def remove(self):
                del scene.things[name]

        self.things[name] = arguments
        return Handle()

    add_camera_frustum = add_line_segments = _add


def test_things_come_and_go():
    scene = Scene()
    overlay = Overlay(scene)
    overlay.show_cameras(training_cameras(config_with()))
    assert len(scene.things) == 12
    overlay.show_box(((-1.0, -2.0, -3.0), (1.0, 2.0, 3.0)))
    edges = scene.things["/crop"][0]
    assert edges.shape == (12, 2, 3)
    lengths = sorted(np.linalg.norm(edges[:, 0] - edges[:, 1], axis=-1))
    np.testing.assert_allclose(lengths, [2.0] * 4 + [4.0] * 4 + [6.0] * 4)
    overlay.show_cameras([])
    assert list(scene.things) == ["/crop"]
    overlay.show_box(None)
    assert not scene.things
    overlay.show_box(((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    overlay.clear()
    assert not scene.things
