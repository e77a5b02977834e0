"""The benchmark of a step: what it counts, and that it runs whole on a small config."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_training import ROOT, overrides

from benchmarks.guides import outlined, with_random_weights
from benchmarks.measure import Program, Rates, measure, time_calls
from benchmarks.stages import make_programs
from benchmarks.step import measure_step, table
from voxjax.config.loading import load

RATES = Rates(flops=1e9, bandwidth=1e9)


def test_a_matrix_product_counts_its_operations_and_bytes():
    n = 64
    square = jnp.ones((n, n))
    found = measure(Program("product", jnp.matmul, (square, square)), RATES, repeats=3)
    assert found.flops == pytest.approx(2 * n**3, rel=0.05)
    assert found.bytes == pytest.approx(3 * n * n * 4, rel=0.05)
    assert found.floor_ms == pytest.approx(max(found.flops, found.bytes) / 1e9 * 1e3)
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms and found.compile_s > 0


def test_nothing_runs_where_only_compiling_was_asked_for():
    def fail(x):
        jax.debug.callback(lambda: pytest.fail("it ran"))
        return x + 1

    assert measure(Program("none", fail, (jnp.ones(3),)), RATES, repeats=0).median_ms is None


def test_a_carried_argument_is_what_the_call_before_returned():
    seen = []
    start = jnp.zeros(())
    times = time_calls(lambda x: (seen.append(float(x)) or x + 1, None), (start,), repeats=3, carry=True)
    assert seen == [0.0, 1.0, 2.0, 3.0] and len(times) == 3 and float(start) == 0.0


def test_random_weights_keep_the_shapes_and_the_order_of_activations(tiny_clip):
    config = load(f"{ROOT}/configs/base.py", overrides(tiny_clip))
    outlines, _ = outlined(config, "float32")
    drawn = with_random_weights(outlines)
    shapes = lambda trees: [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(trees)]  # noqa: E731
    assert shapes(drawn.params) == shapes(outlines.params)
    guide = drawn.guides[0]
    images = jax.random.uniform(jax.random.key(0), (4, guide.image_size, guide.image_size, 3))
    embeddings = np.asarray(guide.encode(drawn.params[0], images))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=-1), 1.0, rtol=1e-5)
    assert np.linalg.norm(np.asarray(drawn.targets[0])) == pytest.approx(1.0, rel=1e-5)
    # Pictures are told apart: neither constant nor saturated.
    assert np.std(embeddings, axis=0).max() > 1e-3


def test_a_stage_backward_is_the_gradient_of_its_results(tiny_clip):
    config = load(f"{ROOT}/configs/base.py", overrides(tiny_clip, progressive__boundaries="()"))
    programs = {
        each.name: each for each in make_programs(config, with_random_weights(outlined(config, "float32")[0]))
    }
    clip = programs[f"{tiny_clip}, and backward"]
    images, params = clip.arguments
    _, ((gradient,),) = jax.jit(clip.function)(images, params)
    forward = jax.jit(
        lambda x: sum(jnp.sum(r) for r in programs[f"{tiny_clip}, forward"].function([x], params))
    )
    direction = jax.random.normal(jax.random.key(1), images[0].shape)
    step = 1e-2
    slope = (forward(images[0] + step * direction) - forward(images[0] - step * direction)) / (2 * step)
    assert float(jnp.sum(gradient * direction)) == pytest.approx(float(slope), rel=2e-2, abs=1e-3)


def test_the_whole_table(tiny_clip):
    pairs = [pair for pair in overrides(tiny_clip) if pair[0] not in ("prompt", "progressive.boundaries")]
    found = measure_step(f"{ROOT}/configs/base.py", pairs, dtype="auto", repeats=1)
    names = [row["name"] for row in found["programs"]]
    assert names[0] == "field, forward" and names[-3:] == ["priors", "optimiser", "step"] and len(names) == 11
    assert found["rates"]["flops"] > 1e8 and all(row["median_ms"] > 0 for row in found["programs"])
    text = table(found)
    assert text.count("\n") == len(names) + 3 and "| step | " in text
