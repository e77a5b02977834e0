"""The layout of open_clip: a ViT from it against the float64 CLIP, and what is refused."""

import json

import jax
import numpy as np
import pytest
from helpers import clip_oracle
from helpers import openclip_checkpoints as checkpoints
from safetensors.numpy import load_file, save_file

from voxjax.errors import UserError
from voxjax.guidance import load_guidance, names

PROMPTS = ("a red sphere", "cube", "a blue sphere on top of a")
IDS = ([9, 1, 2, 4, 10], [9, 5, 10], [9, 1, 3, 4, 6, 7, 8, 1, 10])
WEIGHTS = "open_clip_model.safetensors"


def write(folder, raw):
    tensors, named = checkpoints.random_tensors(raw)
    return checkpoints.write_folder(folder, raw, tensors), tensors, named


@pytest.fixture
def vit(tmp_path):
    return write(tmp_path / "vit", checkpoints.small_vit())[0]


@pytest.fixture
def resnet(tmp_path):
    return write(tmp_path / "resnet", checkpoints.small_resnet())[0]


@pytest.mark.parametrize("settings", [{"quick_gelu": True, "preprocess": checkpoints.PIXELS}, {}])
def test_a_vit_gives_the_embeddings_of_the_float64_clip(tmp_path, settings):
    raw = checkpoints.small_vit(**settings)
    folder, _, named = write(tmp_path / "vit", raw)
    plain = checkpoints.transformers_config(raw)
    assert plain["vision_config"]["hidden_act"] == ("quick_gelu" if settings else "gelu")
    guidance, text = load_guidance(str(folder), prompts=PROMPTS)
    for ids, embedding in zip(IDS, np.asarray(text), strict=True):
        np.testing.assert_allclose(embedding, clip_oracle.text_embedding(plain, named, ids), atol=2e-5)
    images = np.random.default_rng(3).uniform(size=(2, 20, 20, 3)).astype(np.float32)
    pixels = {"mean": checkpoints.PIXELS["mean"], "sd": checkpoints.PIXELS["std"]} if settings else {}
    for image, embedding in zip(images, jax.jit(guidance.encode)(guidance.params, images), strict=True):
        expected = clip_oracle.image_embedding(plain, named, image, **pixels)
        np.testing.assert_allclose(embedding, expected, atol=2e-5)


def test_both_layouts_give_the_same_parameters(tmp_path):
    raw = checkpoints.small_vit()
    folder, _, named = write(tmp_path / "open_clip", raw)
    other, *_ = clip_oracle.write_checkpoint(
        tmp_path / "transformers", checkpoints.transformers_config(raw), named
    )
    one, two = (load_guidance(str(each))[0].params for each in (folder, other))
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_a_classifier_beside_the_clip_is_not_taken_for_it(vit):
    """As in repositories that serve both open_clip and timm."""
    (vit / "config.json").write_text(json.dumps({"architecture": "vit_base_patch16_plus_clip_240"}))
    save_file({"head.weight": np.zeros((3, 2), np.float32)}, vit / "model.safetensors")
    assert load_guidance("ViT-B-16-plus-240:laion400m", path=vit)[0].image_size == 20


