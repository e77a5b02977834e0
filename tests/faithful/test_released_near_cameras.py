"""What lies near the training cameras: the closed form, and many cameras; emptied once, in the first grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful.pure_clip_scene import (
    NEAR,
    apply_near_camera_mask,
    camera_centre,
    distance_to_band,
    distance_to_circle,
    near_camera_mask,
    vertices,
)
from faithful.released_runs import box_of, config_of

from voxjax.cameras import orbit_pose
from voxjax.factory import make_plan
from voxjax.training import assembly
from voxjax.training.visibility import distance_to_cameras

BOX = (np.array([-1.6, -1.6, -2.37]), np.array([1.6, 1.6, 1.61]))


def test_the_distance_to_the_circle_of_cameras_is_the_closed_form_and_that_of_many_cameras():
    points = vertices(BOX, (9, 10, 11))
    ours = distance_to_cameras(points, azimuth_deg=(0, 360), elevation_deg=(30, 30), radius=4.0)
    np.testing.assert_allclose(ours, distance_to_circle(points), atol=1e-12)
    centres = [camera_centre(a) for a in np.arange(0, 360, 0.25)]
    nearest = np.min([np.linalg.norm(points - c, axis=-1) for c in centres], axis=0)
    assert (ours <= nearest + 1e-12).all() and (nearest - ours).max() < 1e-4


def test_a_band_of_elevations_is_the_closed_form():
    points = np.random.default_rng(0).normal(size=(3000, 3)) * 2
    ours = distance_to_cameras(points, azimuth_deg=(0, 360), elevation_deg=(10, 50), radius=4.0)
    np.testing.assert_allclose(ours, distance_to_band(points, (10, 50)), atol=1e-9)


@pytest.mark.parametrize(
    "azimuths, elevations",
    [((0, 90), (30, 30)), ((-30, 40), (0, 60)), ((200, 380), (-20, 10)), ((100, 460), (20, 70))],
)
def test_part_of_the_azimuths_is_that_of_many_cameras(azimuths, elevations):
    """Cameras where training stands: azimuth 0 on +x, counted towards +y."""
    points = vertices(BOX, (6, 7, 8))
    ours = distance_to_cameras(points, azimuth_deg=azimuths, elevation_deg=elevations, radius=4.0)
    angles = np.meshgrid(np.linspace(*azimuths, 241), np.linspace(*elevations, 61))
    centres = np.asarray(orbit_pose(*(jnp.asarray(a.ravel()) for a in angles), 4.0)[..., 3], np.float64)
    nearest = np.sqrt(
        np.min(((points.reshape(-1, 1, 3) - centres) ** 2).sum(-1), axis=1).reshape(points.shape[:-1])
    )
    assert (ours <= nearest + 1e-6).all() and (nearest - ours).max() < 2e-3


def test_the_first_grid_is_empty_near_the_cameras_and_nowhere_else():
    config = config_of("configs/vox_exp.py:released", field__side=60, cameras__width_px=224)
    plan = make_plan(config)
    state = assembly.first_state(config, plan, jax.random.key(0))
    values = np.asarray(state.params["grid"], np.float64)
    points = vertices(box_of(plan), plan.stage_at(0).shape)
    # A vertex within rounding of the border may fall on either side.
    clear = np.abs(distance_to_circle(points) - NEAR) > 1e-5
    expected = apply_near_camera_mask(np.zeros(points.shape[:3]), distance_to_circle(points) <= NEAR)
    np.testing.assert_array_equal(values[..., 0][clear], expected[clear])
    assert not values[..., 1:].any() and clear.mean() > 0.999
    assert 0.10 < (expected == -100).mean() < 0.14
    assert np.linalg.norm(points[expected == -100], axis=-1).min() > 1
    pool = [camera_centre(a) for a in np.random.default_rng(0).uniform(0, 360, 1000)]
    missed = near_camera_mask(points, pool) != (expected == -100)
    assert missed.mean() < 1e-3


def test_the_implicit_grid_has_no_such_mask():
    config = config_of("configs/vox_imp.py:released", field__side=20)
    state = assembly.first_state(config, make_plan(config), jax.random.key(0))
    assert "grid" not in state.params and state.tracked["occupancy"].all()
