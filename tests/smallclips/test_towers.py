"""Both kinds of small CLIP: batch normalisation in training, and what is saved is what guidance loads."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from voxjax.guidance import load_guidance
from voxjax.guidance.resnet import FrozenNorm
from voxjax.smallclips import norms, saving, tokenizer, towers
from voxjax.smallclips.recipe import Phase, Recipe

PHASES = (Phase(steps=4, learning_rate=1e-3),)
SMALL = {"text_width": 16, "text_length": 8, "seed": 0, "phases": PHASES, "projection": 12}
VIT = Recipe(name="vit", image_size=16, patch_size=8, width=16, layers=1, heads=2, **SMALL)
RESNET = Recipe(name="resnet", image_size=32, width=4, layers=(1, 1, 1, 1), **SMALL)
WORDS = ["a", "red", "ball", "box"]
PROMPTS = ["a red ball", "a box"]


def build(recipe, folder):
    tokenizer.write(folder, WORDS, PROMPTS, text_length=recipe.text_length)
    return towers.build(recipe, folder, jax.random.key(5))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("recipe", [VIT, RESNET], ids=lambda recipe: recipe.name)
def test_what_training_saves_is_what_guidance_loads(recipe, half, tmp_path):
    """Random weights through `save`, the file, and `load_guidance`: the embeddings of training come back."""
    both, params = build(recipe, tmp_path)
    images = jax.random.uniform(jax.random.key(6), (6, recipe.image_size, recipe.image_size, 3))
    statistics = None
    if recipe.is_resnet:
        # With the statistics of this very batch, the frozen tower must do what the tower in training does.
        statistics = norms.measure(functools.partial(towers.encode_images, both), params, [images])
    saving.save(tmp_path, params, statistics, half=half)
    guidance, texts = load_guidance(str(tmp_path), prompts=PROMPTS, dtype="float32")
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(guidance.params))
    atol = 2e-2 if half else 2e-5
    ids = jnp.asarray(tokenizer.encode(PROMPTS, tmp_path, text_length=recipe.text_length))
    np.testing.assert_allclose(texts, towers.encode_texts(both, params, ids), atol=atol)
    wanted, _ = towers.encode_images(both, params, images)
    np.testing.assert_allclose(guidance.encode(guidance.params, images), wanted, atol=atol)


def test_half_halves_the_matrices_only(tmp_path):
    _, params = build(VIT, tmp_path)
    saving.save(tmp_path, params, half=True)
    for name, tensor in load_file(tmp_path / "model.safetensors").items():
        assert tensor.dtype == (np.float16 if tensor.ndim > 1 else np.float32), name


def test_inputs_of_frozen_norms_are_normalised_over_the_batch():
    x = np.random.default_rng(0).normal(3.0, 2.0, (5, 4, 4, 3)).astype(np.float32)
    scale, bias = np.array([1.0, 2.0, 0.5], np.float32), np.array([0.0, -1.0, 4.0], np.float32)
    params = {"params": {"scale": jnp.asarray(scale), "bias": jnp.asarray(bias)}}
    seen = {}
    with norms.of_the_batch(seen):
        found = FrozenNorm().apply(params, x)
    flat = x.astype(np.float64).reshape(-1, 3)
    wanted = (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5) * scale + bias
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(seen[()][0], flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(seen[()][1], flat.var(0), rtol=1e-5)
    np.testing.assert_allclose(FrozenNorm().apply(params, x), x * scale + bias, rtol=1e-6)


def test_statistics_of_several_batches_are_those_of_all_their_images():
    batches = np.random.default_rng(1).normal([1.0, -2.0], [1.0, 3.0], (3, 8, 5, 5, 2)).astype(np.float32)
    batches[1] += 2.0
    params = FrozenNorm().init(jax.random.key(0), batches[0])

    def encode(params, x, seen):
        with norms.of_the_batch(seen):
            FrozenNorm().apply(params, x)

    measured = norms.measure(encode, params, map(jnp.asarray, batches))
    whole = batches.astype(np.float64).reshape(-1, 2)
    np.testing.assert_allclose(measured[()][0], whole.mean(0), rtol=1e-5)
    np.testing.assert_allclose(measured[()][1], whole.var(0), rtol=1e-5)


def test_fresh_kernels_have_variance_one_over_fan_in(tmp_path):
    _, params = build(VIT, tmp_path)
    layer = params["vision_model"]["encoder"]["layers"]["0"]
    assert float(jnp.std(layer["mlp"]["fc1"]["kernel"])) == pytest.approx(16**-0.5, rel=0.1)
    assert float(jnp.std(layer["mlp"]["fc2"]["kernel"])) == pytest.approx(64**-0.5 / 2**0.5, rel=0.1)
