"""Progressive scaling: the paper's grids at the paper's steps, and what a rescaling does to the state."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_training import ROOT, overrides
from scipy.interpolate import RegularGridInterpolator

from voxjax.config.loading import load
from voxjax.factory import make_plan, make_stage_field
from voxjax.progressive import transition
from voxjax.structs import TrainState
from voxjax.training.optimiser import OptimiserOptions, make_optimiser

ALPHA_INIT = 1e-2


def config_of(spec, *pairs):
    return load(f"{ROOT}/configs/{spec}", [("prompt", "x"), *pairs])


def test_the_papers_grids_at_the_papers_steps():
    plan = make_plan(config_of("vox_exp.py"))
    np.testing.assert_allclose(plan.lower, (-1.603, -1.603, -2.373), atol=1e-3)
    np.testing.assert_allclose(plan.upper, (1.603, 1.603, 1.616), atol=1e-3)
    boundaries = (5000, 7000, 9000, 11000)
    assert plan.boundaries == boundaries
    assert plan.stage_at(14999).shape == (130, 130, 161)
    extent = np.subtract(plan.upper, plan.lower)
    for step in (0, 4999, 5000, 6999, 7000, 8999, 9000, 10999, 11000, 14999):
        stage = plan.stage_at(step)
        doublings_left = sum(step < boundary for boundary in boundaries)
        voxels = 140**3 / 2**doublings_left
        assert abs(np.prod(stage.shape) / voxels - 1) < 0.1
        assert stage.ratio == pytest.approx(2 ** (doublings_left / 3), rel=1e-5)
        assert stage.step_size == pytest.approx(0.5 * (np.prod(extent) / voxels) ** (1 / 3), rel=1e-5)
        assert stage.interval == pytest.approx(0.5 * stage.ratio, rel=1e-6)
    assert [s for s in range(15000) if plan.rescales_before(s)] == list(boundaries)
    assert [s for s in range(15000) if plan.tests_before(s)] == list(range(500, 15000, 1000))


def test_steps_move_with_the_length_of_the_run_and_short_runs_still_plan():
    plan = make_plan(config_of("vox_exp.py", ("steps", "3000")))
    assert plan.boundaries == (1000, 1400, 1800, 2200)
    assert [s for s in range(3000) if plan.tests_before(s)] == list(range(100, 3000, 200))
    plan = make_plan(config_of("vox_exp.py", ("steps", "3")))
    assert plan.boundaries == (1, 2) and plan.stage_at(2).shape == (130, 130, 161)
    assert not make_plan(config_of("demo.py", ("progressive.occupancy_every", "0"))).tests_before(100)


def test_a_checkpoint_is_of_the_grid_before_its_transition():
    plan = make_plan(config_of("vox_exp.py"))
    assert plan.saved_stage(5000) == plan.stage_at(4999) != plan.stage_at(5000)
    assert plan.saved_stage(0) == plan.stage_at(0)


@pytest.fixture
def small(tiny_clip):
    """(plan, arguments of `transition`, a function from step and grid values to a state)."""
    pairs = overrides(tiny_clip, progressive__density_drop=1.0, field__alpha_init=ALPHA_INIT)
    config = load(f"{ROOT}/configs/base.py", pairs)
    plan = make_plan(config)
    optimiser = make_optimiser(OptimiserOptions())

    def bake(stage, params, tracked):
        field = make_stage_field(config, plan, stage)
        return field.apply({"params": params, "tracked": tracked}, method="bake")

    def state(step, values, occupancy):
        params = {"grid": jnp.asarray(values, jnp.float32), "density_shift": jnp.float32(-4.0)}
        zero = jnp.zeros((), jnp.int32)
        opt_state = (
            dataclasses.replace(optimiser.init(params)[0], updates=jnp.int32(7)),
            *optimiser.init(params)[1:],
        )
        tracked = {"occupancy": jnp.asarray(occupancy)}
        return TrainState(jnp.int32(step), params, tracked, opt_state, zero + 3, zero)

    return plan, {"plan": plan, "bake": bake, "init_optimiser": optimiser.init}, state


def test_nothing_happens_at_other_steps(small):
    plan, arguments, make = small
    shape = plan.stage_at(0).shape
    state = make(1, np.zeros((*shape, 4)), np.ones(shape, bool))
    after, changed = transition(state, **arguments)
    assert after is state and not changed


def test_a_rescaling_against_scipy(small):
    plan, arguments, make = small
    old, new = plan.stage_at(2).shape, plan.stage_at(3).shape
    assert new > old
    rng = np.random.default_rng(0)
    values = rng.standard_normal((*old, 4))
    after, changed = transition(make(3, values, np.ones(old, bool)), **arguments)
    assert changed and after.params["grid"].shape == (*new, 4)

    axes = [np.linspace(low, high, n) for low, high, n in zip(plan.lower, plan.upper, old, strict=True)]
    points = np.meshgrid(
        *[np.linspace(low, high, n) for low, high, n in zip(plan.lower, plan.upper, new, strict=True)],
        indexing="ij",
    )
    points = np.clip(np.stack(points, -1), plan.lower, plan.upper)
    wanted = RegularGridInterpolator(axes, values)(points) - np.array([1.0, 0, 0, 0])
    np.testing.assert_allclose(after.params["grid"], wanted, atol=2e-5)

    assert float(after.params["density_shift"]) == -4.0
    assert int(after.opt_state[0].updates) == 0 and not np.any(after.opt_state[0].v["grid"])
    assert after.opt_state[0].m["grid"].shape == (*new, 4)
    assert (int(after.step), int(after.skipped)) == (3, 3)
    assert np.asarray(after.tracked["occupancy"]).all()


def test_never_is_never_at_a_rescaling_too(small):
    plan, arguments, make = small
    shape = plan.stage_at(2).shape
    state = make(3, np.full((*shape, 4), -60.0), np.ones(shape, bool))
    assert not np.asarray(transition(state, **arguments)[0].tracked["occupancy"]).any()
    never = {**arguments, "plan": dataclasses.replace(plan, occupancy_every=0)}
    after, changed = transition(state, **never)
    assert changed and np.asarray(after.tracked["occupancy"]).all()


def test_empty_vertices_go_for_good(small):
    plan, arguments, make = small
    shape = plan.stage_at(2).shape
    values = np.zeros((*shape, 4))
    values[..., 0] = -60.0
    values[2, 3, 4, 0] = 4.0  # the one vertex with anything in it
    occupancy = np.ones(shape, bool)
    occupancy[1] = False
    after, changed = transition(make(2, values, occupancy), **arguments)
    wanted = np.zeros(shape, bool)
    wanted[1:4, 2:5, 3:6] = True  # its 3 x 3 x 3 neighbourhood ...
    wanted[1] = False  # ... without what was off before
    assert changed
    np.testing.assert_array_equal(after.tracked["occupancy"], wanted)
    # A field that is dense everywhere does not bring them back, neither by a test nor by a rescaling.
    dense = np.full((*shape, 4), 5.0)
    again, _ = transition(make(2, dense, after.tracked["occupancy"]), **arguments)
    np.testing.assert_array_equal(again.tracked["occupancy"], wanted)
    finer, _ = transition(make(3, dense, after.tracked["occupancy"]), **arguments)
    share = np.asarray(finer.tracked["occupancy"])
    centre = [round(i * (n - 1) / (m - 1)) for i, n, m in zip((3, 3, 4), share.shape, shape, strict=True)]
    assert share[tuple(centre)] and 0 < share.mean() < 3 * wanted.mean()
    assert not share[0].any() and not share[-1].any()


def test_the_threshold_is_on_alpha_at_the_current_scale(small):
    plan, arguments, make = small
    stage = plan.stage_at(2)
    for factor, stays in ((1.05, True), (0.95, False)):
        # softplus(raw + shift) * ratio = factor * threshold, solved for raw.
        density = factor * plan.occupancy_threshold / stage.ratio
        values = np.zeros((*stage.shape, 4))
        values[..., 0] = np.log(np.expm1(density)) + 4.0
        after, _ = transition(make(2, values, np.ones(stage.shape, bool)), **arguments)
        assert np.asarray(after.tracked["occupancy"]).all() == stays
        assert np.asarray(after.tracked["occupancy"]).any() == stays
