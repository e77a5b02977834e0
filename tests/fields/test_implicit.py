"""Vox_Imp: what is left out changes nothing, slabs change nothing, and the networks are the paper's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.voxel_scenes import GEOMETRY, INTERVAL, make_rays

from voxjax.fields import grid, make_field
from voxjax.rendering import budget as budgets
from voxjax.rendering import volume
from voxjax.training import losses

SHAPE = (7, 6, 8)
TOTAL = 7 * 6 * 8
BOX = {"lower": tuple(map(float, GEOMETRY["lower"])), "upper": tuple(map(float, GEOMETRY["upper"]))}


def build(**options):
    return make_field("vox_imp", shape=SHAPE, **BOX, width=12, n_frequencies=3, alpha_init=0.3, **options)


@pytest.fixture(scope="module")
def variables():
    """Parameters that make a scene with structure, and a mask whose nearest-vertex cells touch every case."""
    v = build().init(jax.random.key(0), method="bake")
    params = jax.tree.map(lambda leaf: 1.7 * leaf, v["params"])
    rng = np.random.default_rng(0)
    occupancy = np.zeros(SHAPE, bool)
    occupancy[1:6, 1:5, 1:6] = rng.random((5, 4, 5)) < 0.9
    occupancy[6, 1, 7] = True
    return {"params": params, "tracked": {"occupancy": jnp.asarray(occupancy)}}


def encode(x):
    return np.concatenate([x, *[f(2.0**k * x) for k in range(3) for f in (np.sin, np.cos)]])


def plain_values(params, position):
    """Raw values at one position, in float64, layer by layer."""
    out = []
    for name in ("density", "colour"):
        x = encode(np.asarray(position, np.float64))
        for i in range(3):
            layer = params[name][f"Dense_{i}"]
            x = np.asarray(layer["kernel"], np.float64).T @ x + np.asarray(layer["bias"], np.float64)
            x = np.maximum(x, 0) if i < 2 else x
        out.append(x)
    return np.concatenate(out)


def test_the_papers_networks():
    field = make_field("vox_imp", shape=(2, 2, 2), **BOX)
    params = field.init(jax.random.key(0), method="bake")["params"]
    for name, n_out in (("density", 1), ("colour", 3)):
        shapes = [params[name][f"Dense_{i}"]["kernel"].shape for i in range(3)]
        assert shapes == [(63, 128), (128, 128), (128, n_out)]
        assert not np.any(params[name]["Dense_2"]["bias"])
        for i in range(3):
            kernel = np.asarray(params[name][f"Dense_{i}"]["kernel"])
            bound = kernel.shape[0] ** -0.5
            assert np.abs(kernel).max() <= bound
            assert kernel.std() == pytest.approx(bound / 3**0.5, rel=0.2)
    n_weights = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert n_weights == 2 * (63 * 128 + 128 + 128 * 128 + 128) + 128 * 4 + 4 + 1


def test_values_on_vertices_against_float64(variables):
    scene = build(skip=True).apply(variables, method="bake")
    wanted = np.asarray(variables["tracked"]["occupancy"])
    np.testing.assert_array_equal(scene.evaluated, wanted)
    assert 0 < wanted.sum() < wanted.size and int(scene.overflow) == 0
    axes = [np.linspace(low, high, n) for low, high, n in zip(BOX["lower"], BOX["upper"], SHAPE, strict=True)]
    for index in np.ndindex(SHAPE):
        value = np.asarray(scene.values[index])
        if wanted[index]:
            position = [axis[i] for axis, i in zip(axes, index, strict=True)]
            np.testing.assert_allclose(value, plain_values(variables["params"], position), atol=2e-5)
        else:
            assert value[0] == -100 and not value[1:].any()
    assert not np.asarray(grid.vertex_alpha(scene, 1.0))[~wanted].any()


def loss_of(field, tracked, render):
    """A loss with all that a step asks of a scene: a picture, the sphere prior, total variation."""

    def loss(params):
        scene = field.apply({"params": params, "tracked": tracked}, method="bake")
        picture = render(field, scene)
        weights = jnp.linspace(-1.0, 1.0, picture.colour.size).reshape(picture.colour.shape)
        terms = {
            "picture": jnp.sum(picture.colour * weights) + jnp.sum(picture.transmittance),
            "kl": losses.kl_sphere(grid.vertex_alpha(scene, 1.0), jnp.ones(SHAPE)),
            "tv": losses.tv_implicit(
                grid.vertex_alpha(scene, 1.0), grid.vertex_colour(scene), evaluated=scene.evaluated
            ),
        }
        return sum(terms.values()), (picture, terms)

    return loss


def masked_render(field, scene):
    budget = budgets.SampleBudget(24, 24 * 12)
    return volume.render_rays(
        field.query,
        scene,
        make_rays(),
        **GEOMETRY,
        interval=INTERVAL,
        budget=budget,
        clip=field.occupied_box(scene),
        occupied=field.occupied,
    )


@pytest.fixture(scope="module", params=[True, False])
def at_once(request, variables):
    """(skip, loss with its parts and gradient of all vertices in one go)."""
    loss = loss_of(build(skip=request.param, slab=TOTAL), variables["tracked"], masked_render)
    return request.param, jax.jit(jax.value_and_grad(loss, has_aux=True))(variables["params"])


@pytest.mark.parametrize("options", [{"slab": 50}, {"capacity": 150, "slab": 64}])
def test_slabs_and_buckets_change_neither_picture_nor_gradient(variables, at_once, options):
    skip, ((value, (picture, terms)), gradient) = at_once
    loss = loss_of(build(skip=skip, **options), variables["tracked"], masked_render)
    (other_value, (other_picture, _)), other_gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(
        variables["params"]
    )
    assert float(jnp.min(picture.transmittance)) < 0.9 and all(float(t) != 0 for t in terms.values())
    np.testing.assert_allclose(other_value, value, rtol=1e-6)
    np.testing.assert_allclose(other_picture.colour, picture.colour, atol=1e-6)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(other_gradient), strict=True):
        assert float(jnp.abs(a).max()) > 0
        np.testing.assert_allclose(b, a, atol=1e-5 * float(jnp.abs(a).max()))


def test_the_priors_see_the_networks_where_the_picture_is_empty(variables):
    """Without `skip`: every vertex has its raw values, and the same picture comes out."""
    left_out, everywhere = (build(skip=skip).apply(variables, method="bake") for skip in (True, False))
    np.testing.assert_allclose(everywhere.values, left_out.values, atol=1e-6)
    assert everywhere.evaluated is None and left_out.raw is None
    axes = [np.linspace(low, high, n) for low, high, n in zip(BOX["lower"], BOX["upper"], SHAPE, strict=True)]
    off = np.argwhere(~np.asarray(variables["tracked"]["occupancy"]))
    for index in map(tuple, off[::9]):
        position = [axis[i] for axis, i in zip(axes, index, strict=True)]
        wanted = plain_values(variables["params"], position)
        np.testing.assert_allclose(everywhere.raw[index], wanted, atol=2e-5)
        alpha = 1 - (1 + np.exp(wanted[0] + float(everywhere.density_shift))) ** -1.0
        assert float(grid.vertex_alpha(everywhere, 1.0)[index]) == pytest.approx(alpha, abs=1e-5)
        assert float(grid.vertex_alpha(left_out, 1.0)[index]) == 0


def test_vertices_without_room_are_counted(variables):
    scene = build(skip=True, capacity=40).apply(variables, method="bake")
    wanted = np.asarray(variables["tracked"]["occupancy"])
    assert int(scene.overflow) == wanted.sum() - 40 > 0
    assert int(np.asarray(scene.evaluated).sum()) == 40
    first = np.flatnonzero(wanted)[:40]
    np.testing.assert_array_equal(np.flatnonzero(scene.evaluated), first)


def test_the_gradient_by_finite_differences(variables):
    params, tracked = variables["params"], variables["tracked"]
    loss = jax.jit(
        jax.value_and_grad(
            loss_of(build(skip=True, capacity=150, slab=64), tracked, masked_render), has_aux=True
        )
    )
    _, gradient = loss(params)
    for name, layer, index in [("density", "Dense_2", (3, 0)), ("colour", "Dense_2", (5, 1))]:
        ends = []
        for sign in (1, -1):
            moved = jax.tree.map(lambda leaf: leaf, params)
            kernel = moved[name][layer]["kernel"].at[index].add(sign * 1e-2)
            moved = {**moved, name: {**moved[name], layer: {**moved[name][layer], "kernel": kernel}}}
            ends.append(float(loss(moved)[0][0]))
        slope = (ends[0] - ends[1]) / 2e-2
        assert float(gradient[name][layer]["kernel"][index]) == pytest.approx(slope, rel=2e-2, abs=2e-3)
