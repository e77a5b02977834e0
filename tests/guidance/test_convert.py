"""Weights: what the converter takes, and what it refuses by name."""

import json

import ml_dtypes
import numpy as np
import pytest
from flax import serialization, traverse_util
from helpers.clip_oracle import config, random_tensors
from safetensors.numpy import load_file, save_file

from voxjax.errors import UserError
from voxjax.guidance import convert

EXPECTED = {
    ("vision_model", "embeddings", "class_embedding"): (5,),
    ("vision_model", "embeddings", "patch_embedding", "kernel"): (2, 2, 3, 5),
    ("vision_model", "encoder", "layers", "0", "mlp", "fc1", "kernel"): (5, 7),
    ("vision_model", "encoder", "layers", "0", "mlp", "fc1", "bias"): (7,),
    ("vision_model", "pre_layrnorm", "scale"): (5,),
    ("text_model", "embeddings", "token_embedding", "embedding"): (11, 4),
    ("logit_scale",): (),
}


def torch_tensors():
    rng = np.random.default_rng(1)
    shapes = {
        "vision_model.embeddings.class_embedding": (5,),
        "vision_model.embeddings.patch_embedding.weight": (5, 3, 2, 2),
        "vision_model.encoder.layers.0.mlp.fc1.weight": (7, 5),
        "vision_model.encoder.layers.0.mlp.fc1.bias": (7,),
        "vision_model.pre_layrnorm.weight": (5,),
        "text_model.embeddings.token_embedding.weight": (11, 4),
        "logit_scale": (),
    }
    return {name: np.asarray(rng.standard_normal(shape), np.float32) for name, shape in shapes.items()}


def by_last(found):
    return {key[-2:]: array for key, array in found.items()}


def test_names_and_axes():
    tensors = torch_tensors()
    found = by_last(convert.from_torch(tensors, EXPECTED, source="file"))
    conv = found["patch_embedding", "kernel"]
    for height, width, channel, out in np.ndindex(2, 2, 3, 5):
        there = tensors["vision_model.embeddings.patch_embedding.weight"][out, channel, height, width]
        assert conv[height, width, channel, out] == there
    x = np.arange(5.0)
    weight, bias = (tensors[f"vision_model.encoder.layers.0.mlp.fc1.{part}"] for part in ("weight", "bias"))
    np.testing.assert_allclose(
        x @ found["fc1", "kernel"] + found["fc1", "bias"], weight @ x + bias, rtol=1e-6
    )
    table = tensors["text_model.embeddings.token_embedding.weight"]
    np.testing.assert_array_equal(found["token_embedding", "embedding"], table)
    np.testing.assert_array_equal(found["pre_layrnorm", "scale"], tensors["vision_model.pre_layrnorm.weight"])
    assert found["logit_scale",] == tensors["logit_scale"]


def test_position_counters_of_old_checkpoints_are_no_weights():
    tensors = torch_tensors()
    for side in ("text", "vision"):
        tensors[f"{side}_model.embeddings.position_ids"] = np.arange(4)[None]
    assert convert.from_torch(tensors, EXPECTED, source="file").keys() == EXPECTED.keys()


def test_everything_amiss_is_named_at_once():
    tensors = torch_tensors()
    tensors["text_model.embeddings.positions"] = np.zeros(3, np.float32)
    del tensors["vision_model.pre_layrnorm.weight"]
    tensors["vision_model.encoder.layers.0.mlp.fc1.weight"] = np.zeros((5, 7), np.float32)
    with pytest.raises(UserError) as caught:
        convert.from_torch(tensors, EXPECTED, source="model.safetensors")
    message = str(caught.value)
    assert "missing: vision_model.pre_layrnorm.weight" in message
    assert "not in the model: text_model.embeddings.positions" in message
    assert "misshapen: vision_model.encoder.layers.0.mlp.fc1.weight is [5, 7] instead of [7, 5]" in message
    assert "model.safetensors" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", sorted(torch_tensors()))
def test_no_tensor_may_be_missing(name):
    tensors = torch_tensors()
    del tensors[name]
    with pytest.raises(UserError, match=f"missing: {name}$"):
        convert.from_torch(tensors, EXPECTED, source="file")


