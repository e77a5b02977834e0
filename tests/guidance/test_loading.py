"""Guidance models against a float64 CLIP written in NumPy, and what they refuse."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import clip_oracle as oracle
from helpers.clip_oracle import WORDS, write_checkpoint

from voxjax.errors import UserError
from voxjax.guidance import load_guidance

PROMPTS = ("a red sphere", "cube", "a Blue sphere on top of a")
IDS = ([9, 1, 2, 4, 10], [9, 5, 10], [9, 1, 3, 4, 6, 7, 8, 1, 10])
OTHER = {"image_mean": [0.2, 0.5, 0.6], "image_std": [0.5, 0.3, 0.7]}


def images(n=2, seed=3):
    return np.random.default_rng(seed).uniform(size=(n, 20, 20, 3)).astype(np.float32)


class Loaded:
    """A checkpoint, loaded once, with one compiled program."""

    def __init__(self, folder, raw, dtype=None, preprocessor=None):
        self.folder, self.raw, self.tensors = write_checkpoint(folder, raw, preprocessor=preprocessor)
        self.guidance, self.text = load_guidance(str(folder), prompts=PROMPTS, dtype=dtype)
        self.run = jax.jit(jax.value_and_grad(self.total_cosine, argnums=(0, 1), has_aux=True))
        (_, self.embeddings), gradients = jax.device_get(self.run(images(), self.guidance.params))
        self.pixel_gradient, self.params_gradient = gradients

    def total_cosine(self, images, params):
        embeddings = self.guidance.encode(params, images)
        return jnp.sum(embeddings @ self.text[0]), embeddings


@pytest.fixture(scope="module")
def openai(tmp_path_factory):
    """Like OpenAI's: QuickGELU, the old end token number, no preprocessor_config.json."""
    return Loaded(tmp_path_factory.mktemp("openai"), oracle.config())


@pytest.fixture(scope="module")
def laion(tmp_path_factory):
    """Like LAION's: exact GELU, the true end token number; and a normalisation of its own."""
    raw = oracle.config(hidden_act="gelu", eos_token_id=10)
    return Loaded(tmp_path_factory.mktemp("laion"), raw, preprocessor=OTHER)


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return Loaded(tmp_path_factory.mktemp("half"), oracle.config(), dtype="bfloat16")


@pytest.fixture
def small(tmp_path):
    """A checkpoint on disk for what fails before anything is compiled."""
    return write_checkpoint(tmp_path / "small")[0]


def test_image_embeddings_with_quick_gelu(openai):
    for image, embedding in zip(images(), openai.embeddings, strict=True):
        expected = oracle.image_embedding(openai.raw, openai.tensors, image)
        np.testing.assert_allclose(embedding, expected, atol=2e-5)
    assert openai.embeddings.dtype == np.float32


def test_image_embeddings_with_exact_gelu_and_own_normalisation(laion):
    for image, embedding in zip(images(), laion.embeddings, strict=True):
        expected = oracle.image_embedding(
            laion.raw, laion.tensors, image, mean=OTHER["image_mean"], sd=OTHER["image_std"]
        )
        np.testing.assert_allclose(embedding, expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["openai", "laion"])
def test_text_embeddings(kind, request):
    loaded = request.getfixturevalue(kind)
    assert loaded.text.shape == (3, 10)
    for ids, embedding in zip(IDS, np.asarray(loaded.text), strict=True):
        expected = oracle.text_embedding(loaded.raw, loaded.tensors, ids)
        np.testing.assert_allclose(embedding, expected, atol=2e-5)


def test_pixel_gradient_by_finite_differences(openai):
    text = oracle.text_embedding(openai.raw, openai.tensors, IDS[0])
    rng = np.random.default_rng(4)
    step = 1e-5
    for row, column, channel in zip(*rng.integers(0, (16, 16, 3), (12, 3)).T, strict=True):
        values = []
        for sign in (1, -1):
            image = images()[1].astype(np.float64)
            image[row, column, channel] += sign * step
            values.append(oracle.image_embedding(openai.raw, openai.tensors, image) @ text)
        expected = (values[0] - values[1]) / (2 * step)
        np.testing.assert_allclose(
            openai.pixel_gradient[1, row, column, channel], expected, rtol=2e-3, atol=2e-6
        )
    assert np.abs(openai.pixel_gradient[:, :16, :16]).min() > 0


def test_pixels_that_no_patch_covers_have_no_gradient(openai):
    assert not openai.pixel_gradient[:, 16:].any()
    assert not openai.pixel_gradient[:, :, 16:].any()


def test_no_gradient_reaches_the_parameters(openai):
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(openai.params_gradient))


