"""Three whole steps of Dream Fields as released, against a float64 step with the same draws.

The network, its basis and its rates are those of the release; the picture is small, and a matrix stands in
for CLIP. Losses, gradients, moments, parameters and the origin are compared after each step.
"""

from __future__ import annotations

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from faithful import dream_fields_network as network
from faithful.dream_fields_basis import released_basis
from faithful.dream_fields_gradient import loss_gradient
from faithful.dream_fields_parts import config_of, linear_guides, parts_of
from faithful.dream_fields_step import step_losses
from faithful.dream_fields_translation import step_draws, to_oracle, to_package
from faithful.dream_fields_update import (
    adam_init,
    adam_update,
    learning_rate,
    opacity_target,
    origin_update,
    train_step,
)

from voxjax.factory import make_plan
from voxjax.fields import encoding
from voxjax.training import assembly
from voxjax.training.step import make_step

WIDTH, CROP, CLIP_PX, SAMPLES, IMAGES, N_STEPS = 14, 12, 24, 10, 3, 3
KEY = jax.random.key(3)
SIZES = {
    "cameras__width_px": WIDTH,
    "augment__crop_px": WIDTH - CROP,
    "augment__n_back": IMAGES,
    "dream_fields__n_samples": SAMPLES,
}


@functools.cache
def start():
    """Parameters away from where they start, so that scales and biases take part; matrix and text."""
    rng = np.random.default_rng(0)
    params = network.init_params(rng)
    for name, value in params.items():
        params[name] = np.float32(value + 0.05 * rng.standard_normal(value.shape)).astype(np.float64)
    matrix = rng.standard_normal((16, CLIP_PX**2 * 3)) / CLIP_PX
    text = rng.standard_normal(16)
    matrix, text = np.float32(matrix), np.float32(text / np.linalg.norm(text))
    return params, matrix.astype(np.float64), text.astype(np.float64)


def keeping_gradients(optimiser):
    """The optimiser, with the latest gradients at the end of its state."""

    def init(params):
        return (*optimiser.init(params), jax.tree.map(jnp.zeros_like, params))

    def update(gradients, state, params=None):
        updates, inner = optimiser.update(gradients, state[:-1], params)
        return updates, (*inner, gradients)

    return optax.GradientTransformation(init, update)


def first_state(config, plan, optimiser):
    """The state before the first step with `start`'s parameters; not compiled, as the original would be."""
    state = jax.eval_shape(functools.partial(assembly.first_state, config, plan), jax.random.key(5))
    params = jax.tree.map(jnp.asarray, to_package(start()[0]))
    chex.assert_trees_all_equal_shapes_and_dtypes(params, state.params)
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)
    tracked = {**state.tracked, "basis": encoding.released_basis()}
    return dataclasses.replace(state, params=params, tracked=tracked, opt_state=optimiser.init(params))


@functools.cache
def our_step(variant, **changes):
    """(jitted step, state before the first one, inputs) of the package."""
    config = config_of(variant, **{**SIZES, **changes})
    guides = linear_guides(config, CLIP_PX, *start()[1:])
    parts = parts_of(config, guides)
    parts = dataclasses.replace(parts, optimiser=keeping_gradients(parts.optimiser))
    state = first_state(config, make_plan(config), parts.optimiser)
    return jax.jit(make_step(parts)), state, guides.inputs(KEY, (0,))


def our_steps(variant, **changes):
    """(metrics, state) after each step of the package."""
    step, state, inputs = our_step(variant, **changes)
    results = []
    for _ in range(N_STEPS):
        state, metrics = step(state, inputs)
        results.append((metrics, state))
    return results


def released_loss(params, step):
    """(losses, centre, gradient) of the oracle in one step."""
    _, matrix, text = start()
    sizes = {"width_px": WIDTH, "n_samples": SAMPLES, "n_images": IMAGES}
    draws = step_draws(KEY, step, **sizes, taken=WIDTH - CROP, size=CLIP_PX)
    given = (params, step, draws.theta, draws.jitter, draws.images, text, matrix, released_basis())
    losses, seen = step_losses(*given, WIDTH, CROP, CLIP_PX, SAMPLES)
    pictures = (seen["images"], seen["colour"], seen["opacity"])
    return losses, seen["centre"], loss_gradient(*given, *pictures, crop_width=CROP, samples=SAMPLES)


@functools.cache
def released_steps():
    """(losses, gradient, Adam's state, parameters, origin) after each step of the oracle."""
    params, origin, results = start()[0], np.zeros(3), []
    adam = adam_init(params)
    for step in range(N_STEPS):
        losses, centre, gradient = released_loss(params, step)
        params, adam, losses, accepted = train_step(params, adam, gradient, losses, step)
        assert accepted
        origin = origin_update(origin, centre)
        results.append((losses, gradient, adam, params, origin))
    return results


@pytest.fixture(scope="module")
def pairs():
    """(package, oracle) after each step."""
    return list(zip(our_steps("lq-released"), released_steps(), strict=True))


def distance(ours, theirs):
    """Largest difference of any array, as a share of the largest value of that array."""
    assert ours.keys() == theirs.keys()
    return max(np.abs(ours[k] - theirs[k]).max() / np.abs(theirs[k]).max() for k in theirs)


