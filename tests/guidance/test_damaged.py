"""Folders whose files are damaged or make no model: one line that names the file, in both layouts."""

import json

import pytest
from helpers import openclip_checkpoints
from helpers.clip_oracle import config, write_checkpoint

from voxjax.errors import UserError
from voxjax.guidance import load_guidance, loading, tokens


@pytest.fixture
def folder(tmp_path):
    return write_checkpoint(tmp_path / "small")[0]


def refusal(call, *arguments):
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_part(part, **changes):
    raw = config()
    return {**raw, part: {**raw[part], **changes}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "does not hold a JSON object"),
        ({**config(), "text_config": "x"}, "does not describe a CLIP"),
        ({**config(), "projection_dim": 0}, "projection_dim=0: not a whole number above 0"),
        (with_part("vision_config", patch_size=0), "patch_size=0: not a whole number above 0"),
        (with_part("vision_config", patch_size=40), "a patch of 40 pixels in an image of 20"),
        (with_part("vision_config", image_size=[20, 20]), r"image_size=\[20, 20\]"),
        (with_part("vision_config", num_attention_heads=5), "5 heads do not divide a width of 24"),
        (with_part("text_config", num_attention_heads=0), "num_attention_heads=0"),
        (with_part("text_config", num_hidden_layers="two"), "num_hidden_layers='two'"),
        (with_part("text_config", hidden_act=["gelu"]), "does not describe a CLIP"),
    ],
)
def test_a_config_of_no_model_is_refused(folder, content, words):
    (folder / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"small/config\.json.*{words}") as caught:
        load_guidance(str(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"image_mean": None},
        {"image_mean": [0.5, 0.5]},
        {"image_mean": ["a", "b", "c"]},
        {"image_std": [1, 1, 0]},
        {"image_std": [1, 1, float("nan")]},
    ],
)
def test_pixels_that_cannot_be_normalised_are_refused(folder, content):
    (folder / "preprocessor_config.json").write_text(json.dumps(content))
    assert "preprocessor_config.json" in refusal(load_guidance, str(folder))


@pytest.mark.parametrize(
    ("kind", "part", "change"),
    [
        ("vit", "vision_cfg", {"patch_size": 0}),
        ("vit", "vision_cfg", {"head_width": 0}),
        ("vit", "vision_cfg", {"head_width": 64}),
        ("vit", "vision_cfg", {"mlp_ratio": float("inf")}),
        ("vit", "text_cfg", {"heads": 5}),
        ("vit", "text_cfg", {"width": "wide"}),
        ("vit", "preprocess_cfg", {"mean": None}),
        ("resnet", "vision_cfg", {"head_width": 0}),
        ("resnet", "vision_cfg", {"head_width": 50}),
        ("resnet", "vision_cfg", {"image_size": 0}),
        ("resnet", "vision_cfg", {"width": 0}),
        ("resnet", "vision_cfg", {"layers": [1, 0, 1, 1]}),
    ],
)
def test_an_open_clip_config_of_no_model_is_refused(tmp_path, kind, part, change):
    raw = {"vit": openclip_checkpoints.small_vit, "resnet": openclip_checkpoints.small_resnet}[kind]()
    raw.setdefault("preprocess_cfg", {})
    (raw if part == "preprocess_cfg" else raw["model_cfg"])[part].update(change)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(raw))
    assert "open_clip_config.json" in refusal(loading.describe, tmp_path, "float32")


@pytest.mark.parametrize(
    "content",
    ['{"weight_map": {"a', "[]", "{}", '{"weight_map": ["model.safetensors"]}', '{"weight_map": {"a": 1}}'],
)
def test_an_index_that_names_no_files_is_refused(folder, content):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json" in refusal(load_guidance, str(folder))


@pytest.mark.parametrize("content", [{"words": ["a", 1]}, {"words": ["a"], "captions": "a"}, ["a"]])
def test_a_vocabulary_of_other_than_words_is_refused(folder, content):
    (folder / "vocabulary.json").write_text(json.dumps(content))
    for call in (tokens.vocabulary, tokens.captions):
        assert "vocabulary.json" in refusal(call, folder)
