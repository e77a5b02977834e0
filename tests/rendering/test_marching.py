"""Marching against the float64 renderer of loops, and against itself with other chunks and boxes."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import voxel_oracles as oracle
from helpers.voxel_scenes import make_rays

from voxjax.fields import grid
from voxjax.rendering.marching import march_image
from voxjax.structs import Rays, VoxelGrid

LOWER, UPPER = np.array([-1.0, -1.2, -0.8], np.float32), np.array([1.0, 0.8, 1.1], np.float32)
BOX = (jnp.asarray(LOWER), jnp.asarray(UPPER))
SPACING = {"near": 2.2, "far": 5.8, "step_size": 0.13}
INTERVAL = 0.6


def scene_of(values, occupancy=None):
    occupancy = np.ones(values.shape[:3], bool) if occupancy is None else occupancy
    return VoxelGrid(jnp.asarray(values), jnp.float32(-0.5), jnp.asarray(occupancy), *BOX)


def random_values(seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(6, 5, 7, 4)).astype(np.float32) * 2.0
    values[..., 0] += 1.0
    return values


def march(scene, rays, *, clip=BOX, chunk_rays=16):
    return march_image(
        grid.query_voxels,
        scene,
        rays,
        **SPACING,
        interval=INTERVAL,
        lower=BOX[0],
        upper=BOX[1],
        clip=clip,
        chunk_rays=chunk_rays,
    )


def by_loops(scene, rays):
    pairs = list(zip(np.asarray(rays.origins, float), np.asarray(rays.directions, float), strict=True))
    values, on = np.asarray(scene.values, np.float64), np.asarray(scene.occupancy)
    box = (LOWER.astype(np.float64), UPPER.astype(np.float64))
    return oracle.render(values, -0.5, on, pairs, *box, **SPACING, interval=INTERVAL)[:3]


@pytest.mark.parametrize("dense", [0.0, 40.0])
def test_equals_the_loops(dense):
    """Thin (every sample is reached) and so dense that rays stop after a few samples."""
    values = random_values()
    values[..., 0] += dense
    scene = scene_of(values, np.random.default_rng(2).random(values.shape[:3]) < 0.8)
    rays = make_rays(n=37, seed=1)
    out = march(scene, rays)
    colour, transmittance, depth = by_loops(scene, rays)
    assert transmittance.min() < (1e-6 if dense else 0.5) and transmittance.max() == 1.0
    np.testing.assert_allclose(out.colour, colour, atol=3e-6)
    np.testing.assert_allclose(out.transmittance, transmittance, atol=1e-6)
    np.testing.assert_allclose(out.depth, depth, atol=2e-5)
    assert int(out.overflow) == 0


def test_chunks_and_a_tight_box_change_nothing():
    values = random_values(seed=3)
    empty = np.ones(values.shape[:3], bool)
    empty[2:5, 1:4, 2:5] = False
    values[empty, 0] = -40.0
    scene = scene_of(values)
    clip = grid.occupied_box(grid.without_empty(scene, INTERVAL))
    assert np.prod(np.asarray(clip[1] - clip[0])) < 0.8 * np.prod(UPPER - LOWER)
    rays = make_rays(n=36)
    shaped = Rays(rays.origins.reshape(4, 9, 3), rays.directions.reshape(4, 9, 3))
    whole, tight = march(scene, rays), march(scene, shaped, clip=clip)
    assert whole.transmittance.min() < 0.9
    assert tight.colour.shape == (4, 9, 3) and tight.depth.shape == tight.transmittance.shape == (4, 9)
    np.testing.assert_allclose(tight.colour.reshape(-1, 3), whole.colour, atol=1e-6)
    np.testing.assert_allclose(tight.transmittance.ravel(), whole.transmittance, atol=1e-6)
    np.testing.assert_allclose(tight.depth.ravel(), whole.depth, atol=1e-5)


def test_nothing_is_the_background():
    values = random_values()
    scene = scene_of(values, np.zeros(values.shape[:3], bool))
    out = march(scene, make_rays(n=37, seed=1), clip=grid.occupied_box(scene))
    assert not out.colour.any() and not out.depth.any()
    assert np.all(out.transmittance == 1.0)
    with pytest.raises(ValueError, match="chunk_rays"):
        march(scene, make_rays(n=37, seed=1), chunk_rays=0)