def change_weights(folder, change):
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS)


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_everything_amiss_is_named_at_once_as_in_the_file(kind, request):
    folder = request.getfixturevalue(kind)
    gone = {"vit": "visual.proj", "resnet": "visual.layer2.0.downsample.1.running_var"}[kind]
    turned = {"vit": "visual.conv1.weight", "resnet": "visual.layer1.0.conv3.weight"}[kind]
    shape = {"vit": [24, 3, 8, 8], "resnet": [32, 8, 1, 1]}[kind]

    def change(tensors):
        del tensors[gone]
        tensors["visual.head.weight"] = np.zeros(3, np.float32)
        tensors[turned] = np.ascontiguousarray(tensors[turned].swapaxes(0, 1))
        tensors["transformer.resblocks.1.attn.in_proj_weight"] = np.zeros((16, 16), np.float32)

    change_weights(folder, change)
    with pytest.raises(UserError) as caught:
        load_guidance(str(folder))
    message = str(caught.value)
    assert f"missing: {gone};" in message
    assert "not in the model: visual.head.weight;" in message
    wrong = [shape[1], shape[0], *shape[2:]]
    assert f"{turned} is {wrong} instead of {shape}" in message
    assert "transformer.resblocks.1.attn.in_proj_weight is [16, 16] instead of [48, 16]" in message
    assert WEIGHTS in message and "\n" not in message


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_no_tensor_may_be_missing(kind, request):
    from voxjax.guidance import convert, loading, openclip

    folder = request.getfixturevalue(kind)
    described = loading.describe(folder, np.float32)
    size = described.image_size
    expected = {
        **loading.shapes(described.image_tower, np.zeros((1, size, size, 3))),
        **loading.shapes(described.text_tower, np.zeros((1, 9), np.int32), np.zeros(1, np.int32)),
        ("logit_scale",): (),
    }
    tensors = convert.read_safetensors(folder / WEIGHTS)
    assert described.read(expected).keys() == expected.keys()
    for name in tensors:
        if name.endswith("num_batches_tracked"):
            continue
        part = {key: array for key, array in tensors.items() if key != name}
        with pytest.raises(UserError, match=f"missing: {name}$"):
            openclip.from_open_clip(part, expected, source="file")


def change_config(folder, part, **settings):
    file = folder / "open_clip_config.json"
    raw = json.loads(file.read_text())
    model = raw["model_cfg"]
    (model if part == "model_cfg" else model[part]).update(settings)
    file.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("part", "setting"),
    [
        ("model_cfg", "custom_text"),
        ("vision_cfg", "attentional_pool"),
        ("vision_cfg", "timm_model_name"),
        ("text_cfg", "no_causal_mask"),
    ],
)
def test_a_setting_that_is_not_followed_is_refused(vit, part, setting):
    change_config(vit, part, **{setting: True})
    with pytest.raises(UserError, match=rf"models with {part}\.{setting} are not known here"):
        load_guidance(str(vit))


@pytest.mark.parametrize("settings", [{"image_size": 72}, {"layers": [1, 1, 1]}])
def test_a_resnet_of_another_build_is_refused(resnet, settings):
    change_config(resnet, "vision_cfg", **settings)
    with pytest.raises(UserError, match="4 numbers in vision_cfg.layers and .* a multiple of 32, not"):
        load_guidance(str(resnet))


@pytest.mark.parametrize(
    "content", ['{"model_cfg": {}}', "[]", '{"model_cfg": {"vision_cfg": [], "text_cfg": {}}}', "{"]
)
def test_a_config_that_describes_nothing_is_refused(vit, content):
    (vit / "open_clip_config.json").write_text(content)
    with pytest.raises(UserError, match=r"open_clip_config\.json"):
        load_guidance(str(vit))


OPEN_CLIP = {"open_clip_config.json", WEIGHTS, "tokenizer.json"}


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (OPEN_CLIP, []),
        (OPEN_CLIP - {WEIGHTS}, [WEIGHTS]),
        (OPEN_CLIP - {"tokenizer.json"}, ["tokenizer.json or vocab.json and merges.txt"]),
        # Weights of transformers beside both configs make a folder of transformers.
        (OPEN_CLIP - {WEIGHTS} | {"config.json", "model.safetensors"}, []),
        (OPEN_CLIP - {WEIGHTS} | {"config.json"}, ["model.safetensors or flax_model.msgpack"]),
        ({"tokenizer.json", WEIGHTS}, ["config.json", "model.safetensors or flax_model.msgpack"]),
    ],
)
def test_what_a_folder_lacks_follows_its_layout(files, missing):
    assert names.missing_files(files) == missing


def test_of_a_repository_with_both_layouts_one_is_fetched():
    both = OPEN_CLIP | {"config.json", "model.safetensors", "open_clip_pytorch_model.bin", "vocab.json"}
    assert names.needed_files(both) == ["open_clip_config.json", "tokenizer.json", WEIGHTS]
