"""Each term of the released loss, and its gradient, against float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful import pure_clip_losses as oracle
from faithful.closeness import assert_close
from faithful.pure_clip_grid import alpha_gradient, alpha_of, shift_constant

from voxjax.fields import activation, grid
from voxjax.schedules import transmittance_target
from voxjax.structs import VoxelGrid
from voxjax.training import losses
from voxjax.training.step import _add_total_variation

BOX = (np.full(3, -1.3), np.array([1.3, 1.4, 1.2]))
SHIFT = shift_constant()


def rounded(values):
    """Numbers that float32 holds exactly, so that both sides see the same."""
    return np.asarray(values, np.float32).astype(np.float64)


def with_gradient(function, *values):
    """(value, gradients) of a scalar function, compiled."""
    argnums = tuple(range(len(values)))
    given = [jnp.asarray(v, jnp.float32) for v in values]
    return jax.jit(jax.value_and_grad(function, argnums=argnums))(*given)


@pytest.fixture(scope="module")
def raw():
    """Raw density [x, y, z] around the surface, raw colour [x, y, z, 3]."""
    rng = np.random.default_rng(0)
    return rounded(rng.normal(size=(6, 7, 5)) * 4 + 12), rounded(rng.normal(size=(6, 7, 5, 3)) * 1.5)


def scene_of(density, colour):
    values = jnp.concatenate([jnp.asarray(density, jnp.float32)[..., None], jnp.asarray(colour)], axis=-1)
    lower, upper = (jnp.asarray(corner, jnp.float32) for corner in BOX)
    on = jnp.ones(density.shape, bool)
    return VoxelGrid(values.astype(jnp.float32), jnp.float32(SHIFT), on, lower, upper)


@pytest.mark.parametrize("interval", [0.5, 1.0, 2.52])
def test_opacity_and_its_slope(interval):
    raw = np.linspace(-12, 30, 201, dtype=np.float32)
    alpha = lambda x: activation.density_to_alpha(activation.raw_to_density(x, SHIFT), interval)  # noqa: E731
    assert_close(jax.jit(alpha)(raw), alpha_of(raw, interval))
    slope = jax.jit(jax.vmap(jax.grad(alpha)))(raw)
    assert_close(slope, alpha_gradient(raw, interval))
    thin = raw < 8
    relative = np.asarray(jax.jit(alpha)(raw))[thin] / alpha_of(raw, interval)[thin] - 1
    # In empty space too, up to the rounding of raw + shift.
    assert np.abs(relative).max() < 1e-5


def test_the_cosine_term():
    rng = np.random.default_rng(1)
    images = rounded(rng.normal(size=(5, 4, 4, 3)))
    matrix, text = rounded(rng.normal(size=(48, 8))), rounded(rng.normal(size=8))

    def term(x):
        embedding = x.reshape(5, -1) @ jnp.asarray(matrix, jnp.float32)
        unit = embedding / jnp.linalg.norm(embedding, axis=1, keepdims=True)
        return losses.clip_loss(unit, jnp.asarray(text / np.linalg.norm(text), jnp.float32))

    value, (gradient,) = with_gradient(term, images)
    assert float(value) == pytest.approx(oracle.clip_loss(images, matrix, text), rel=1e-5)
    assert_close(gradient, oracle.clip_loss_gradient(images, matrix, text))


@pytest.mark.parametrize("step", [1, 200, 400, 498, 900])
def test_the_transmittance_term_below_and_above_its_target(step):
    """Our annealing is two steps behind the release's, which counts on from 1 (its steps begin with 1)."""
    tau = transmittance_target()
    assert float(tau(step + 1)) == pytest.approx(1 - oracle.opacity_target(step), rel=1e-6)
    for level in (0.2, 0.97):
        light = rounded(np.random.default_rng(2).uniform(level - 0.02, level + 0.02, (6, 6)))
        value, (gradient,) = with_gradient(lambda t: losses.transmittance_loss(t, tau(step + 1)), light)
        assert float(value) == pytest.approx(oracle.transmittance_loss(light, step), rel=1e-6)
        expected = oracle.transmittance_gradient(light, step)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6)
        assert expected.any() == (level < 0.5)


