"""What changes with the step in Dream Fields: rate, opacity target, width of the Gaussians; and its Adam."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful import dream_fields_update as oracle
from faithful.dream_fields_network import ipe_scale
from faithful.dream_fields_parts import config_of, parts_of

from voxjax.factory import make_plan, make_stage_field
from voxjax.training.assembly import make_optimiser_options
from voxjax.training.optimiser import make_optimiser

STEPS = (0, 1, 100, 250, 499, 500, 501, 750, 999, 1000, 1499, 1500, 1501, 5000, 9999)
VARIANTS = ["lq", "mq-released", "hq-released"]


def scale_of(config, step, *, training=True):
    """The factor on the Gaussians that a scene is baked with."""
    plan = make_plan(config)
    field = make_stage_field(config, plan, plan.stage_at(0), training=training)
    shapes = jax.eval_shape(lambda key: field.init(key, method="bake"), jax.random.key(0))
    variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    variables["tracked"]["steps"] = jnp.int32(step)
    return float(field.apply(variables, method="bake").scale)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_rate_rises_exponentially_and_stays(variant):
    rate = parts_of(config_of(variant)).rate
    np.testing.assert_allclose(
        [float(rate(step)) for step in STEPS], [oracle.learning_rate(step) for step in STEPS], rtol=1e-5
    )
    assert float(rate(750)) == pytest.approx(math.sqrt(1e-9), rel=1e-5)
    assert float(rate(1500)) == float(rate(10**5)) == pytest.approx(1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_opacity_target_is_annealed_and_scaled_by_the_camera(variant):
    tau = parts_of(config_of(variant)).tau
    np.testing.assert_allclose(
        [1 - float(tau(step)) for step in STEPS],
        [oracle.opacity_target(step) for step in STEPS],
        rtol=0,
        atol=1e-6,
    )
    assert float(tau(0)) == pytest.approx(0.4) and float(tau(500)) == pytest.approx(0.88)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_gaussians_shrink_from_twice_their_size(variant):
    config = config_of(variant)
    for step in (0, 1, 500, 999, 1000, 5000):
        assert scale_of(config, step) == pytest.approx(ipe_scale(step), rel=1e-5)
    assert ipe_scale(0) == 2 and ipe_scale(500) == pytest.approx(math.sqrt(2)) and ipe_scale(1000) == 1


def test_pictures_see_gaussians_of_their_own_size():
    """Renders of the release are never widened, whatever the step of training."""
    assert scale_of(config_of("lq-released"), 0, training=False) == 1


def test_under_released_a_longer_or_shorter_run_moves_no_schedule():
    for steps in (500, 4000):
        released, default = (parts_of(config_of(v, steps=steps)) for v in ("lq-released", "lq"))
        for step in (100, 400, 499):
            assert float(released.rate(step)) == pytest.approx(oracle.learning_rate(step), rel=1e-5)
            assert float(released.tau(step)) == pytest.approx(1 - oracle.opacity_target(step), rel=1e-5)
            assert float(default.rate(step)) != pytest.approx(oracle.learning_rate(step), rel=1e-2)
        config = config_of("lq-released", steps=steps)
        assert scale_of(config, 400) == pytest.approx(ipe_scale(400), rel=1e-5)


def test_the_rises_of_the_text_are_others():
    rate = parts_of(config_of("lq-text")).rate
    assert float(rate(750)) == pytest.approx(5.5e-5, rel=1e-5), "linear"
    assert scale_of(config_of("lq-text"), 0) == 1


def test_adam_adds_its_epsilon_to_the_corrected_root():
    rng = np.random.default_rng(0)
    optimiser = make_optimiser(make_optimiser_options(config_of("lq-released")))
    # From zero, so that an update is known to float32 and not only to the last place of a parameter.
    params = {"w": np.zeros(64)}
    tree = {"network": {"w": jnp.zeros(64)}}
    state, expected = optimiser.init(tree), oracle.adam_init(params)
    sizes = 10.0 ** rng.integers(-8, 0, 64)
    update = jax.jit(optimiser.update)
    for step in range(6):
        gradient = np.float32(sizes * rng.standard_normal(64))
        after, expected = oracle.adam_update(
            params, {"w": gradient.astype(np.float64)}, expected, oracle.learning_rate(step)
        )
        updates, state = update({"network": {"w": jnp.asarray(gradient)}}, state)
        np.testing.assert_allclose(updates["network"]["w"], after["w"] - params["w"], rtol=1e-5)
        params = after
    # The other form would move what has small gradients a thirtieth as far at the first update.
    assert not make_optimiser_options(config_of("lq")).eps_uncorrected
