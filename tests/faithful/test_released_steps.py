"""Whole optimisation steps of both fields under `:released`, with all draws injected, against float64.

Six of each: the first three, and three inside of the window of total variation; for Vox_Exp with a
rescaling in between. The oracle starts each step from our state before it, and terms, gradients, moments
and parameters are compared behind it; once more it makes the first three steps by itself, and the ends are
compared.

Adam makes a step of about the rate out of every gradient, however small: where a gradient is less than the
rounding of float32 in the sum that it comes from, its step says nothing. Such entries of a network (below
`KNOWN` of the largest of their tensor, or near Adam's eps; at most a sixth) are held to the update of their
own gradient instead.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful.closeness import assert_close
from faithful.injected_networks import from_layers, to_layers
from faithful.pure_clip_grid import rescale_explicit
from faithful.pure_clip_optimiser import adam_step
from faithful.pure_clip_scene import vertices, voxels_at_stage
from faithful.pure_clip_step import explicit_step, implicit_step
from faithful.released_runs import config_of, draws_at, parts_at, plan_of, setting_of, step_at, with_step

from voxjax.factory import make_stage_field
from voxjax.progressive import transition
from voxjax.training import assembly

STEPS = (0, 1, 2, 5000, 5001, 5002)
FINAL = 18**3
KNOWN, EPS = 1e-3, 1e-8


@dataclasses.dataclass
class Adam:
    """Arrays and their memory, as the oracle's optimiser keeps them."""

    values: list
    memory: list
    count: int = 0

    @classmethod
    def of(cls, state, arrays_of):
        """From a state of ours."""
        trees = (state.params, state.opt_state[0].m, state.opt_state[0].v)
        values, m, v = ([np.asarray(x, np.float64) for x in arrays_of(tree)] for tree in trees)
        return cls(values, list(zip(m, v, strict=True)), int(state.opt_state[0].updates))

    def updated(self, gradients, rate, *, masked):
        """After one more update; the rate belongs to the updates since the optimiser was made."""
        count = self.count + 1
        new = [
            adam_step(x, g, m, v, count, rate * 0.1 ** (self.count / 20000), masked=masked)
            for x, g, (m, v) in zip(self.values, gradients, self.memory, strict=True)
        ]
        return Adam([x for x, _, _ in new], [(m, v) for _, m, v in new], count)


@dataclasses.dataclass
class Step:
    """One step: ours and the oracle's."""

    state: object
    metrics: dict
    terms: dict
    gradients: list
    after: Adam
    by_our_gradients: Adam
    free: Adam | None


def split(params):
    return params["grid"][..., 0], params["grid"][..., 1:]


def leaves_of(params):
    layers = [to_layers(params[name]) for name in ("density", "colour")]
    return [x for each in layers for layer in each for x in layer]


def compare(step, state, i, oracle, arrays_of, rate, free, *, masked):
    """Our step and the oracle's; `oracle`: `values -> (terms, gradients)`, `free`: its own chain."""
    before = Adam.of(state, arrays_of)
    state, metrics = step(state)
    terms, gradients = oracle(before.values)
    ours = [np.asarray(g, np.float64) for g in arrays_of(state.opt_state[-1])]
    if free is not None:
        free = free.updated(oracle(free.values)[1], rate, masked=masked)
    after, by_ours = (before.updated(g, rate, masked=masked) for g in (gradients, ours))
    return Step(state, jax.device_get(metrics), terms, gradients, after, by_ours, free)


def first_explicit(config, plan):
    """A dense ball in thin surroundings, empty near the cameras, with a few vertices switched off."""
    state, rng = assembly.first_state(config, plan, jax.random.key(0)), np.random.default_rng(1)
    grid = np.array(state.params["grid"])
    radius = np.linalg.norm(vertices((np.array(plan.lower), np.array(plan.upper)), grid.shape[:3]), axis=-1)
    dense = np.where(radius < 1.2, 11.5, 5.0) + rng.normal(size=radius.shape) * 1.5
    masked = grid[..., 0] == -100
    assert 0.05 < masked.mean() < 0.3
    grid[..., 0] = np.where(masked, -100, dense)
    grid[..., 1:] = rng.normal(size=(*radius.shape, 3))
    occupancy = rng.random(radius.shape) < 0.95
    return dataclasses.replace(
        state, params={"grid": jnp.asarray(grid)}, tracked={"occupancy": jnp.asarray(occupancy)}
    )