def test_every_term_of_the_loss_agrees(pairs):
    for step, ((metrics, _), (losses, *_)) in enumerate(pairs):
        for ours, theirs in {
            "loss": "loss",
            "loss/clip": "clip_loss",
            "loss/transmittance": "transmittance",
            "gradient/network": "grad_norm",
        }.items():
            assert float(metrics[ours]) == pytest.approx(losses[theirs], rel=1e-5), ours
        assert float(metrics["transmittance"]) == pytest.approx(1 - losses["acc_mean"], rel=1e-5)
        assert float(metrics["tau"]) == pytest.approx(1 - opacity_target(step), rel=1e-5)
        assert float(metrics["loss/entropy"]) == 0


def test_the_gradient_of_every_parameter_agrees(pairs):
    for (_, state), (_, gradient, *_) in pairs:
        assert distance(to_oracle(state.opt_state[-1]), gradient) < 1e-5


def test_the_moments_of_adam_agree(pairs):
    for (_, state), (_, _, adam, *_) in pairs:
        assert int(state.opt_state[0].updates) == adam["count"]
        assert distance(to_oracle(state.opt_state[0].m), adam["m"]) < 1e-5
        assert distance(to_oracle(state.opt_state[0].v), adam["v"]) < 1e-5


@pytest.mark.parametrize("name", ["early/kernel", "block1/norm/scale", "block3/a/kernel", "out/bias"])
def test_the_gradient_of_the_oracle_is_the_slope_of_its_loss(name):
    params = start()[0]
    _, _, gradient = released_loss(params, 0)
    way = np.random.default_rng(1).standard_normal(params[name].shape)
    low, high = (released_loss({**params, name: params[name] + h * way}, 0)[0]["loss"] for h in (-1e-5, 1e-5))
    assert (high - low) / 2e-5 == pytest.approx((gradient[name] * way).sum(), rel=1e-5, abs=1e-8)


def entries(params):
    return np.concatenate([np.ravel(params[name]) for name in sorted(params)])


def last_place(params):
    return np.spacing(np.abs(entries(params)).astype(np.float32)).astype(np.float64)


def test_the_parameters_agree_after_every_update(pairs):
    """Float32 noise of the large gradients is a visible share of a gradient below epsilon: of few entries."""
    rate = 0.0
    for i, ((_, state), (*_, params, _)) in enumerate(pairs):
        rate += learning_rate(i)
        assert np.abs(entries(params) - entries(start()[0])).max() > 0.9 * rate
        difference = np.abs(entries(to_oracle(state.params)) - entries(params))
        beyond_rounding = difference - (i + 1) * last_place(params)
        assert (beyond_rounding > 1e-5 * rate).mean() < 0.005
        assert beyond_rounding.max() < 0.01 * rate


def test_each_update_is_that_of_the_released_adam(pairs):
    """The oracle's update by the package's own gradients: the same to the rounding of a parameter."""
    params, adam = start()[0], adam_init(start()[0])
    for i, ((_, state), _) in enumerate(pairs):
        after, adam = adam_update(params, to_oracle(state.opt_state[-1]), adam, learning_rate(i))
        ours = to_oracle(state.params)
        beyond_rounding = np.abs(entries(ours) - entries(after)) - 0.5 * last_place(after)
        assert beyond_rounding.max() < 1e-5 * np.abs(entries(after) - entries(params)).max()
        params = ours


def test_the_origin_that_pictures_see_agrees(pairs):
    for (_, state), (*_, origin) in pairs:
        np.testing.assert_allclose(state.tracked["origin"], origin, rtol=0, atol=1e-5 * np.abs(origin).max())


def test_a_scene_emptier_than_its_target_is_not_pushed_any_further():
    step, state, inputs = our_step("lq-released")
    params = {**start()[0]}
    params["out/bias"] = params["out/bias"] - np.array([0, 0, 0, 3.0])
    params = to_oracle(to_package(params))
    state = dataclasses.replace(state, params=jax.tree.map(jnp.asarray, to_package(params)))
    state, metrics = step(state, inputs)
    losses, _, gradient = released_loss(params, 0)
    assert losses["trans_mean_clipped"] == 1 - opacity_target(0)
    assert float(metrics["loss"]) == pytest.approx(losses["loss"], rel=1e-5)
    assert float(metrics["loss/transmittance"]) == pytest.approx(-0.5 * 0.4, rel=1e-5)
    assert distance(to_oracle(state.opt_state[-1]), gradient) < 1e-5


def test_a_step_that_is_not_finite_moves_nothing_but_the_number_of_the_step():
    step, state, inputs = our_step("lq-released")
    state, _ = step(state, inputs)
    bad = inputs.replace(text=(inputs.text[0] * jnp.nan,))
    after, _ = step(state, bad)
    before = (state.params, state.opt_state[:-1], state.tracked)
    chex.assert_trees_all_equal((after.params, after.opt_state[:-1], after.tracked), before)
    assert (int(after.step), int(after.skipped)) == (2, 1)
    _, metrics = step(after, inputs)
    assert float(metrics["tau"]) == pytest.approx(1 - opacity_target(2), rel=1e-5)
