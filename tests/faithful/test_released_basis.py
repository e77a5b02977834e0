"""The directions of Dream Fields' encoding: the release's integers in every run, seed and setting of jax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faithful import dream_fields_basis as oracle
from faithful.dream_fields_network import ipe_features
from faithful.dream_fields_translation import basis_to_oracle
from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.factory import make_plan, make_stage_field
from voxjax.fields import encoding
from voxjax.fields.mipnerf import MipNerf

TINY = {"width": 4, "hidden": 4, "n_blocks": 1}


def ours():
    return basis_to_oracle(encoding.released_basis())


def test_the_generator_written_out_equals_that_of_jax():
    for partitionable in (False, True):
        with jax.threefry_partitionable(partitionable):
            key = jax.random.key(oracle.SEED, impl="threefry2x32")
            bits = jax.random.bits(key, (384,), jnp.uint32)
            uniform = jax.random.uniform(key, (128,), jnp.float32)
        words = oracle.prng_key(oracle.SEED)
        np.testing.assert_array_equal(bits, oracle.random_bits(words, 384, partitionable))
        drawn = oracle.uniform_from_bits(oracle.random_bits(words, 128, partitionable))
        np.testing.assert_array_equal(uniform, drawn)


def test_every_direction_is_the_integer_vector_of_the_release():
    np.testing.assert_array_equal(ours(), oracle.released_basis())
    np.testing.assert_array_equal(ours()[:3], np.eye(3))


def test_the_statistics_are_those_of_the_published_baseline():
    measured = oracle.basis_statistics(ours())
    assert measured["median"] == 1.0 and 40 < measured["max"] < 41
    assert measured["zero"] == 60 / 128
    # What one would expect, directions of unit length before the cut, is another and far finer basis.
    expected = oracle.basis_statistics(oracle.released_basis(normalise_over=0))
    assert expected["median"] > 8 and expected["max"] > 200 and expected["zero"] < 0.2


@pytest.mark.parametrize("partitionable", [False, True])
def test_the_setting_of_the_generator_in_the_process_changes_nothing(partitionable):
    other = oracle.released_basis(partitionable=True)
    assert not np.array_equal(other, oracle.released_basis())
    with jax.threefry_partitionable(partitionable):
        np.testing.assert_array_equal(ours(), oracle.released_basis())
        np.testing.assert_array_equal(
            basis_to_oracle(jax.jit(encoding.released_basis)()), oracle.released_basis()
        )


def test_another_generator_as_the_default_changes_nothing():
    with jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(ours(), oracle.released_basis())


def test_every_seed_starts_with_the_same_basis():
    field = MipNerf(**TINY)
    start = jax.jit(lambda key: field.init(key, method="bake")["tracked"]["basis"])
    for seed in (0, 1):
        np.testing.assert_array_equal(basis_to_oracle(start(jax.random.key(seed))), oracle.released_basis())


@pytest.mark.parametrize("variant", ["lq", "mq-released", "hq"])
def test_the_release_s_basis_is_the_default_of_every_size(variant):
    config = load(f"{ROOT}/configs/dream_fields.py:{variant}", [("prompt", "a cube")])
    plan = make_plan(config)
    field = make_stage_field(config, plan, plan.stage_at(0), training=True)
    assert (field.encoding, field.n_features, field.max_exponent, field.integrate) == (
        "released",
        oracle.DIRECTIONS,
        oracle.MAX_EXPONENT,
        True,
    )


def test_waves_of_gaussians_agree_channel_by_channel():
    rng = np.random.default_rng(0)
    mean, direction = rng.uniform(-1, 1, (40, 3)), rng.normal(size=(40, 3))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    along, across = rng.uniform(0, 3e-3, 40), rng.uniform(0, 1e-4, 40)
    given = [np.float32(each) for each in (mean, direction, along, across)]
    mean, direction, along, across = (each.astype(np.float64) for each in given)
    outer = direction[:, :, None] * direction[:, None]
    cov = along[:, None, None] * outer + across[:, None, None] * (np.eye(3) - outer)
    for scale in (1.0, 1.7):
        features = encoding.integrated_encoding(
            jnp.asarray(given[0]),
            encoding.released_basis(),
            direction=jnp.asarray(given[1]),
            variance_along=jnp.asarray(given[2]),
            variance_across=jnp.asarray(given[3]),
            scale=scale,
        )
        waves = np.split(np.asarray(features, np.float64), 2, axis=-1)
        cosines, sines = (basis_to_oracle(each.T).T for each in waves)
        expected = ipe_features(mean, cov, oracle.released_basis(), scale)
        np.testing.assert_allclose(np.concatenate([cosines, sines], -1), expected, rtol=0, atol=1e-5)