def test_only_the_image_tower_stays(openai):
    guidance = openai.guidance
    assert guidance.params.keys() == {"vision_model", "visual_projection"}
    kept = sum(leaf.size for leaf in jax.tree.leaves(guidance.params))
    vision = [array.size for name, array in openai.tensors.items() if name.startswith("vis")]
    assert kept == sum(vision)
    assert (guidance.image_size, guidance.embedding_size, guidance.name) == (20, 10, str(openai.folder))


def test_bfloat16_is_close_to_float32(openai, half):
    cosines = np.sum(half.embeddings * openai.embeddings, axis=-1)
    assert (cosines > 0.999).all() and (cosines < 1).all()
    for one, other in zip(half.pixel_gradient, openai.pixel_gradient, strict=True):
        assert np.sum(one * other) > 0.98 * np.linalg.norm(one) * np.linalg.norm(other)
    np.testing.assert_array_equal(half.text, openai.text)
    np.testing.assert_allclose(np.linalg.norm(half.embeddings, axis=-1), 1, rtol=1e-6)


def test_matrices_are_stored_in_the_compute_type_and_norms_in_float32(half):
    vision = half.guidance.params["vision_model"]
    layer = vision["encoder"]["layers"]["1"]
    for matrix in (
        layer["mlp"]["fc1"],
        layer["self_attn"]["q_proj"],
        half.guidance.params["visual_projection"],
    ):
        assert matrix["kernel"].dtype == jnp.bfloat16
    assert vision["embeddings"]["patch_embedding"]["kernel"].dtype == jnp.bfloat16
    assert layer["layer_norm1"]["scale"].dtype == vision["pre_layrnorm"]["bias"].dtype == jnp.float32


def test_compute_type_follows_the_device(openai):
    kernels = openai.guidance.params["visual_projection"]["kernel"]
    assert kernels.dtype == (jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16)


def test_a_parameter_matters_where_it_is_an_argument(openai):
    changed = jax.tree.map(lambda leaf: 1.1 * leaf, openai.guidance.params)
    (_, moved), _ = openai.run(images(), changed)
    assert np.abs(moved - openai.embeddings).max() > 1e-3


def test_images_of_another_size_are_refused(openai):
    with pytest.raises(AssertionError):
        openai.guidance.encode(openai.guidance.params, jnp.zeros((1, 24, 24, 3)))


def test_more_prompts_than_are_encoded_at_once(openai, monkeypatch):
    from voxjax.guidance import loading

    monkeypatch.setattr(loading, "_PROMPTS_AT_ONCE", 2)
    _, text = load_guidance(str(openai.folder), prompts=PROMPTS)
    np.testing.assert_allclose(text, openai.text, atol=1e-6)
    _, none = load_guidance(str(openai.folder))
    assert none.shape == (0, 10)