def test_the_entropy_term_with_its_clamp():
    light = rounded(np.random.default_rng(3).uniform(0.01, 0.99, (6, 6)))
    light[0, :3] = 0.0, 1.0, 5e-7
    value, (gradient,) = with_gradient(losses.background_entropy, light)
    assert float(value) == pytest.approx(oracle.entropy_loss(light), rel=1e-5)
    assert_close(gradient, oracle.entropy_gradient(light))
    assert not np.asarray(gradient)[0, :3].any()


@pytest.mark.parametrize("ratio", [2.52, 1.0])
def test_the_sphere_prior_is_a_mean_over_all_vertices(raw, ratio):
    density, colour = raw
    prior = oracle.sphere_prior(BOX, density.shape)
    inside = grid.inside_sphere(*scene_of(*raw).lower[None], scene_of(*raw).upper, density.shape)
    np.testing.assert_array_equal(inside, prior)
    assert 0.1 < prior.mean() < 0.6

    def term(x):
        return losses.kl_sphere(grid.vertex_alpha(scene_of(x, colour), ratio), inside)

    value, (gradient,) = with_gradient(term, density)
    assert float(value) == pytest.approx(oracle.kl_loss(density, prior, ratio), rel=1e-5)
    expected = oracle.kl_gradient(density, prior, ratio)
    assert_close(gradient, expected)
    np.testing.assert_array_equal(np.asarray(gradient) == 0, expected == 0)


def test_variation_of_an_explicit_grid_acts_only_on_entries_with_a_gradient(raw):
    rng = np.random.default_rng(4)
    values = np.concatenate([raw[0][..., None] / 8, raw[1]], axis=-1)
    values = rounded(values)
    gradient = rounded(rng.normal(size=values.shape) * 1e-6 * (rng.random(values.shape) < 0.5))
    n_rays, weight = 50, 0.1
    scale = jnp.float32(weight * losses.tv_explicit_scale(values.shape, n_rays))
    got, term = jax.jit(_add_total_variation)(
        {"grid": jnp.asarray(values, jnp.float32)}, {"grid": jnp.asarray(gradient, jnp.float32)}, scale
    )
    parts = [values[..., 0], values[..., 1:]], [gradient[..., 0], gradient[..., 1:]]
    expected = [oracle.tv_explicit_gradient(v, g, weight, n_rays) for v, g in zip(*parts, strict=True)]
    assert_close(got["grid"][..., 0], expected[0])
    assert_close(got["grid"][..., 1:], expected[1])
    total = sum(oracle.tv_explicit_value(v, weight, n_rays) for v in parts[0])
    assert float(term) == pytest.approx(total, rel=1e-5)
    untouched = gradient == 0
    assert not np.asarray(got["grid"])[untouched].any() and 0.4 < untouched.mean() < 0.6
    # Both branches of the Huber function took part.
    differences = np.abs(np.diff(values, axis=0))
    assert (differences < 1).any() and (differences > 1).any()
    assert np.abs(expected[1] - gradient[..., 1:]).max() > 10 * np.abs(gradient).max()


def test_variation_of_an_implicit_grid(raw):
    density, colour = raw

    def term(x, y):
        scene = scene_of(x, y)
        return 0.2 * losses.tv_implicit(grid.vertex_alpha(scene, 1.0), grid.vertex_colour(scene))

    value, gradients = with_gradient(term, density, colour)
    assert float(value) == pytest.approx(oracle.tv_implicit_loss(density, colour), rel=1e-5)
    for got, expected in zip(gradients, oracle.tv_implicit_gradient(density, colour), strict=True):
        assert_close(got, expected)
