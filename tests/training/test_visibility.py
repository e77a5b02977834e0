"""What the training cameras can see, against rays that are really cast."""

import jax
import numpy as np
import pytest

from voxjax import cameras
from voxjax.training.visibility import visible

WIDTH = 24
FOCAL = cameras.focal_px(WIDTH)


def seen_by(elevation_deg, positions, margin=0.0):
    near, far = cameras.near_far(4.0)
    return visible(
        positions,
        elevation_deg=elevation_deg,
        radius=4.0,
        width_px=WIDTH,
        focal=FOCAL,
        near=near,
        far=far,
        margin=margin,
    )


@pytest.mark.parametrize("elevation_deg", [(30.0, 30.0), (0.0, 75.0)])
def test_no_sample_of_a_training_ray_is_called_invisible(elevation_deg):
    near, far = cameras.near_far(4.0)
    poses, _, _ = cameras.sample_poses(jax.random.key(1), 40, elevation_deg=elevation_deg)
    rays = cameras.camera_rays(poses, width_px=WIDTH, height_px=WIDTH, focal=FOCAL)
    for t in np.linspace(near, far, 15):
        assert seen_by(elevation_deg, np.asarray(rays.origins + t * rays.directions)).all()


def in_some_picture(position, elevation_deg, slack):
    """By looking from many cameras, in float64; `slack` widens the picture, in scene units."""
    near, far = cameras.near_far(4.0)
    slope = WIDTH / 2 / FOCAL
    e = np.deg2rad(elevation_deg)
    for a in np.deg2rad(np.arange(0.0, 360.0, 1.0)):
        backward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
        right = np.array([-np.sin(a), np.cos(a), 0.0])
        local = position - 4.0 * backward
        depth, x, y = -local @ backward, local @ right, local @ np.cross(backward, right)
        inside = max(abs(x), abs(y)) <= slope * depth + slack
        if inside and near - slack <= np.linalg.norm(local) <= far + slack:
            return True
    return False


def test_what_is_far_outside_every_picture_is_left_out():
    rng = np.random.default_rng(0)
    positions = rng.uniform([-1.6, -1.6, -2.4], [1.6, 1.6, 1.6], (300, 3))
    got = seen_by((30.0, 30.0), positions)
    certain = np.array([in_some_picture(p, 30.0, 0.0) for p in positions])
    perhaps = np.array([in_some_picture(p, 30.0, 0.12) for p in positions])
    assert (~perhaps).sum() > 3, "the box has corners that nobody sees"
    assert got[certain].all() and not got[~perhaps].any()


def test_a_margin_only_adds():
    rng = np.random.default_rng(1)
    positions = rng.uniform(-2.5, 2.5, (500, 3))
    narrow, wide = seen_by((30.0, 30.0), positions), seen_by((30.0, 30.0), positions, margin=0.3)
    assert (wide | ~narrow).all() and wide.sum() > narrow.sum()
