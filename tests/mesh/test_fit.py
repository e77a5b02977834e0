"""The outlines of fog against their closed form, and the surface that is fitted to them."""

import numpy as np
import pytest
from helpers.mesh_scenes import ball, fog_run, grid_run

from voxjax.mesh import fog, surface
from voxjax.mesh.fit import fit
from voxjax.mesh.lattice import sample_lattice
from voxjax.mesh.views import N_VIEWS, Views, render_views

PEAK, SPREAD = 4.0, 0.3
# A line past the middle of a Gaussian ball at distance b: peak * sqrt(2 pi) * s * exp(-b^2 / 2 s^2).
CENTRE_LINE = PEAK * np.sqrt(2 * np.pi) * SPREAD
OUTLINE = SPREAD * np.sqrt(2 * np.log(CENTRE_LINE / np.log(2)))


def radii(lattice):
    axes = [np.linspace(lattice.lower[i], lattice.upper[i], lattice.raw.shape[i]) for i in range(3)]
    return np.linalg.norm(np.stack(np.meshgrid(*axes, indexing="ij")), axis=0)


def test_the_thinnest_line_through_a_point_of_a_ball_of_fog():
    lattice = sample_lattice(fog_run(peak=PEAK, spread=SPREAD))
    found = fog.thinnest(lattice)
    radius = radii(lattice)
    # It is the line across the radius: all others come closer to the middle.
    expected = np.log(CENTRE_LINE / np.log(2)) - radius**2 / (2 * SPREAD**2)
    shown = (np.abs(expected) < 0.9) & (radius < 0.8)
    assert shown.sum() > 1000
    # With so many directions the best is up to some degrees off.
    error = found[shown] - expected[shown]
    assert error.min() > -0.03 and error.max() < 0.12 and np.abs(error).mean() < 0.04
    assert found.min() == -1.0 and found.max() == 1.0


def test_more_directions_come_closer():
    lattice = sample_lattice(fog_run(peak=PEAK, spread=SPREAD), cells=24)
    few, many = (fog.thinnest(lattice, n_directions=n) for n in (6, 200))
    assert (many <= few + 0.02).mean() > 0.99 and (few - many).max() > 0.1


def test_a_fine_lattice_is_thinned_out(monkeypatch):
    lattice = sample_lattice(fog_run(peak=PEAK, spread=SPREAD))
    whole = fog.thinnest(lattice)
    monkeypatch.setattr(fog, "_FINE", 30)
    halved = fog.thinnest(lattice)
    assert halved.shape == whole.shape
    inner = np.abs(whole) < 0.6
    np.testing.assert_allclose(halved[inner], whole[inner], atol=0.15)


def test_directions_cover_half_a_sphere_evenly():
    found = fog.directions(200)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1.0)
    np.testing.assert_allclose(found.mean(axis=0), [0, 0, 0.5], atol=0.02)
    np.testing.assert_allclose(found.T @ found / 200, np.eye(3) / 3, atol=0.02)


def test_a_ball_of_fog_is_cut_where_it_is_half_opaque():
    run = fog_run(peak=PEAK, spread=SPREAD)
    lattice, views = sample_lattice(run), render_views(run)
    thin = fog.thinnest(lattice)
    found = fit(lattice, thin, views, radius=4.0)
    mesh = surface.cut(lattice, found.level, thin - found.margin).as_trimesh()
    radius = np.linalg.norm(mesh.vertices, axis=-1)
    np.testing.assert_allclose(radius.mean(), OUTLINE, rtol=0.03)
    assert radius.std() < 0.03 * OUTLINE


def test_a_sharp_ball_is_left_to_its_own_level():
    run = grid_run(ball(0.8, steepness=600.0), lambda p: np.full_like(p, 0.5), side=32)
    lattice, views = sample_lattice(run), render_views(run)
    thin = fog.thinnest(lattice)
    found = fit(lattice, thin, views, radius=4.0)
    assert found.margin == -np.inf
    mesh = surface.cut(lattice, found.level, thin - found.margin).as_trimesh()
    np.testing.assert_allclose(mesh.volume, 4 / 3 * np.pi * 0.8**3, rtol=0.03)


def test_an_empty_field_has_no_level():
    run = fog_run(peak=0.2, spread=SPREAD)
    lattice = sample_lattice(run, cells=12)
    assert fit(lattice, fog.thinnest(lattice), render_views(run, size_px=16), radius=4.0) is None


def test_views_are_the_pictures_of_the_field():
    run = fog_run(peak=PEAK, spread=SPREAD, n_steps=96)
    views = render_views(run, size_px=48)
    assert views.opacity.shape == (N_VIEWS, 48, 48) and views.poses.shape == (N_VIEWS, 3, 4)
    # The ray through a pixel passes the middle at a distance that the pose and the focal length tell.
    pixel = (np.arange(48) + 0.5 - 24) / views.focal
    tangent2 = pixel[:, None] ** 2 + pixel**2
    distance = 4.0 * np.sqrt(tangent2 / (1 + tangent2))
    expected = 1 - np.exp(-CENTRE_LINE * np.exp(-(distance**2) / (2 * SPREAD**2)))
    # Farther out the box cuts into the fog.
    np.testing.assert_allclose(
        views.opacity[:, distance < 0.8], np.tile(expected[distance < 0.8], (8, 1)), atol=5e-3
    )
    np.testing.assert_allclose(
        views.colour[views.masks], np.tile([0.2, 0.6, 0.4], (views.masks.sum(), 1)), atol=1e-3
    )


@pytest.mark.parametrize("opacity", [0.49, 0.51])
def test_a_mask_is_more_than_half_opaque(opacity):
    views = Views(np.zeros((1, 3, 4)), 1.0, np.zeros((1, 2, 2, 3)), np.full((1, 2, 2), opacity))
    assert views.masks.all() == (opacity > 0.5)