def test_flax_weights_in_place_of_safetensors(openai, tmp_path):
    from flax import serialization, traverse_util

    from voxjax.guidance import convert

    folder, _, tensors = write_checkpoint(tmp_path / "flax", openai.raw)
    (folder / "model.safetensors").unlink()
    tree = {}
    for name, array in tensors.items():
        *path, leaf = name.split(".")
        if leaf == "weight" and "norm" in path[-1]:
            leaf = "scale"
        elif leaf == "weight" and path[-1] in ("token_embedding", "position_embedding"):
            leaf = "embedding"
        elif leaf == "weight":
            leaf, array = "kernel", array.transpose((2, 3, 1, 0) if array.ndim == 4 else (1, 0))
        tree[(*path, leaf)] = array
    tree = traverse_util.unflatten_dict(tree)
    (folder / convert.MSGPACK).write_bytes(serialization.to_bytes(tree))
    guidance, text = load_guidance(str(folder), prompts=PROMPTS)
    np.testing.assert_array_equal(text, openai.text)
    for mine, theirs in zip(*map(jax.tree.leaves, (guidance.params, openai.guidance.params)), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_loading_is_silent(small, capfd):
    load_guidance(str(small))
    assert capfd.readouterr() == ("", "")


def test_path_overrides_the_name(small):
    guidance, _ = load_guidance("ViT-B/32", path=small)
    assert (guidance.name, guidance.image_size) == ("ViT-B/32", 20)


def test_a_prompt_over_the_limit_is_refused_with_its_length(small):
    with pytest.raises(UserError, match=r"has 10 tokens, .* takes 9: 'a a a a a a a a'"):
        load_guidance(str(small), prompts=["a " * 7 + "a"])


@pytest.mark.parametrize("prompt", ["", "  "])
def test_an_empty_prompt_is_refused(small, prompt):
    with pytest.raises(UserError, match="is empty"):
        load_guidance(str(small), prompts=["a cube", prompt])


def test_words_without_a_token_are_refused(small):
    with pytest.raises(UserError, match="no token for 'purple' in the prompt 'a purple cube'"):
        load_guidance(str(small), prompts=["a purple cube"])


def test_a_single_prompt_needs_no_list(small):
    with pytest.raises(UserError, match="in the prompt 'a purple cube'"):
        load_guidance(str(small), prompts="a purple cube")


def test_words_outside_the_vocabulary_are_refused_with_what_is_known(tmp_path):
    folder, *_ = write_checkpoint(tmp_path / "known", vocabulary=WORDS)
    with pytest.raises(UserError) as caught:
        load_guidance(str(folder), prompts=["a red cube", "A purple dog, on a Cube."])
    assert "'purple', 'dog';" in str(caught.value)
    assert ", ".join(WORDS) in str(caught.value)


def test_of_many_known_words_the_nearest_are_named(tmp_path):
    filler = [f"{a}{b}q" for a in "bcdfghjkl" for b in "bcdfghjkl"]
    folder, *_ = write_checkpoint(tmp_path / "many", vocabulary=[*WORDS, "strawberry", *filler])
    with pytest.raises(UserError) as caught:
        load_guidance(str(folder), prompts=["a strwaberry on a xylophone"])
    assert "'strwaberry', 'xylophone'; the nearest that it knows: for 'strwaberry' strawberry;" in str(
        caught.value
    )
    assert f"all {len(WORDS) + 82} words stand in {folder / 'vocabulary.json'}" in str(caught.value)
    assert "bbq" not in str(caught.value)


def test_a_model_with_a_vocabulary_sees_words_only(tmp_path):
    from voxjax.guidance import tokens

    folder, *_ = write_checkpoint(tmp_path / "known", vocabulary=WORDS)
    assert tokens.known_words(["A RED sphere; on-top of a cube."], folder) == [
        "a red sphere on top of a cube"
    ]
    with pytest.raises(UserError, match="is empty"):
        load_guidance(str(folder), prompts=["..."])


def test_prompts_reach_any_other_model_untouched(small):
    from voxjax.guidance import tokens

    assert tokens.known_words(["A RED, purple dog."], small) == ["A RED, purple dog."]


@pytest.mark.parametrize("eos_token_id", [7, 49407])
def test_a_tokenizer_of_another_model_is_refused(tmp_path, eos_token_id):
    folder, *_ = write_checkpoint(tmp_path / "mixed", oracle.config(eos_token_id=eos_token_id))
    with pytest.raises(UserError, match=f"eos_token_id {eos_token_id}.*does the tokenizer belong"):
        load_guidance(str(folder), prompts=["a cube on top"])


def test_vocabulary_and_merges_in_place_of_tokenizer_json(tmp_path):
    folder, raw, _ = write_checkpoint(tmp_path / "parts")
    pieces = ["<|startoftext|>", "a", "c", "b</w>", "a</w>", "ab</w>", "cab</w>", "!</w>", "c</w>", "b"]
    ids = {piece: i for i, piece in enumerate([*pieces, "<|endoftext|>"])}
    assert len(ids) == raw["text_config"]["vocab_size"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\na b</w>\nc ab</w>\n")
    _, text = load_guidance(str(folder), prompts=["CAB  ab!"])
    tensors = oracle.random_tensors(raw)
    expected = oracle.text_embedding(raw, tensors, [0, 6, 5, 7, 10])
    np.testing.assert_allclose(text[0], expected, atol=2e-5)


def change(folder, file, **changes):
    raw = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({**raw, **changes}))


def test_a_config_of_another_kind_is_refused(small):
    change(small, "config.json", model_type="siglip")
    with pytest.raises(UserError, match="'siglip' model, not a 'clip'"):
        load_guidance(str(small))


def test_a_config_that_does_not_fit_the_weights_is_refused(small):
    change(small, "config.json", projection_dim=12)
    with pytest.raises(UserError, match=r"text_projection.weight is \[10, 16\] instead of \[12, 16\]"):
        load_guidance(str(small))


def test_an_unknown_activation_is_refused(small):
    raw = json.loads((small / "config.json").read_text())
    change(small, "config.json", vision_config={**raw["vision_config"], "hidden_act": "mish"})
    with pytest.raises(UserError, match="no activation called 'mish'"):
        load_guidance(str(small))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "vocabulary.json"])
def test_files_that_cannot_be_read_are_named(small, file):
    (small / file).write_text("{")
    with pytest.raises(UserError, match=file):
        load_guidance(str(small))
