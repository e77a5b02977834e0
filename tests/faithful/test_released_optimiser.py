"""The released Adam against float64: where eps stands, what is masked, the decay, and the start afresh."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from faithful.closeness import assert_close
from faithful.pure_clip_optimiser import adam_count, adam_step, learning_rate

from voxjax.config.loading import load
from voxjax.training.assembly import make_optimiser_options
from voxjax.training.optimiser import make_optimiser, updates_made


def released(spec="configs/vox_exp.py:released", **changes):
    options = make_optimiser_options(load(spec, [("prompt", "a ball")]))
    return make_optimiser(type(options)(**{**vars(options), **changes})), options


@pytest.fixture(scope="module")
def history():
    """Gradients of six updates of a grid and of a network's weights, from 1e-10 to 10; some exactly zero."""
    rng = np.random.default_rng(0)
    steps = []
    for _ in range(6):
        grid = rng.normal(size=(3, 4, 2, 4)) * 10.0 ** rng.integers(-10, 2, (3, 4, 2, 4))
        grid[rng.random(grid.shape) < 0.4] = 0.0
        weights = rng.normal(size=(3, 5)) * 10.0 ** rng.integers(-10, 2, (3, 5))
        weights[rng.random(weights.shape) < 0.4] = 0.0
        steps.append({"grid": grid, "density": {"kernel": weights}})
    return [jax.tree.map(lambda x: np.asarray(x, np.float32), each) for each in steps]


def follow(history, *, eps_inside=True):
    """Parameters after each update, by the oracle, from zero; grids are masked, networks are not."""
    leaves = [[np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(each)] for each in history]
    masked = [leaf.ndim == 4 for leaf in leaves[0]]
    state = [[np.zeros(leaf.shape)] * 3 for leaf in leaves[0]]
    for t, gradients in enumerate(leaves, start=1):
        for i, g in enumerate(gradients):
            rate = learning_rate(t, 0.1 if masked[i] else 5e-3)
            state[i] = adam_step(
                state[i][0], g, *state[i][1:], t, rate, masked=masked[i], eps_inside=eps_inside
            )
        yield [list(each) for each in state]


def test_six_updates_of_a_grid_and_a_network(history):
    optimiser, _ = released()
    params = jax.tree.map(jnp.zeros_like, history[0])
    state, update = optimiser.init(params), jax.jit(optimiser.update)
    for gradients, expected in zip(history, follow(history), strict=True):
        updates, state = update(gradients, state)
        params = optax.apply_updates(params, updates)
        for i, tree in enumerate((params, state[0].m, state[0].v)):
            for ours, theirs in zip(jax.tree.leaves(tree), expected, strict=True):
                assert_close(ours, theirs[i])
                if i:  # moments, entry by entry, over twenty orders of magnitude
                    np.testing.assert_allclose(ours, theirs[i], rtol=1e-5, atol=1e-24)
    untouched = np.all([each["grid"] == 0 for each in history], axis=0)
    assert not np.asarray(params["grid"])[untouched].any()


def test_eps_is_added_to_the_root_before_its_correction():
    """At the first update a gradient of the size of eps moves an entry by a tenth of the rate."""
    moved = {}
    for inside in (True, False):
        optimiser, _ = released(eps_uncorrected=inside)
        gradient = {"grid": jnp.full((1, 1, 1, 4), 1e-8)}
        update, _ = jax.jit(optimiser.update)(gradient, optimiser.init(gradient))
        zero = np.zeros((1, 1, 1, 4))
        g = np.full((1, 1, 1, 4), np.float64(np.float32(1e-8)))
        expected, _, _ = adam_step(zero, g, zero, zero, 1, 0.1, eps_inside=inside)
        assert_close(update["grid"], expected)
        moved[inside] = -float(update["grid"][0, 0, 0, 0]) / 0.1
    assert moved == pytest.approx({True: 1 / 11, False: 0.5}, rel=1e-4)


@pytest.mark.parametrize("spec", ["configs/vox_exp.py:released", "configs/vox_imp.py:mid-released"])
def test_the_numbers_are_the_released_ones(spec):
    _, options = released(spec)
    assert (options.beta1, options.beta2, options.eps) == (0.9, 0.99, 1e-8)
    assert options.eps_uncorrected and options.warmup_steps == 0
    assert (options.rate_density, options.rate_colour, options.rate_network) == (0.1, 0.1, 5e-3)


def test_the_rate_falls_tenfold_in_20000_updates_and_begins_anew_at_a_rescaling():
    _, options = released()
    factor = jax.jit(options.factor())
    for step in (1, 2, 4999, 5000, 6999, 7000, 11000, 15000):
        # The updates that lie behind the one of this step, since the optimiser was made.
        behind = adam_count(step) - 1
        assert 0.1 * float(factor(behind)) == pytest.approx(learning_rate(step, 0.1), rel=1e-6)
    optimiser, _ = released()
    params = {"grid": jnp.zeros((1, 1, 1, 4))}
    state = optimiser.init(params)
    for _ in range(3):
        _, state = optimiser.update(jax.tree.map(jnp.ones_like, params), state)
    assert int(updates_made(state)) == 3 and int(updates_made(optimiser.init(params))) == 0


def test_a_shorter_run_decays_as_slowly():
    for steps in (100, 15000, 40000):
        config = load("configs/vox_exp.py:released", [("prompt", "a ball"), ("steps", str(steps))])
        assert make_optimiser_options(config).decay_steps == 20000
    assert (
        make_optimiser_options(load("configs/vox_imp.py:low-released", [("prompt", "a")])).decay_steps
        == 20000
    )
