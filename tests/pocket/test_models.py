"""The two models in the package: small enough to ship, and able to name what is really there."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from voxjax import pocket as package
from voxjax.errors import UserError
from voxjax.guidance import load_guidance
from voxjax.pocket import model, score, train

FOLDER = Path(package.__file__).parent
# Share of true renders to be named right: more is asked of the judge than of the guide.
AT_LEAST = {"pocket": 0.95, "pocket-eval": 0.97}


@pytest.mark.parametrize("name", model.RECIPES)
def test_the_models_are_small(name):
    sizes = [tensor.size for tensor in load_file(FOLDER / name / "model.safetensors").values()]
    assert sum(sizes) <= 3_000_000
    files = [file for each in model.RECIPES for file in (FOLDER / each).iterdir()]
    assert sum(file.stat().st_size for file in files) <= 20 * 2**20


@pytest.mark.parametrize("name", model.RECIPES)
def test_the_models_name_true_renders(name):
    result = score.score_model(name)
    assert result["top1"] >= AT_LEAST[name], result["worst_pairs"]
    if name == "pocket-eval":
        poor = [pair for pair, views in result["worst_pairs"].items() if not views.startswith("3 of 4")]
        assert not poor, result["worst_pairs"]


def test_a_word_outside_the_vocabulary_is_refused_with_the_list():
    with pytest.raises(UserError, match="'bonsai'.*sphere"):
        load_guidance("pocket", prompts=["a red bonsai"])


def test_a_folder_with_a_finished_model_is_not_trained_over(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="holds a model already"):
        train.main(["--model=pocket", f"--out={tmp_path}"])


@pytest.mark.parametrize("flag", ["--seed=-1", "--per_shape=0", "--per_pair=0"])
def test_a_count_out_of_range_is_refused(tmp_path, monkeypatch, flag):
    monkeypatch.setattr(train, "train", lambda *_, **__: None)
    name, value = flag.split("=")
    with pytest.raises(UserError, match=f"{name}: '{value}' is not a whole number from"):
        train.main(["--model=pocket", f"--out={tmp_path}", flag])


def test_dense_targets_say_what_covers_each_patch():
    geometry = np.zeros((1, 16, 16, 5), np.float32)
    geometry[0, :8, 8:, 0] = 1.0  # the upper right patch is the upper object,
    geometry[0, :8, 8:, 1] = 1.0
    geometry[0, 8:, :8, 0] = 1.0  # the lower left one the lower object,
    geometry[0, 8:, :8, 4] = 1.0  # facing the camera;
    geometry[0, 8:, 8:10, 0] = 0.5  # an eighth of a patch is too little to count.
    targets = model.dense_targets(jnp.asarray(geometry), jnp.asarray([[4, 6]]), jnp.asarray([[1, 9]]), 8)
    np.testing.assert_array_equal(targets["shape"], [[0, 7, 5, 0]])
    np.testing.assert_array_equal(targets["colour"], [[0, 10, 2, 0]])
    np.testing.assert_array_equal(targets["mask"].sum(-1), [[0, 64, 64, 8]])
    np.testing.assert_allclose(targets["normal"][0, 2].reshape(4, 3), [[0, 0, 1]] * 4)


def test_summary_counts_views_and_pairs():
    truth = np.broadcast_to(np.arange(80).reshape(8, 10, 1), (8, 10, 4)).copy()
    truth[2, 3, 1] = 21  # one view of the yellow cone taken for a green one
    result = score.summarise(truth)
    assert result["top1"] == pytest.approx(319 / 320)
    assert result["shape"] == 1.0 and result["colour"] == pytest.approx(319 / 320)
    assert result["held_out"] == pytest.approx(31 / 32), "the yellow cone is held out"
    assert list(result["worst_pairs"]) == ["a yellow cone"]
    assert "3 of 4" in result["worst_pairs"]["a yellow cone"]
