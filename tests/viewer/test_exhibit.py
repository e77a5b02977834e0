"""A run as it is drawn: the same object as in all other pictures, cut, with normals, without compiling."""

import dataclasses

import jax
import numpy as np
import pytest
from helpers.small_runs import write_run

from voxjax.cameras import orbit_pose
from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.pictures.views import view_of
from voxjax.rendering import marching
from voxjax.rendering.marching import GivenUp
from voxjax.run import load_run, open_run
from voxjax.training.assembly import first_state
from voxjax.viewer.camera import FOV, Camera, pixel_rays
from voxjax.viewer.exhibit import Cut, Exhibit, surface_of

CENTRE, RADIUS = np.array([0.45, 0.0, 0.1]), 0.5


def camera_at(azimuth, elevation=30.0, radius=4.0, aspect=1.0):
    return Camera(np.asarray(orbit_pose(azimuth, elevation, radius)), FOV, aspect)


def test_it_is_the_object_of_all_other_pictures(ball, ball_run):
    expected = view_of(load_run(ball_run))(40.0, 30.0, 48)
    found = ball.draw(camera_at(40.0), 48, 48)
    # Rays that graze the steep ball differ with the last digit of their direction.
    for one, other in ((found.colour, expected.colour), (found.transmittance, expected.transmittance)):
        assert np.mean(np.abs(one - other) > 1e-3) < 0.01 and np.mean(np.abs(one - other)) < 1e-3


def test_a_quick_picture_shows_the_same(ball):
    full = ball.draw(camera_at(40.0), 48, 48)
    quick = ball.draw(camera_at(40.0), 48, 48, quick=True)
    assert np.mean(np.abs(quick.transmittance - full.transmittance)) < 0.02


def test_the_silhouette_is_where_geometry_has_it(ball):
    """Against rays that meet a sphere in closed form, in a window of any shape and from nearby."""
    camera = dataclasses.replace(camera_at(200.0, 10.0, 2.0), aspect=1.7)
    rays = pixel_rays(camera, 51, 30)
    along = (CENTRE - np.asarray(rays.origins)) * np.asarray(rays.directions)
    distance = np.linalg.norm(CENTRE - np.asarray(rays.origins), axis=-1)
    miss = np.sqrt(distance**2 - along.sum(-1) ** 2)
    solid = 1.0 - ball.draw(camera, 51, 30).transmittance > 0.5
    assert solid[miss < RADIUS - 0.06].all() and not solid[miss > RADIUS + 0.06].any()
    assert 200 < solid.sum() < 1200


def test_where_it_is_and_how_large(ball):
    np.testing.assert_allclose(ball.centre, CENTRE, atol=0.06)
    assert pytest.approx(RADIUS, abs=0.08) == ball.radius


def test_a_box_cuts_it(ball):
    """Only what is in front of x = 0.45 stays: half of the ball as seen from +y."""
    camera = camera_at(90.0, 0.0)
    x = surface_of(ball.draw(camera, 64, 64), camera)[..., 0]
    box = ((0.45, -2.0, -2.0), (2.0, 2.0, 2.0))
    cut = ball.draw(camera, 64, 64, Cut(box=box))
    whole = 1.0 - ball.draw(camera, 64, 64).transmittance > 0.5
    kept = 1.0 - np.asarray(cut.transmittance)
    assert kept[whole & (x > 0.55)].min() > 0.9 and kept[whole & (x < 0.35)].max() < 1e-6
    assert ((kept > 0.5) & whole).sum() == pytest.approx(whole.sum() / 2, rel=0.15)
    nothing = ball.draw(camera, 16, 16, Cut(box=((2.0, 2.0, 2.0), (3.0, 3.0, 3.0))))
    assert (nothing.transmittance == 1.0).all()


def test_a_threshold_leaves_haze_out(tmp_path):
    run = load_run(write_run(tmp_path / "hazy", "a red ball", (0.9, 0.1, 0.05), radius=0.5))
    alpha = 0.1
    raw = np.log(np.expm1(-np.log1p(-alpha) / run.stage.interval)) - float(run.scene.density_shift)
    values = run.scene.values.at[..., 0].set(np.maximum(run.scene.values[..., 0], raw))
    hazy = Exhibit(dataclasses.replace(run, scene=dataclasses.replace(run.scene, values=values)))
    camera = camera_at(0.0)
    seen = hazy.draw(camera, 24, 24).transmittance
    below, above = (hazy.draw(camera, 24, 24, Cut(alpha=alpha + d)).transmittance for d in (-0.01, 0.01))
    np.testing.assert_allclose(below, seen, atol=1e-6)
    assert seen[12, 3] < 0.5 and (above[:, 3] == 1.0).all()
    assert above[12, 12] < 1e-3


def test_normals_of_a_ball_point_outwards(ball):
    camera = camera_at(20.0)
    rendering = ball.draw(camera, 40, 40)
    solid = 1.0 - rendering.transmittance > 0.99
    surface = surface_of(rendering, camera)[solid]
    outward = (surface - CENTRE) / np.linalg.norm(surface - CENTRE, axis=-1, keepdims=True)
    cosine = np.sum(ball.normals(surface) * outward, axis=-1)
    assert len(surface) > 60 and np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 20
    assert np.median(cosine) > 0.985
    np.testing.assert_array_equal(ball.normals(np.array([[-1.0, 0.9, 0.9]])).shape, (1, 3))


def test_nothing_compiles_while_one_turns(ball, ball_run):
    """Every size, camera and cut, and another checkpoint of the run: the programs that are there do."""
    before = marching.march_rays._cache_size()
    box = ((0.0, -1.0, -1.0), (1.0, 1.0, 1.0))
    for k, (width, height) in enumerate([(64, 41), (96, 62), (128, 128), (41, 64), (200, 3)]):
        for quick in (True, False):
            camera = camera_at(31.0 * k, 5.0 * k, 3.0 + k, aspect=width / height)
            ball.draw(camera, width, height, Cut(0.1 * k, box if k % 2 else None), quick=quick)
    Exhibit(load_run(ball_run)).draw(camera_at(0.0), 30, 20)
    assert marching.march_rays._cache_size() == before


def test_a_picture_is_given_up_between_chunks(ball):
    asked = []

    def wanted():
        asked.append(None)
        return len(asked) < 3

    with pytest.raises(GivenUp):
        ball.draw(camera_at(0.0), 128, 128, wanted=wanted)
    assert len(asked) < 10  # 128 x 128 rays would be eight chunks


@pytest.fixture(scope="module")
def network():
    """An untrained Dream Fields, which is not empty anywhere."""
    small = {"width": 8, "hidden": 8, "n_blocks": 1, "n_features": 4, "n_test_samples": 24, "origin": "fixed"}
    pairs = [(f"dream_fields.{key}", str(value)) for key, value in small.items()]
    config = load("configs/demo.py:dream_fields", pairs)
    return open_run("nowhere", config, first_state(config, make_plan(config), jax.random.key(0)))


def test_a_network_turns_as_its_stand_in_and_rests_as_itself(network):
    exhibit = Exhibit(network)
    assert exhibit.has_network
    full = exhibit.draw(camera_at(30.0), 16, 16)
    quick = exhibit.draw(camera_at(30.0), 16, 16, quick=True)
    np.testing.assert_allclose(quick.transmittance, full.transmittance, atol=0.08)
    expected = view_of(network)(30.0, 30.0, 16)
    np.testing.assert_allclose(full.transmittance, expected.transmittance, atol=0.05)
