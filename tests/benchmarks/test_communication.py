"""What devices exchange: counted in the program, against bytes worked out by hand."""

import jax
import jax.numpy as jnp
import pytest
from helpers.small_training import ROOT, overrides

from benchmarks.communication import CLUSTERS, Exchange, exchanged, of_step, sent, tables
from voxjax.config.loading import load
from voxjax.factory import make_plan

DEVICES = 3
ROWS = 86 * DEVICES  # 16 x 16 rays shared by three
PICTURE = ROWS * (3 + 1) * 4 + 1 * DEVICES * 10 * 4  # colour and T; one of two images a device, 10 dimensions
SCALARS = {"clip", "transmittance", "entropy"}, {"clip_similarity", "transmittance", "overflow"}
PLAIN = 4 * sum(len(each) for each in SCALARS)  # terms and metrics that every field has


def found(tiny_clip, way, **changes):
    given = {"progressive.boundaries": "()", **changes}
    pairs = [*overrides(tiny_clip), *((name, str(value)) for name, value in given.items())]
    config = load(f"{ROOT}/configs/base.py", pairs)
    x, y, z = make_plan(config).stage_at(0).shape
    return {kind: each.bytes for kind, each in of_step(config, way, DEVICES).items()}, x * y * z


def test_vox_exp_exchanges_its_grid(tiny_clip):
    split, vertices = found(tiny_clip, "split")
    parameters = vertices * 4 * 4 + 4  # density and colour, and the density's shift
    assert split == {"all-reduce": parameters + 4, "all-gather": PICTURE, "reduce-scatter": PICTURE}
    views, _ = found(tiny_clip, "views")
    assert views == {"all-reduce": parameters + PLAIN + 2 * 4}  # the prior, and the share that is occupied


def test_vox_imp_exchanges_its_networks_and_what_they_say_of_the_vertices(tiny_clip):
    changes = {"field.name": "vox_imp", "vox_imp.width": 8, "vox_imp.n_frequencies": 2}
    split, vertices = found(tiny_clip, "split", **changes)
    layers = [(3 + 6 * 2) * 8 + 8 + 8 * 8 + 8 + 8 * n + n for n in (1, 3)]
    parameters = 4 * (sum(layers) + 1)
    whole = PICTURE + -(-vertices // DEVICES) * DEVICES * 4 * 4
    assert split == {"all-reduce": parameters + 4, "all-gather": whole, "reduce-scatter": whole}
    views, _ = found(tiny_clip, "views", **changes)
    assert views == {"all-reduce": parameters + PLAIN + 3 * 4}  # total variation is a term of its own


def test_dream_fields_exchanges_its_network_and_the_middle_of_the_scene(tiny_clip):
    changes = {"field.name": "dream_fields", "field.half_width": 1.0, "dream_fields.width": 8}
    changes |= {"dream_fields.hidden": 6, "dream_fields.n_blocks": 1, "dream_fields.n_features": 4}
    split, _ = found(tiny_clip, "split", **changes, **{"dream_fields.n_samples": 8})
    features = 2 * (4 + 3)
    block = 2 * 8 + (8 * 6 + 6) + (6 * 8 + 8)
    parameters = 4 * ((features * 8 + 8) + block + (8 * 8 + 8) + (8 * 4 + 4))
    assert split == {
        "all-reduce": parameters + 4 + 4 + 3 * 4,
        "all-gather": PICTURE,
        "reduce-scatter": PICTURE,
    }
    views, _ = found(tiny_clip, "views", **changes, **{"dream_fields.n_samples": 8})
    assert views == {"all-reduce": parameters + PLAIN + 3 * 4}


def traced(function, *shapes):
    arguments = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.make_jaxpr(function, axis_env=[("d", 4)])(*arguments).jaxpr


def test_a_loop_counts_as_often_as_it_turns_and_a_condition_its_largest_branch():
    def turn(total, row):
        return total + jax.lax.psum(row, "d"), jax.lax.all_gather(row, "d")

    looped = traced(lambda x: jax.lax.scan(turn, jnp.zeros(3), x), (5, 3))
    assert exchanged(looped) == {"all-reduce": Exchange(5, 5 * 12), "all-gather": Exchange(5, 5 * 4 * 12)}

    def branch(x):
        return jax.lax.cond(
            x[0] > 0, lambda x: jax.lax.psum(x[:2], "d"), lambda x: jax.lax.psum(x, "d")[:2], x
        )

    assert exchanged(traced(jax.jit(branch), (3,))) == {"all-reduce": Exchange(1, 12)}


def test_what_nobody_reads_is_not_counted():
    def step(x):
        jax.lax.all_gather(x, "d")
        return jax.lax.psum(x, "d")

    assert exchanged(traced(step, (3,))) == {"all-reduce": Exchange(1, 12)}


def test_what_cannot_be_counted_is_refused():
    def endless(x):
        return jax.lax.while_loop(lambda y: y[0] < 9, lambda y: jax.lax.psum(y, "d"), x)

    with pytest.raises(ValueError, match="unknown length"):
        exchanged(traced(endless, (3,)))
    with pytest.raises(ValueError, match="pmax"):
        exchanged(traced(lambda x: jax.lax.pmax(x, "d"), (3,)))


def test_a_ring_sends_what_it_reduces_twice_and_the_tables_say_what_is_a_prediction():
    reduced, gathered = Exchange(1, 2**20), Exchange(2, 2**21)
    assert sent({"all-reduce": reduced, "all-gather": gathered}, 4) == 0.75 * (2 * 2**20 + 2**21)
    both = {"all-reduce": {"calls": 1, "bytes": 2**20}, "all-gather": {"calls": 2, "bytes": 2**21}}
    row = {"config": "x", "side": 7, "parallel": "split", "exchanged": {n: both for _, n, _ in CLUSTERS}}
    counted, predicted = tables([row]).split("*Prediction*")
    assert "| `x` | 7^3 | split | 1.00 (1) | 2.00 (2) | - | 3.50 |" in counted
    _, n, rate = CLUSTERS[1]
    assert predicted.endswith(f"| {4 * 2**20 * (n - 1) / n / rate * 1e3:.3f} |")