@pytest.fixture(scope="module")
def explicit():
    """The steps of Vox_Exp."""
    config = config_of("configs/vox_exp.py:released", field__side=18)
    plan = plan_of(config)
    assert [plan.stage_at(s).shape for s in (0, 5000)] == [(6, 6, 8), (8, 8, 10)]
    state, setting = first_explicit(config, plan), setting_of(plan)
    assert "density_shift" not in state.params
    init = parts_at(config, plan, 0).optimiser.init
    state = dataclasses.replace(state, opt_state=init(state.params))
    step, mask = step_at(config, plan, 0, state), np.asarray(state.tracked["occupancy"])
    free, out = Adam.of(state, split), []

    def bake(stage, params, tracked):
        field = make_stage_field(config, plan, stage)
        return field.apply({"params": params, "tracked": tracked}, method="bake")

    for i in STEPS:
        state = with_step(state, i)
        if i == 5000:
            box, old = (np.array(plan.lower), np.array(plan.upper)), Adam.of(state, split)
            state, _ = transition(state, plan=plan, bake=bake, init_optimiser=init)
            *values, mask, _ = rescale_explicit(*old.values, mask, box, voxels_at_stage(FINAL, 4, 1), FINAL)
            new, free = Adam.of(state, split), None
            for ours, expected in zip(new.values, values, strict=True):
                assert_close(ours, expected)
            np.testing.assert_array_equal(state.tracked["occupancy"], mask)
            assert new.count == 0 and not any(m.any() or v.any() for m, v in new.memory)
            step = step_at(config, plan, i, state)
        stage, draws = plan.stage_at(i), draws_at(i, persp=True)

        def oracle(values, stage=stage, draws=draws, i=i, mask=mask):
            terms, *gradients = explicit_step(
                *values, mask, stage.ratio, stage.step_size, i + 1, draws, setting
            )
            return terms, gradients

        out.append(compare(step, state, i, oracle, split, 0.1, free, masked=True))
        state, free = out[-1].state, out[-1].free
    return out


@pytest.fixture(scope="module")
def implicit():
    """The steps of Vox_Imp, on 9^3 vertices in a cube, whose places float32 holds exactly."""
    config = config_of(
        "configs/vox_imp.py:released",
        field__side=9,
        field__box="cube",
        field__half_width=1.25,
        progressive__boundaries=(),
    )
    plan = plan_of(config)
    stage, setting, rng = plan.stage_at(0), setting_of(plan), np.random.default_rng(2)
    state = assembly.first_state(config, plan, jax.random.key(0))
    params = jax.tree.map(np.array, state.params)
    params["density"]["Dense_2"]["kernel"] *= 4
    params["density"]["Dense_2"]["bias"] += 8
    params["colour"]["Dense_2"]["kernel"] *= 4
    mask = rng.random(stage.shape) < 0.85
    state = dataclasses.replace(
        state, params=jax.tree.map(jnp.asarray, params), tracked={"occupancy": jnp.asarray(mask)}
    )
    state = dataclasses.replace(state, opt_state=parts_at(config, plan, 0).optimiser.init(state.params))
    step, positions = step_at(config, plan, 0, state), vertices(setting.box, stage.shape)
    free, out = Adam.of(state, leaves_of), []
    for i in STEPS:
        draws = draws_at(i, persp=False)

        def oracle(values, draws=draws, i=i):
            networks = [list(zip(v[::2], v[1::2], strict=True)) for v in (values[:6], values[6:])]
            terms, *gradients = implicit_step(
                networks, mask, positions, stage.ratio, stage.step_size, i + 1, draws, setting
            )
            return terms, [x for layers in gradients for layer in layers for x in layer]

        free = free if i < 3 else None
        out.append(compare(step, with_step(state, i), i, oracle, leaves_of, 5e-3, free, masked=False))
        state, free = out[-1].state, out[-1].free
    return out


