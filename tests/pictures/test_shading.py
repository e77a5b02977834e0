"""Shapes without texture, against the normals of a ball and of a plane."""

import jax.numpy as jnp
import numpy as np
from helpers.small_runs import write_run

from voxjax.cameras import focal_px, orbit_pose
from voxjax.pictures.images import colour_image
from voxjax.pictures.shading import ALBEDO, AMBIENT, lit, untextured
from voxjax.pictures.views import view_of
from voxjax.run import load_run
from voxjax.structs import Samples


def slope(scene, samples):
    """Raw density that rises linearly along `scene`, all in red."""
    density = jnp.log1p(jnp.exp(0.5 + samples.positions @ scene))
    return density, jnp.broadcast_to(jnp.array([1.0, 0.0, 0.0]), samples.positions.shape)


def test_a_linear_density_has_its_gradients_normal():
    pose = np.asarray(orbit_pose(70.0, 20.0, 4.0), np.float64)
    rising = np.array([0.3, -0.5, 0.2])
    lamp = pose[:, :3] @ np.array([-0.4, 0.6, 1.0])
    facing = -(rising / np.linalg.norm(rising)) @ (lamp / np.linalg.norm(lamp))
    samples = Samples(jnp.array([[0.1, 0.2, 0.3], [-0.4, 0.0, 0.9]]), jnp.float32(0.1))
    for sign in (1.0, -1.0):
        scene = lit(jnp.asarray(sign * rising, jnp.float32), pose, 0.05)
        density, grey = untextured(slope)(scene, samples)
        raw = 0.5 + sign * np.asarray(samples.positions) @ rising
        np.testing.assert_allclose(density, np.log1p(np.exp(raw)), rtol=1e-6)
        wanted = ALBEDO * (AMBIENT + (1 - AMBIENT) * max(0.0, sign * facing))
        np.testing.assert_allclose(grey, np.full((2, 3), wanted), atol=2e-5)
    assert untextured(slope) is untextured(slope)


def test_a_ball_is_shaded_by_its_radii_whatever_its_colour(tmp_path):
    size, radius = 36, 0.7
    views = []
    for name, colour in (("red", (0.9, 0.05, 0.05)), ("blue", (0.05, 0.05, 0.9))):
        fine = {"field__side": 48, "field__step_size_voxels": 0.25}  # or what is seen lies below the surface
        run = load_run(write_run(tmp_path / name, "a ball", colour, radius=radius, slope=400.0, **fine))
        views.append(colour_image(view_of(run, textured=False)(75.0, 20.0, size)))
    np.testing.assert_array_equal(views[0], views[1])
    image = views[0].astype(float) / 255
    pose = np.asarray(orbit_pose(75.0, 20.0, 4.0), np.float64)
    lamp = pose[:, :3] @ np.array([-0.4, 0.6, 1.0])
    lamp /= np.linalg.norm(lamp)
    errors = []
    for row in range(size):
        for column in range(size):
            x, y = (column + 0.5 - size / 2) / focal_px(size), (size / 2 - row - 0.5) / focal_px(size)
            ray = pose[:, :3] @ (np.array([x, y, -1.0]) / np.sqrt(x * x + y * y + 1))
            along = -ray @ pose[:, 3]
            inside = radius**2 - (16.0 - along**2)
            if inside < 0.05:  # not on the rim, where a pixel is half of the ball
                continue
            normal = (pose[:, 3] + (along - np.sqrt(inside)) * ray) / radius
            wanted = ALBEDO * (AMBIENT + (1 - AMBIENT) * max(0.0, normal @ lamp))
            errors.append(abs(image[row, column, 0] - wanted))
    assert len(errors) > 180 and np.mean(errors) < 0.015 and max(errors) < 0.08
    np.testing.assert_array_equal(image[0, 0], 1.0)
