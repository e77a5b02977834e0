"""CLIP ResNets in the layout of open_clip against a float64 ResNet written in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import clip_oracle
from helpers import openclip_checkpoints as checkpoints

from voxjax.guidance import load_guidance, resnet

PROMPTS = ("a red sphere", "cube")
IDS = ([9, 1, 2, 4, 10], [9, 5, 10])
RAW = checkpoints.small_resnet()
TENSORS, NAMED = checkpoints.random_tensors(RAW)


def images():
    """Two images [2, 64, 64, 3] of noise over 16 patches of colour."""
    rng = np.random.default_rng(3)
    patches = rng.uniform(size=(2, 4, 4, 3)).repeat(16, 1).repeat(16, 2)
    return (0.7 * patches + 0.3 * rng.uniform(size=(2, 64, 64, 3))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    # Old versions of open_clip also stored the mask of the text tower.
    mask = np.triu(np.full((9, 9), -np.inf, np.float32), 1)
    return checkpoints.write_folder(tmp_path_factory.mktemp("resnet"), RAW, {**TENSORS, "attn_mask": mask})


class Loaded:
    """The checkpoint, loaded in one compute type, with one compiled program."""

    def __init__(self, folder, dtype):
        self.guidance, self.text = load_guidance(str(folder), prompts=PROMPTS, dtype=dtype)
        run = jax.jit(jax.value_and_grad(self.total_cosine, argnums=(0, 1), has_aux=True))
        (_, self.embeddings), gradients = jax.device_get(run(images(), self.guidance.params))
        self.pixel_gradient, self.params_gradient = gradients

    def total_cosine(self, images, params):
        embeddings = self.guidance.encode(params, images)
        return jnp.sum(embeddings @ self.text[0]), embeddings


@pytest.fixture(scope="module")
def single(folder):
    return Loaded(folder, "float32")


@pytest.fixture(scope="module")
def half(folder):
    return Loaded(folder, "bfloat16")


def test_image_embeddings(single):
    for image, embedding in zip(images(), single.embeddings, strict=True):
        expected = checkpoints.resnet_embedding(RAW, TENSORS, image)
        np.testing.assert_allclose(embedding, expected, atol=5e-6)
    assert np.abs(single.embeddings[0] - single.embeddings[1]).max() > 2e-2
    assert single.embeddings.dtype == np.float32


def test_text_embeddings(single):
    raw = checkpoints.transformers_config(RAW)
    for ids, embedding in zip(IDS, np.asarray(single.text), strict=True):
        np.testing.assert_allclose(embedding, clip_oracle.text_embedding(raw, NAMED, ids), atol=2e-5)


def test_pixel_gradient_by_finite_differences(single):
    text = clip_oracle.text_embedding(checkpoints.transformers_config(RAW), NAMED, IDS[0])
    step = 1e-6  # so small that hardly a ReLU lies between the two values
    pixels = [(0, 0, 0), (63, 63, 2), (0, 63, 1)]  # corners: the border of every convolution
    pixels += list(zip(*np.random.default_rng(4).integers(0, (64, 64, 3), (9, 3)).T, strict=True))
    for row, column, channel in pixels:
        values = []
        for sign in (1, -1):
            image = images()[1].astype(np.float64)
            image[row, column, channel] += sign * step
            values.append(checkpoints.resnet_embedding(RAW, TENSORS, image) @ text)
        expected = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose(
            single.pixel_gradient[1, row, column, channel], expected, rtol=2e-3, atol=2e-6
        )


def test_no_gradient_reaches_the_parameters(single):
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(single.params_gradient))


def test_only_the_image_tower_stays(single):
    guidance = single.guidance
    assert guidance.params.keys() == {"stem", "layer1", "layer2", "layer3", "layer4", "attnpool"}
    # Of a batch norm two vectors remain of four.
    dropped = ("running_mean", "running_var", "num_batches_tracked")
    vision = [a.size for name, a in TENSORS.items() if name.startswith("visual.")]
    gone = [a.size for name, a in TENSORS.items() if name.endswith(dropped)]
    kept = sum(leaf.size for leaf in jax.tree.leaves(guidance.params))
    assert kept == sum(vision) - sum(gone)
    assert (guidance.image_size, guidance.embedding_size) == (64, 10)


def test_bfloat16_is_close_to_float32(single, half):
    cosines = np.sum(half.embeddings * single.embeddings, axis=-1)
    assert (cosines > 0.999).all() and (cosines < 1).all()
    for one, other in zip(half.pixel_gradient, single.pixel_gradient, strict=True):
        assert np.sum(one * other) > 0.98 * np.linalg.norm(one) * np.linalg.norm(other)
    np.testing.assert_array_equal(half.text, single.text)


def test_kernels_are_stored_in_the_compute_type_and_norms_and_the_beginning_in_float32(half):
    params = half.guidance.params
    block = params["layer2"]["0"]
    for kernel in (block["conv2"], block["downsample"], params["attnpool"]["v_proj"]):
        assert kernel["kernel"].dtype == jnp.bfloat16
    for kernel in (params["stem"]["conv2"], params["layer1"]["0"]["conv1"]):
        assert kernel["kernel"].dtype == jnp.float32
    for norm in (params["stem"]["norm1"], block["norm3"], block["downsample_norm"]):
        assert norm["scale"].dtype == norm["bias"].dtype == jnp.float32
    assert params["attnpool"]["positional_embedding"].dtype == jnp.float32


def test_a_frozen_norm_with_a_small_variance():
    rng = np.random.default_rng(5)
    scale, bias, mean, x = rng.standard_normal((4, 6))
    variance = np.array([0.0, 1e-9, 1e-5, 1e-2, 1.0, 50.0])
    a, b = resnet.fold_norm(scale, bias, mean, variance)
    expected = [
        (x[i] - mean[i]) / np.sqrt(variance[i] + 1e-5) * scale[i] + bias[i] for i in range(len(variance))
    ]
    np.testing.assert_allclose(a.astype(np.float64) * x + b, expected, rtol=1e-5, atol=1e-4)
    assert a.dtype == b.dtype == np.float32
