"""The traced step: it replays, it skips what is not finite, and it leaves alone what no ray touched.

One real step (fields, renderer, augmentations, CLIP, losses, Adam) is compiled for the whole file; the rest
runs on parts that are small enough to be worked out by hand in NumPy.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.plain_steps import plain_descent, plain_inputs, plain_parts, plain_state
from helpers.small_training import ROOT, overrides

from voxjax.checkpoint import Checkpoints, to_state
from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.training import assembly
from voxjax.training.guides import load_guides
from voxjax.training.optimiser import OptimiserOptions, make_optimiser
from voxjax.training.room import choose_room
from voxjax.training.step import make_step


@pytest.fixture(scope="module")
def real(tiny_clip):
    """(step, state before it, inputs) of a config whose narrow camera misses most of the grid."""
    pairs = overrides(
        tiny_clip,
        cameras__azimuth_deg=(0.0, 0.0),
        cameras__elevation_deg=(0.0, 0.0),
        cameras__focal_multiplier=3.0,
        progressive__boundaries=(),
        progressive__occupancy_every=0.0,
        loss__kl=0.0,
        loss__tv=1000.0,
        clip2__model=tiny_clip,
        clip__micro_batch=1,
        augment__persp=True,
        augment__batch_resize=True,
        optimiser__max_bad_steps=2,
    )
    config = load(f"{ROOT}/configs/base.py", pairs)
    plan, key = make_plan(config), jax.random.key(0)
    state = assembly.first_state(config, plan, key)
    # A field that is not symmetric and not empty, so that every gradient has a direction of its own.
    noise = jax.random.normal(jax.random.key(1), state.params["grid"].shape)
    state = dataclasses.replace(state, params={**state.params, "grid": noise})
    guides = load_guides([config])[0]
    inputs = guides.inputs(key, (0, 1))
    stage = plan.stage_at(0)
    room = choose_room(config, plan, stage, state.tracked)
    assert room.all_on
    parts = assembly.make_parts(config, plan, stage, room, guides, (0, 1))
    return jax.jit(make_step(parts)), state, inputs


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))


def test_a_step_saved_and_restored_repeats_bit_for_bit(real, tmp_path):
    step, state, inputs = real
    once, _ = step(state, inputs)
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(once)
    twice, metrics = step(once, inputs)
    restored = to_state(checkpoints.restore_latest(), opt_state=state.opt_state)
    checkpoints.close()
    again, metrics_again = step(restored, inputs)
    assert_same((twice, metrics), (again, metrics_again))
    assert int(twice.step) == 2 and not np.array_equal(once.params["grid"], twice.params["grid"])


def test_draws_change_with_the_step_and_with_the_key(real):
    step, state, inputs = real
    _, first = step(state, inputs)
    _, later = step(dataclasses.replace(state, step=jnp.int32(1)), inputs)
    _, other = step(state, inputs.replace(key=jax.random.key(9)))
    assert len({float(m["loss/clip"]) for m in (first, later, other)}) == 3


def test_terms_add_up_and_nothing_overflows(real):
    step, state, inputs = real
    _, metrics = step(state, inputs)
    terms = {name: float(value) for name, value in metrics.items() if name.startswith("loss/")}
    assert set(terms) == {
        f"loss/{name}" for name in ("clip", "clip2", "transmittance", "kl", "entropy", "tv")
    }
    assert float(metrics["loss"]) == pytest.approx(sum(terms.values()), abs=1e-5)
    assert terms["loss/clip"] == pytest.approx(-float(metrics["clip_similarity"]), abs=1e-6)
    assert float(metrics["overflow"]) == 0 and terms["loss/tv"] > 0
    assert all(np.isfinite(float(value)) for value in metrics.values())


def test_the_second_model_counts_half(real):
    step, state, inputs = real
    _, metrics = step(state, inputs)
    assert float(metrics["loss/clip2"]) == pytest.approx(0.5 * float(metrics["loss/clip"]), rel=1e-6)


def test_untouched_vertices_keep_value_and_memory(real):
    step, state, inputs = real
    after, _ = step(state, inputs)
    moved = np.asarray(after.params["grid"] != state.params["grid"])
    first = np.asarray(after.opt_state[0].m["grid"])
    second = np.asarray(after.opt_state[0].v["grid"])
    # The camera looks along x with a third of the usual field of view: the outer y and z are out of sight.
    assert not moved[:, 0].any() and not moved[:, :, 0].any()
    assert 0.02 < moved.mean() < 0.6
    np.testing.assert_array_equal(moved, first != 0)
    assert not second[~moved].any()


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_is_skipped_and_counted(real, where):
    step, state, inputs = real
    if where == "loss":
        bad_state, bad = state, inputs.replace(text=(inputs.text[0] * jnp.nan, inputs.text[1]))
    else:  # a huge difference of neighbours: the term stays finite, its sum does not
        grid = state.params["grid"].at[5, 5, 5].set(3e38).at[5, 5, 6].set(-3e38)
        bad_state, bad = dataclasses.replace(state, params={**state.params, "grid": grid}), inputs
    once, metrics = step(bad_state, bad)
    assert not np.isfinite(float(metrics["loss"]))
    assert_same((once.params, once.opt_state), (bad_state.params, bad_state.opt_state))
    assert (int(once.step), int(once.skipped), int(once.skipped_in_row)) == (1, 1, 1)
    if where == "loss":
        good, _ = step(once, inputs)
        assert (int(good.step), int(good.skipped), int(good.skipped_in_row)) == (2, 1, 0)
        assert not np.array_equal(good.params["grid"], once.params["grid"])


def test_after_too_many_bad_steps_nothing_moves(real):
    step, state, inputs = real
    bad = inputs.replace(text=(inputs.text[0] * jnp.nan, inputs.text[1]))
    for _ in range(2):
        state, _ = step(state, bad)
    stuck, metrics = step(state, inputs)
    assert_same((stuck.params, stuck.opt_state), (state.params, state.opt_state))
    assert int(stuck.skipped_in_row) == 3 and float(metrics["skipped_in_row"]) == 3


def test_the_contrastive_objective_against_numpy():
    guide = dataclasses.replace(plain_parts().guides[0], contrastive_scale=3.0)
    parts = plain_parts(guides=(guide,))
    inputs, state = plain_inputs(), plain_state(parts)
    _, metrics = jax.jit(make_step(parts))(state, inputs)

    camera_key, _ = jax.random.split(jax.random.fold_in(inputs.key, 0))
    colour = np.asarray(
        parts.render(camera_key, parts.bake(state.params, state.tracked))[0].colour, np.float64
    )
    embeddings = 1.5 * np.concatenate([colour, colour * 0.5]).mean((1, 2))
    texts = np.concatenate([np.asarray(inputs.text[0]), np.asarray(inputs.negatives[0])]).astype(np.float64)
    logits = 3.0 * embeddings @ texts.T
    probability = np.exp(logits[:, 0]) / np.exp(logits).sum(1)
    assert float(metrics["loss/clip"]) == pytest.approx(2.0 * np.mean(-np.log(probability)), rel=1e-5)
    assert float(metrics["clip_similarity"]) == pytest.approx(np.mean(embeddings @ texts[0]), rel=1e-5)


def test_the_update_of_the_plain_parts_by_finite_differences():
    parts = plain_parts(optimiser=plain_descent())
    state, inputs = plain_state(parts), plain_inputs()
    step = jax.jit(make_step(parts))
    after, metrics = step(state, inputs)
    gradient = np.asarray(state.params["grid"] - after.params["grid"], np.float64)
    assert not gradient[..., 0].any()
    for index in [(0, 1, 0, 1), (1, 0, 1, 2), (1, 1, 1, 3)]:
        ends = []
        for sign in (1, -1):
            moved = state.params["grid"].at[index].add(sign * 1e-2)
            ends.append(float(step(dataclasses.replace(state, params={"grid": moved}), inputs)[1]["loss"]))
        assert gradient[index] == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=2e-3, abs=1e-6)
    assert float(metrics["gradient/colour"]) == pytest.approx(np.linalg.norm(gradient[..., 1:]), rel=1e-4)


@pytest.mark.parametrize("uncorrected", [True, False])
def test_masked_adam_against_numpy(uncorrected):
    rng = np.random.default_rng(5)
    rates = {"rate_density": 0.2, "rate_colour": 0.05, "rate_shift": 0.3, "rate_network": 0.01}
    optimiser = make_optimiser(OptimiserOptions(**rates, decay_steps=7, eps_uncorrected=uncorrected))
    params = {
        "grid": rng.standard_normal((2, 3, 2, 4)),
        "density_shift": rng.standard_normal(()),
        "dense": {"kernel": rng.standard_normal((3, 2))},
    }
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    state, update = optimiser.init(params), jax.jit(optimiser.update)
    flat, _ = jax.tree.flatten(params)
    rates = [np.full((3, 2), 0.01), np.float64(0.3), np.array([0.2, 0.05, 0.05, 0.05])]
    x = [np.asarray(leaf, np.float64) for leaf in flat]
    m, v = [np.zeros_like(a) for a in x], [np.zeros_like(a) for a in x]
    for t in range(1, 6):
        g = [rng.standard_normal(a.shape) * 10.0 ** rng.integers(-9, 3) for a in x]
        g[2] = np.where(rng.random(g[2].shape) < 0.4, 0.0, g[2])
        if t == 3:
            g[0], g[1] = g[0] * 0, g[1] * 0  # what is no grid moves on by its memory
        g = [np.asarray(a, np.float32).astype(np.float64) for a in g]
        gradients = jax.tree.unflatten(jax.tree.structure(params), [jnp.asarray(a, jnp.float32) for a in g])
        updates, state = update(gradients, state)
        params = optax.apply_updates(params, updates)
        for i in range(3):
            touched = g[i] != 0 if i == 2 else np.ones(g[i].shape, bool)
            m[i] = np.where(touched, 0.9 * m[i] + 0.1 * g[i], m[i])
            v[i] = np.where(touched, 0.99 * v[i] + 0.01 * g[i] ** 2, v[i])
            if uncorrected:
                direction = m[i] / (1 - 0.9**t) * np.sqrt(1 - 0.99**t) / (np.sqrt(v[i]) + 1e-8)
            else:
                direction = (m[i] / (1 - 0.9**t)) / (np.sqrt(v[i] / (1 - 0.99**t)) + 1e-8)
            x[i] = x[i] - np.where(touched, rates[i] * 0.1 ** ((t - 1) / 7) * direction, 0.0)
        for ours, theirs in zip(jax.tree.leaves(params), x, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)
    assert int(state[0].updates) == 5


def test_mean_gradients_of_the_grid_are_told_where_they_are_asked_for():
    """Under plain descent with rate 1 the gradient is what a step takes away."""
    for asked in (False, True):
        parts = plain_parts(optimiser=plain_descent(), field_gradients=asked)
        state = plain_state(parts)
        after, metrics = make_step(parts)(state, plain_inputs())
        moved = np.abs(np.asarray(state.params["grid"], np.float64) - np.asarray(after.params["grid"]))
        assert moved[..., 1:].min() > 0
        wanted = {
            "gradient/mean_density": moved[..., 0].mean(),
            "gradient/mean_colour": moved[..., 1:].mean(),
        }
        assert {name for name in metrics if "mean_" in name} == (set(wanted) if asked else set())
        for name in wanted if asked else ():
            np.testing.assert_allclose(metrics[name], wanted[name], rtol=1e-5)