def assert_same_terms(k, step, *, clip=1e-6):
    ours = {
        name.removeprefix("loss/"): float(v) for name, v in step.metrics.items() if name.startswith("loss/")
    }
    # The release has 1 minus the mean cosine, which is a sum of numbers of both signs.
    assert 1 + ours.pop("clip") == pytest.approx(1 + step.terms["clip"], rel=clip)
    others = {name: value for name, value in step.terms.items() if name != "clip"}
    assert ours == pytest.approx(others, rel=1e-5, abs=1e-9)
    assert float(step.metrics["loss"]) == pytest.approx(sum(step.terms.values()), rel=1e-5, abs=1e-6)
    assert float(step.metrics["overflow"]) == 0 and float(step.metrics["skipped"]) == 0
    assert (step.terms["tv"] > 0) == (k > 2) and step.terms["kl"] != 0


def is_known(gradient):
    size = np.abs(gradient)
    return (size == 0) | ((size > KNOWN * size.max()) & (size > 100 * EPS))


def assert_same_memory(ours, expected):
    for got, wanted in zip(ours.memory, expected.memory, strict=True):
        for moment, other in zip(got, wanted, strict=True):
            assert_close(moment, other)


@pytest.mark.parametrize("k", range(6))
def test_a_step_of_vox_exp_is_the_released_one(explicit, k):
    step = explicit[k]
    assert_same_terms(k, step)
    ours = Adam.of(step.state, split)
    for got, expected in zip(split(step.state.opt_state[-1]), step.gradients, strict=True):
        assert_close(got, expected)
        np.testing.assert_array_equal(np.asarray(got) == 0, expected == 0)
    assert_same_memory(ours, step.after)
    for got, expected in zip(ours.values, step.after.values, strict=True):
        assert_close(got, expected)
    assert 0.05 < (step.gradients[0] == 0).mean() < 0.6


@pytest.mark.parametrize("k", range(6))
def test_a_step_of_vox_imp_is_the_released_one(implicit, k):
    step = implicit[k]
    assert_same_terms(k, step, clip=2.5e-6)  # float32 through two networks: 1.2e-6 on one kind of CPU
    ours, gradients = Adam.of(step.state, leaves_of), leaves_of(step.state.opt_state[-1])
    for got, expected in zip(gradients, step.gradients, strict=True):
        assert_close(got, expected, rtol=2e-5)  # 0.8e-5 to 1.2e-5, by the CPU
    assert_same_memory(ours, step.by_our_gradients)
    for got, expected, by_ours, gradient in zip(
        ours.values, step.after.values, step.by_our_gradients.values, step.gradients, strict=True
    ):
        assert_close(got, by_ours)
        known = is_known(gradient)
        assert_close(np.where(known, got, 0), np.where(known, expected, 0))
    assert np.mean(np.concatenate([is_known(g).ravel() for g in step.gradients])) > 0.8


def test_three_steps_of_vox_exp_end_where_the_oracle_ends_by_itself(explicit):
    free = explicit[2].free
    ours = Adam.of(explicit[2].state, split)
    assert_same_memory(ours, free)
    for got, expected in zip(ours.values, free.values, strict=True):
        assert_close(got, expected)


def test_three_steps_of_vox_imp_end_where_the_oracle_ends_by_itself(implicit):
    ours, free = Adam.of(implicit[2].state, leaves_of), implicit[2].free
    for i, (got, expected) in enumerate(zip(ours.values, free.values, strict=True)):
        known = np.all([is_known(step.gradients[i]) for step in implicit[:3]], axis=0)
        assert_close(np.where(known, got, 0), np.where(known, expected, 0))


def test_the_networks_translation_there_and_back_is_the_identity():
    rng = np.random.default_rng(3)
    layers = [(rng.normal(size=(63, 4)), rng.normal(size=4)), (rng.normal(size=(4, 1)), rng.normal(size=1))]
    for (w, b), (w2, b2) in zip(layers, to_layers(from_layers(layers)), strict=True):
        np.testing.assert_array_equal(w, w2)
        np.testing.assert_array_equal(b, b2)
