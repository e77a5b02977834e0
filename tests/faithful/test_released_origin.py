"""The origin of a Dream Fields scene: where it moves, what it moves, and when it stays."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful.dream_fields_parts import config_of, parts_of
from faithful.dream_fields_update import origin_update

from voxjax.factory import make_plan, make_stage_field

ORIGIN = np.array([0.25, -0.125, 0.5])


def scene_of(variant, *, training):
    """A scene baked while the tracked origin is ORIGIN, parameters all zero."""
    config = config_of(variant)
    plan = make_plan(config)
    field = make_stage_field(config, plan, plan.stage_at(0), training=training)
    shapes = jax.eval_shape(lambda key: field.init(key, method="bake"), jax.random.key(0))
    variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    variables["tracked"]["origin"] = jnp.asarray(ORIGIN, jnp.float32)
    return field.apply(variables, method="bake")


def follow(track, tracked, centres):
    """Where an origin goes, behind each of the centres [3] that training renders have in their own frame."""
    places = []
    for centre in centres:
        tracked = track(tracked, jnp.asarray(centre, jnp.float32))
        places.append(np.asarray(tracked["origin"], np.float64))
    return tracked, np.array(places)


@pytest.mark.parametrize("variant", ["lq-released", "lq", "lq-text"])
def test_training_sees_the_moved_scene_only_where_the_text_counts(variant):
    scene = scene_of(variant, training=True)
    seen = np.zeros(3) if variant == "lq-released" else ORIGIN
    np.testing.assert_array_equal(scene.origin, seen)
    np.testing.assert_array_equal(scene.lower, -1 - seen)
    np.testing.assert_array_equal(scene.upper, 1 - seen)


@pytest.mark.parametrize("variant", ["lq-released", "lq"])
def test_pictures_always_see_the_moved_scene(variant):
    scene = scene_of(variant, training=False)
    np.testing.assert_array_equal(scene.origin, ORIGIN)
    np.testing.assert_array_equal(scene.upper, 1 - ORIGIN)


@pytest.mark.parametrize("variant", ["lq-released", "lq"])
def test_the_origin_is_the_moving_average_of_the_centres(variant):
    """The release's centre lies in the frame of the shifted rays, ours in the world: the shift is between."""
    track = parts_of(config_of(variant)).track
    rng = np.random.default_rng(1)
    centres = rng.uniform(-0.5, 0.5, (200, 3))
    tracked = {"origin": jnp.zeros(3), "steps": jnp.int32(0)}
    origin = np.zeros(3)
    for centre in centres:
        shift = np.zeros(3) if variant == "lq-released" else origin
        tracked = track(tracked, jnp.asarray(centre - shift, jnp.float32))
        origin = origin_update(origin, centre)
        np.testing.assert_allclose(tracked["origin"], origin, rtol=0, atol=1e-5 * np.abs(origin).max())
    assert int(tracked["steps"]) == 200 and np.abs(origin).max() > 1e-3


def test_it_starts_at_zero_and_is_not_corrected_for_that():
    track = parts_of(config_of("lq-released")).track
    tracked = {"origin": jnp.zeros(3), "steps": jnp.int32(0)}
    _, places = follow(track, tracked, [[0.2, 0.0, -0.1]] * 100)
    share = 1 - 0.999 ** np.arange(1, 101)
    np.testing.assert_allclose(places, share[:, None] * [0.2, 0.0, -0.1], rtol=0, atol=1e-5 * 0.02)


@pytest.mark.parametrize("variant", ["lq-released", "lq"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_centre_that_is_not_finite_moves_nothing(variant, bad):
    track = parts_of(config_of(variant)).track
    tracked = {"origin": jnp.asarray(ORIGIN, jnp.float32), "steps": jnp.int32(7)}
    after, _ = follow(track, tracked, [[0.1, bad, 0.1]])
    np.testing.assert_array_equal(after["origin"], origin_update(ORIGIN, [0.1, bad, 0.1]))
    after, _ = follow(track, tracked, [[0.1, 0.1, 0.1]])
    assert not np.array_equal(after["origin"], ORIGIN)
