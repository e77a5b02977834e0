"""From a rendering to what is seen: written out pixel by pixel."""

from types import SimpleNamespace

import numpy as np
import pytest

from voxjax.cameras import orbit_pose
from voxjax.pictures.images import colour_map
from voxjax.structs import Rendering
from voxjax.viewer.camera import FOV, Camera, pixel_rays
from voxjax.viewer.looks import MODES, Look, depth_limits, picture_of, planar_depth

CAMERA = Camera(np.asarray(orbit_pose(25.0, 40.0, 4.0)), FOV, 1.5)
EXHIBIT = SimpleNamespace(centre=np.zeros(3), radius=1.5, normals=lambda points: np.array([[0.0, -1.0, 1.0]]))


def rendering(colour, transmittance, distance):
    """One row of two pixels: what is given, and nothing."""
    opacity = 1.0 - transmittance
    return Rendering(
        colour=np.array([[np.multiply(colour, opacity), np.zeros(3)]], np.float32),
        transmittance=np.array([[transmittance, 1.0]], np.float32),
        depth=np.array([[distance * opacity, 0.0]], np.float32),
        overflow=np.int32(0),
    )


def test_colour_lies_over_the_background():
    found = picture_of(
        rendering((1.0, 0.5, 0.0), 0.25, 4.0), Look("colour", (0.0, 0.2, 1.0)), EXHIBIT, CAMERA
    )
    np.testing.assert_array_equal(found[0, 0], np.rint([255 * 0.75, 255 * (0.375 + 0.05), 255 * 0.25]))
    np.testing.assert_array_equal(found[0, 1], [0, 51, 255])


@pytest.mark.parametrize(("distance", "stop"), [(2.5, 1.0), (4.0, 0.5), (5.5, 0.0), (9.0, 0.0)])
def test_depth_runs_over_the_sphere_around_the_object(distance, stop):
    assert depth_limits(EXHIBIT, CAMERA) == pytest.approx((2.5, 5.5), abs=1e-6)
    found = picture_of(rendering((1.0, 1.0, 1.0), 0.0, distance), Look("depth"), EXHIBIT, CAMERA)
    np.testing.assert_allclose(found[0, 0], 255 * colour_map(np.array(stop)), atol=1)
    np.testing.assert_array_equal(found[0, 1], 255)


def test_opacity_is_grey_on_black():
    found = picture_of(
        rendering((1.0, 0.0, 0.0), 0.2, 4.0), Look("opacity", (1.0, 0.0, 0.0)), EXHIBIT, CAMERA
    )
    np.testing.assert_array_equal(found[0], [[204] * 3, [0] * 3])


def test_normals_are_colours_of_the_world():
    found = picture_of(rendering((1.0, 0.0, 0.0), 0.0, 4.0), Look("normals"), EXHIBIT, CAMERA)
    np.testing.assert_array_equal(found[0], [[128, 0, 255], [255] * 3])
    assert MODES == ("colour", "depth", "opacity", "normals")


def test_a_plane_before_the_camera_has_one_depth():
    """Distances along the rays to a plane at 3 in front of the camera; where nothing is, far behind all."""
    width, height = 9, 6
    directions = np.asarray(pixel_rays(CAMERA, width, height).directions, np.float64)
    distance = 3.0 / (directions @ CAMERA.forward)
    flat = Rendering(
        colour=np.zeros((height, width, 3), np.float32),
        transmittance=np.zeros((height, width), np.float32),
        depth=distance.astype(np.float32),
        overflow=np.int32(0),
    )
    np.testing.assert_allclose(planar_depth(flat, CAMERA), 3.0, rtol=1e-5)
    assert distance.max() > 3.2
    empty = rendering((0.0, 0.0, 0.0), 0.6, 3.0)
    assert planar_depth(empty, CAMERA).min() > 100.0
