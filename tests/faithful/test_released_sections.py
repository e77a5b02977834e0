"""Sections of rays as Gaussians, in training and in pictures, against the release's unnormalised rays."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful import dream_fields_network as network
from faithful import dream_fields_scene as oracle
from faithful.dream_fields_basis import released_basis
from faithful.dream_fields_render import composite, render
from faithful.dream_fields_translation import rays as released_rays
from faithful.dream_fields_translation import to_package

from voxjax import cameras
from voxjax.fields import encoding
from voxjax.fields.mipnerf import MipNerf
from voxjax.rendering import cones
from voxjax.rendering.marching import march_image
from voxjax.rendering.sampling import flatten, positions_of
from voxjax.rendering.volume import render_placed

N, WIDTH, ANGLES = 8, 12, (25.0, 30.0)
NEAR_FAR = dict(zip(("near", "far"), cameras.near_far(4.0), strict=True))
ORIGIN = np.array([0.125, -0.25, 0.0625])  # exact in float32


def our_rays(multiplier):
    pose = cameras.orbit_pose(*ANGLES, 4.0)
    focal = cameras.focal_px(WIDTH, multiplier=multiplier)
    return flatten(cameras.camera_rays(pose, width_px=WIDTH, height_px=WIDTH, focal=focal))


def released(multiplier):
    return tuple(each.reshape(WIDTH**2, -1) for each in released_rays(*ANGLES, WIDTH, multiplier))


def placed(key, origin, **options):
    rule = {"section": "released", "jitter_ends": True, **options}
    box = {"lower": jnp.asarray(-1 - origin, jnp.float32), "upper": jnp.asarray(1 - origin, jnp.float32)}
    return cones.place_in_cones(our_rays(1.2), **box, **NEAR_FAR, n_samples=N, key=key, **rule)


def jitter_of(key, edges=N + 1):
    """The shifts of the edges [n_rays, edges] as the oracle's numbers in [0, 1)."""
    shift = jax.random.uniform(key, (edges, WIDTH**2), minval=-0.5, maxval=0.5)
    return np.asarray(shift, np.float64).T + 0.5


def covariances(placement, directions):
    d = np.asarray(directions, np.float64)
    outer = (d[:, :, None] * d[:, None])[None]
    along, across = (
        np.asarray(each, np.float64)[..., None, None]
        for each in (placement.variance_along, placement.variance_across)
    )
    return (along * outer + across * (np.eye(3) - outer)).swapaxes(0, 1)


@pytest.mark.parametrize("origin", [np.zeros(3), ORIGIN], ids=["still", "moved"])
@pytest.mark.parametrize("key", [None, jax.random.key(2)], ids=["even", "jittered"])
def test_means_covariances_and_lengths_of_sections_agree(key, origin):
    o, d, footprint = released(1.2)
    near, far = oracle.near_far(o + origin, d)
    t = oracle.section_edges(near, far, N, None if key is None else jitter_of(key))
    mean, cov = oracle.sections_to_gaussians(o + origin, d, footprint, t)
    ours, directions = placed(key, origin), our_rays(1.2).directions
    hit = far - near > 2 * oracle.MIN_INTERVAL
    assert 0.3 < hit.mean() < 1
    positions = np.asarray(positions_of(our_rays(1.2), ours.distance), np.float64).swapaxes(0, 1)
    np.testing.assert_allclose(positions[hit] + origin, mean[hit], rtol=0, atol=5e-6)
    inside = np.abs(mean).max(-1) <= 1
    np.testing.assert_array_equal(np.asarray(ours.valid).T, inside)
    difference = np.abs(covariances(ours, directions) - cov)[hit]
    assert difference.max() < 1e-5 * np.abs(cov[hit]).max()
    across = np.asarray(ours.variance_across, np.float64).T[hit]
    middle = 0.5 * (t[..., 1:] + t[..., :-1])[hit]
    np.testing.assert_allclose(across, (middle / oracle.focal_px(WIDTH, 1.2)) ** 2 / 144, rtol=1e-5)
    length = np.diff(t)[hit] * np.linalg.norm(d, axis=-1)[hit, None]
    np.testing.assert_allclose(np.asarray(ours.interval).T[hit], length, rtol=0, atol=1e-5 * length.max())


