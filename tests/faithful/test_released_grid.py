"""Grids of the release against float64: sizes, rescaling, and what is switched off."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful.closeness import assert_close
from faithful.injected_networks import to_layers
from faithful.pure_clip_grid import (
    alpha_of,
    cull,
    implicit_grids,
    mask_lookup,
    occupancy_test,
    rescale_explicit,
    rescale_implicit,
    shift_constant,
    upsample,
)
from faithful.pure_clip_losses import kl_loss, sphere_prior, tv_implicit_loss
from faithful.pure_clip_networks import encode, mlp
from faithful.pure_clip_scene import (
    grid_shape,
    training_box,
    vertices,
    voxel_ratio,
    voxels_at_stage,
)
from faithful.released_runs import box_of, config_of, parts_at

from voxjax.factory import make_plan, make_stage_field
from voxjax.fields import grid
from voxjax.progressive import transition
from voxjax.structs import TrainState
from voxjax.training import assembly

BOX = (np.array([-1.6, -1.6, -2.37]), np.array([1.6, 1.6, 1.61]))


def test_box_and_grid_sizes_are_those_of_the_release():
    plan = make_plan(config_of("configs/vox_exp.py:released", cameras__width_px=224))
    # Near 27.56 degrees a camera bounds a side; everywhere else a coarse search will do.
    critical = np.arange(27.4, 27.7, 0.002)
    azimuths = np.concatenate(
        [np.arange(0, 360, 10), critical, 90 - critical, 180 + critical, 270 - critical]
    )
    np.testing.assert_allclose((plan.lower, plan.upper), training_box(224, azimuths), atol=1e-4)
    box = np.array(plan.lower), np.array(plan.upper)
    for k, step in enumerate((0, 5000, 7000, 9000, 11000)):
        stage, voxels = plan.stage_at(step), voxels_at_stage(160**3, 4, k)
        assert stage.shape == grid_shape(box, voxels)
        assert stage.ratio == pytest.approx(voxel_ratio(box, voxels, 160**3), rel=1e-9)
        assert stage.interval == pytest.approx(0.5 * stage.ratio, rel=1e-12)
    assert plan.stage_at(0).shape == (59, 59, 73) and stage.shape == (148, 148, 185)


def test_resizing_is_trilinear_with_corners_on_corners():
    values = np.random.default_rng(1).normal(size=(5, 6, 4, 4)).astype(np.float32)
    for shape in ((9, 7, 11), (6, 8, 5)):
        assert_close(jax.jit(grid.resize, static_argnums=1)(values, shape), upsample(values, shape), 1e-6)


def test_the_occupancy_test_pools_alpha_over_27_vertices_without_what_lies_outside():
    rng = np.random.default_rng(2)
    raw = rng.normal(size=(6, 7, 5)) * 3 - 9.0
    for ratio in (2.52, 1.26, 1.0):
        alpha = jnp.asarray(alpha_of(raw, ratio), jnp.float32)
        expected = occupancy_test(raw, ratio)
        np.testing.assert_array_equal(grid.occupied_vertices(alpha), expected)
        assert 0.1 < expected.mean() < 0.95


def rescaled(spec, *, raw, occupancy, step=5000, side=18):
    """(state after the transition before `step`, plan) of an explicit grid."""
    config = config_of(spec, field__side=side, cameras__width_px=32)
    plan = make_plan(config)
    state = assembly.first_state(config, plan, jax.random.key(0))
    params = {**state.params, "grid": jnp.asarray(raw, jnp.float32)}
    state = dataclasses.replace(
        state,
        step=jnp.int32(step),
        params=params,
        tracked={**state.tracked, "occupancy": jnp.asarray(occupancy)},
    )
    state = dataclasses.replace(
        state, opt_state=jax.tree.map(lambda leaf: jnp.ones_like(leaf) * 7, state.opt_state)
    )
    optimiser = assembly.make_optimiser(assembly.make_optimiser_options(config))

    def bake(stage, params, tracked):
        return make_stage_field(config, plan, stage).apply(
            {"params": params, "tracked": tracked}, method="bake"
        )

    return transition(state, plan=plan, bake=bake, init_optimiser=optimiser.init)[0], plan


@pytest.fixture(scope="module")
def before():
    """An explicit grid before its first rescaling, denser from plane to plane, about the threshold."""
    plan = make_plan(config_of("configs/vox_exp.py:released", field__side=18, cameras__width_px=32))
    shape, rng = plan.stage_at(0).shape, np.random.default_rng(3)
    raw = np.linspace(-4.6, -1.4, shape[0])[:, None, None] + rng.normal(size=shape) * 0.1
    return np.concatenate([raw[..., None], rng.normal(size=(*shape, 3))], -1), rng.random(shape) < 0.8


def test_a_rescaling_tests_first_and_lowers_the_density_by_one_behind_it(before):
    raw, occupancy = before
    state, plan = rescaled("configs/vox_exp.py:released", raw=raw, occupancy=occupancy)
    box = np.array(plan.lower), np.array(plan.upper)
    voxels = voxels_at_stage(18**3, 4, 1)
    density, colour, kept, ratio = rescale_explicit(raw[..., 0], raw[..., 1:], occupancy, box, voxels, 18**3)
    assert plan.stage_at(5000).ratio == pytest.approx(ratio)
    assert_close(state.params["grid"][..., 0], density, 1e-6)
    assert_close(state.params["grid"][..., 1:], colour, 1e-6)
    np.testing.assert_array_equal(state.tracked["occupancy"], kept)
    # Behind the drop the test would have taken most of what it leaves.
    after = mask_lookup(occupancy, vertices(box, kept.shape), box) & occupancy_test(density, ratio)
    assert 0.3 < kept.mean() < 0.8 and after.sum() < 0.75 * kept.sum()


def test_a_rescaling_starts_the_optimiser_afresh(before):
    state, _ = rescaled("configs/vox_exp.py:released", raw=before[0], occupancy=before[1])
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(state.opt_state))


def test_a_test_between_rescalings_is_at_the_present_ratio_and_for_good(before):
    raw, occupancy = before
    state, plan = rescaled("configs/vox_exp.py:released", raw=raw, occupancy=occupancy, step=1500)
    expected = cull(occupancy, raw[..., 0], plan.stage_at(1500).ratio)
    np.testing.assert_array_equal(state.tracked["occupancy"], expected)
    np.testing.assert_array_equal(state.params["grid"], raw.astype(np.float32))
    assert expected.sum() < occupancy.sum()


def test_the_old_mask_is_asked_at_the_nearest_vertex():
    """At shapes where no new vertex lies half way between two old ones."""
    rng = np.random.default_rng(4)
    old = rng.random((9, 10, 7)) < 0.5
    for shape in ((12, 14, 10), (14, 16, 8)):
        expected = mask_lookup(old, vertices(BOX, shape), BOX)
        np.testing.assert_array_equal(grid.resize_occupancy(jnp.asarray(old), shape), expected)


@pytest.fixture(scope="module")
def implicit():
    """(scene, raw density, raw colour, mask, ratio, box) of an implicit grid with half its vertices off."""
    config = config_of(
        "configs/vox_imp.py:released",
        field__side=9,
        field__box="cube",
        field__half_width=1.25,
        progressive__boundaries=(11000 / 15000,),
    )
    plan = make_plan(config)
    stage = plan.stage_at(11000)
    assert stage.shape == (9, 9, 9)
    field = make_stage_field(config, plan, stage)
    params = field.init(jax.random.key(0), method="bake")["params"]
    params["density"]["Dense_2"]["bias"] = params["density"]["Dense_2"]["bias"] + 12.0
    mask = np.random.default_rng(5).random(stage.shape) < 0.5
    tracked = {"occupancy": jnp.asarray(mask)}
    scene = field.apply({"params": params, "tracked": tracked}, method="bake")
    box = np.full(3, -1.25), np.full(3, 1.25)
    encoded = encode(vertices(box, stage.shape).reshape(-1, 3))
    density = mlp(to_layers(params["density"]), encoded).reshape(stage.shape)
    colour = mlp(to_layers(params["colour"]), encoded).reshape(*stage.shape, 3)
    return scene, density, colour, mask, box, (config, plan, params)


def test_an_implicit_grid_renders_its_switched_off_vertices_at_minus_100(implicit):
    scene, density, colour, mask, _, _ = implicit
    shown = implicit_grids(density, colour, mask)
    assert_close(scene.values[..., 0][mask], shown[0][mask], 2e-6)
    np.testing.assert_array_equal(np.asarray(scene.values[..., 0])[~mask], -100.0)
    np.testing.assert_array_equal(np.asarray(scene.values[..., 1:])[~mask], 0.0)
    assert_close(scene.values[..., 1:], shown[1])
    assert float(scene.density_shift) == pytest.approx(shift_constant(), rel=1e-7)


def test_prior_variation_and_test_see_the_networks_everywhere(implicit):
    scene, density, colour, mask, box, (config, plan, _) = implicit
    terms, _ = parts_at(config, plan, 11000).regularise(scene)
    prior = sphere_prior(box, density.shape)
    assert float(terms["kl"]) == pytest.approx(kl_loss(density, prior, 1.0), rel=1e-5)
    assert float(terms["tv"]) == pytest.approx(tv_implicit_loss(density, colour, 1.0), rel=1e-5)
    hidden = implicit_grids(density, colour, mask)
    assert abs(kl_loss(hidden[0], prior, 1.0) - kl_loss(density, prior, 1.0)) > 0.3
    assert abs(tv_implicit_loss(*hidden, 1.0) - tv_implicit_loss(density, colour, 1.0)) > 0.01
    assert_close(grid.vertex_alpha(scene, 1.7), alpha_of(density, 1.7))


def test_a_rescaling_of_an_implicit_grid_asks_the_networks_at_all_new_vertices():
    """And lowers nothing. Some of the new vertices are off because the old ones were, some by the test."""
    config = config_of("configs/vox_imp.py:released", field__side=18)
    plan = make_plan(config)
    assert [plan.stage_at(s).shape for s in (0, 5000)] == [(6, 6, 8), (8, 8, 10)]
    params = make_stage_field(config, plan, plan.stage_at(0)).init(jax.random.key(0), method="bake")["params"]
    # Density below the threshold here and above it there.
    last = {"kernel": params["density"]["Dense_2"]["kernel"] * 60, "bias": jnp.full(1, -5.0)}
    params = {**params, "density": {**params["density"], "Dense_2": last}}
    old = np.random.default_rng(6).random((6, 6, 8)) < 0.8
    zero, optimiser = jnp.int32(0), assembly.make_optimiser(assembly.make_optimiser_options(config))
    tracked = {"occupancy": jnp.asarray(old)}
    state = TrainState(jnp.int32(5000), params, tracked, optimiser.init(params), zero, zero)

    def bake(stage, params, tracked):
        field = make_stage_field(config, plan, stage)
        return field.apply({"params": params, "tracked": tracked}, method="bake")

    after, _ = transition(state, plan=plan, bake=bake, init_optimiser=optimiser.init)
    box, layers = box_of(plan), to_layers(params["density"])
    voxels = voxels_at_stage(18**3, 4, 1)
    _, expected, ratio = rescale_implicit(
        lambda x: mlp(layers, encode(x))[:, 0], old, box, voxels, 18**3, shape=(8, 8, 10)
    )
    assert plan.stage_at(5000).ratio == pytest.approx(ratio)
    np.testing.assert_array_equal(after.tracked["occupancy"], expected)
    from_mask = mask_lookup(old, vertices(box, (8, 8, 10)), box)
    assert 0.2 < expected.mean() < from_mask.mean() - 0.02
    assert jax.tree.all(jax.tree.map(np.array_equal, after.params, params))