def test_a_flattened_tensor_of_the_right_size_is_refused():
    tensors = torch_tensors()
    name = "vision_model.embeddings.patch_embedding.weight"
    tensors[name] = tensors[name].reshape(5, -1)
    with pytest.raises(UserError, match=r"patch_embedding.weight is \[5, 12\] instead of \[5, 3, 2, 2\]"):
        convert.from_torch(tensors, EXPECTED, source="file")


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.int64])
def test_every_type_is_read_as_written(tmp_path, kind):
    rng = np.random.default_rng(2)
    # Three bytes first: what follows them is not aligned to its item size.
    tensors = {
        "a": rng.integers(0, 99, (3, 5)).astype(kind),
        "b": (8 * rng.standard_normal((2, 1, 4))).astype(kind),
        "c": np.asarray(3, kind),
        "d": np.zeros((0, 2), kind),
    }
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    read = convert.read_safetensors(tmp_path / "x.safetensors")
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        assert read[name].dtype == array.dtype
        np.testing.assert_array_equal(read[name], array)


def test_an_unaligned_file_is_read(tmp_path):
    data = np.arange(4, dtype=np.float32)
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}) + " "
    header += " " * (3 - len(header) % 4)
    file = tmp_path / "x.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header.encode() + data.tobytes())
    assert len(header) % 4
    np.testing.assert_array_equal(convert.read_safetensors(file)["w"], data.reshape(2, 2))


def cut(data):
    return data[:-10]


def without_header(data):
    return data[:4]


def not_json(data):
    return data[:8] + b"x" + data[9:]


def pickle_of_torch(data):
    return b"PK\x03\x04" + data


def strange_type(data):
    return data.replace(b'"F32"', b'"F99"')


def offsets_outside(data):
    return data.replace(b"[0,24]", b"[0,99]")


@pytest.mark.parametrize(
    "damage", [cut, without_header, not_json, pickle_of_torch, strange_type, offsets_outside]
)
def test_a_damaged_file_is_refused(tmp_path, damage):
    file = tmp_path / "x.safetensors"
    save_file({"w": np.ones((2, 3), np.float32)}, file)
    whole = file.read_bytes()
    assert damage(whole) != whole
    file.write_bytes(damage(whole))
    with pytest.raises(UserError, match=r"x\.safetensors .*safetensors file"):
        convert.read_safetensors(file)


def test_weights_in_several_files(tmp_path):
    tensors = torch_tensors()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[:3], "model-00002-of-00002.safetensors": names[3:]}
    for file, inside in parts.items():
        save_file({name: tensors[name] for name in inside}, tmp_path / file)
    index = {"weight_map": {name: file for file, inside in parts.items() for name in inside}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    found = convert.load_parameters(tmp_path, EXPECTED)
    whole = convert.from_torch(tensors, EXPECTED, source="file")
    assert found.keys() == whole.keys()
    for key, array in whole.items():
        np.testing.assert_array_equal(found[key], array)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(UserError, match="model-00002-of-00002"):
        convert.load_parameters(tmp_path, EXPECTED)


def flax_tree():
    return traverse_util.unflatten_dict(convert.from_torch(torch_tensors(), EXPECTED, source="file"))


def test_flax_checkpoints_are_read_without_conversion(tmp_path):
    (tmp_path / "flax_model.msgpack").write_bytes(serialization.to_bytes(flax_tree()))
    found = convert.load_parameters(tmp_path, EXPECTED)
    for key, array in traverse_util.flatten_dict(flax_tree()).items():
        np.testing.assert_array_equal(found[key], array)


def test_flax_checkpoints_are_held_against_the_model_too(tmp_path):
    tree = flax_tree()
    tree["vision_model"]["pre_layrnorm"]["scale"] = np.ones(6, np.float32)
    tree["vision_model"]["extra"] = np.ones(6, np.float32)
    del tree["logit_scale"]
    (tmp_path / "flax_model.msgpack").write_bytes(serialization.to_bytes(tree))
    with pytest.raises(UserError) as caught:
        convert.load_parameters(tmp_path, EXPECTED)
    for part in (
        "missing: logit_scale",
        "not in the model: vision_model/extra",
        "scale is [6] instead of [5]",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"\x85\xa1a", b"\xc1broken"])
def test_a_damaged_flax_checkpoint_is_refused(tmp_path, data):
    (tmp_path / "flax_model.msgpack").write_bytes(data)
    with pytest.raises(UserError, match=r"flax_model\.msgpack is not"):
        convert.load_parameters(tmp_path, EXPECTED)


def test_pickles_are_never_opened(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nabort\n.")
    with pytest.raises(UserError, match="pytorch_model.bin is not read"):
        convert.load_parameters(tmp_path, EXPECTED)


def test_the_oracle_writes_a_file_that_others_can_read(tmp_path):
    tensors = random_tensors(config())
    save_file(tensors, tmp_path / "x.safetensors")
    assert load_file(tmp_path / "x.safetensors").keys() == tensors.keys()