def test_sections_are_a_twelfth_of_those_of_mipnerf_across_the_ray():
    thin, wide = placed(None, np.zeros(3)), placed(None, np.zeros(3), section="mipnerf")
    valid = np.asarray(thin.valid)
    ratio = np.asarray(wide.variance_across)[valid] / np.asarray(thin.variance_across)[valid]
    assert 11.99 < np.median(ratio) < 12.1 and ratio.min() > 11.99


def test_all_edges_of_a_ray_move_and_the_two_ends_too():
    key = jax.random.key(4)
    even = np.arange(N + 1)[:, None] / N
    edges = np.asarray(cones.jittered_edges(key, N, WIDTH**2, ends=True), np.float64)
    unit = oracle.section_edges(np.zeros(WIDTH**2), np.ones(WIDTH**2), N, jitter_of(key))
    np.testing.assert_allclose(edges, unit.T, rtol=0, atol=1e-7)
    moved = (edges - even) * N
    assert (np.abs(moved).max(1) > 0.45).all() and (np.diff(edges, axis=0) >= 0).all()
    assert edges[0].min() < 0 < edges[0].max() and edges[-1].min() < 1 < edges[-1].max()


def random_params(seed=0):
    rng = np.random.default_rng(seed)
    params = network.init_params(rng)
    return {name: value + 0.05 * rng.standard_normal(value.shape) for name, value in params.items()}


def baked(params, origin):
    field = MipNerf()
    box = {"lower": jnp.asarray(-1 - origin, jnp.float32), "upper": jnp.asarray(1 - origin, jnp.float32)}
    scene = field.apply(
        {
            "params": to_package(params),
            "tracked": {"origin": jnp.asarray(origin, jnp.float32), "basis": encoding.released_basis()},
        },
        method="bake",
    )
    return field, dataclasses.replace(scene, **box)


@pytest.mark.parametrize("origin", [np.zeros(3), ORIGIN], ids=["still", "moved"])
def test_a_render_of_jittered_sections_and_its_centre_agree(origin):
    key, params = jax.random.key(6), random_params()
    field, scene = baked(params, origin)
    out = jax.jit(lambda scene: render_placed(field.query, scene, our_rays(1.2), placed(key, origin)))(scene)
    jitter = jitter_of(key)
    expected = render(params, released(1.2), released_basis(), N, jitter, origin)
    np.testing.assert_allclose(out.colour, expected["colour"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(1 - np.asarray(out.transmittance), expected["opacity"], rtol=0, atol=1e-5)
    # Ours is a place in the world, theirs one in the frame of the field.
    centre = expected["centre"]
    np.testing.assert_allclose(out.centroid + origin, centre, rtol=0, atol=1e-5 * np.abs(centre).max())
    assert np.abs(expected["centre"]).max() > 0.01 and np.ptp(expected["opacity"]) > 0.3


def test_a_picture_is_marched_through_the_same_gaussians():
    params, step = random_params(1), 0.5
    field, scene = baked(params, ORIGIN)
    rays = our_rays(1.0)
    box = {"lower": scene.lower, "upper": scene.upper}
    rule = {**NEAR_FAR, "step_size": step, "interval": step, "clip": (scene.lower, scene.upper)}
    picture = march_image(field.query, scene, rays, **box, **rule, section="released", chunk_rays=WIDTH**2)

    o, d, footprint = released(1.0)
    near, far = oracle.intersect_cube(o + ORIGIN, d)
    edges = near[:, None] + step * np.arange(9) / np.linalg.norm(d, axis=-1, keepdims=True)
    mean, cov = oracle.sections_to_gaussians(o + ORIGIN, d, footprint, edges)
    rgb, sigma = network.field(params, mean, cov, released_basis())
    colour, _, opacity = composite(rgb, sigma, d, edges)
    missed = (far <= near) | (np.abs(mean).max(-1) > 1).all(-1)
    assert 0 < missed.mean() < 0.9
    colour[missed], opacity[missed] = 0, 0
    # A middle that rounding puts on the other side of the box's face is a whole sample more or less.
    doubtful = (np.abs(np.abs(mean).max(-1) - 1) < 1e-5).any(-1)
    assert doubtful.mean() < 0.05
    np.testing.assert_allclose(picture.colour[~doubtful], colour[~doubtful], rtol=0, atol=1e-5)
    np.testing.assert_allclose(1 - picture.transmittance[~doubtful], opacity[~doubtful], rtol=0, atol=1e-5)
