"""The command on little packages: both kinds of model, snapshots, scores, and what it refuses."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import little_packages
from scipy.special import log_softmax

from voxjax.errors import UserError
from voxjax.guidance import load_guidance
from voxjax.picturebook import bank, batches, model, names, score, train
from voxjax.smallclips import tokenizer, towers
from voxjax.smallclips.run import SNAPSHOT


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A cache of little packages, batches of eight, and models of a few thousand parameters."""
    for name, value in (("N_IMAGES", 8), ("N_ALIKE", 3), ("N_WRONG", 2)):
        monkeypatch.setattr(batches, name, value)
    monkeypatch.setattr(train, "_N_MEASURED", 2)
    small = {"text_width": 16, "text_layers": 1, "projection": 12}
    vit, resnet = model.RECIPES.values()
    vit = dataclasses.replace(vit, image_size=16, width=20, layers=1, **small)
    resnet = dataclasses.replace(resnet, image_size=32, width=8, layers=(1, 1, 1, 1), **small)
    monkeypatch.setattr(model, "RECIPES", {each.name: each for each in (vit, resnet)})
    little_packages.fill(tmp_path / "cache", monkeypatch)
    return tmp_path


def flags(little, name, *more):
    return [
        f"--model={name}",
        f"--cache={little / 'cache'}",
        f"--out={little / name}",
        "--without=openmoji",
        *more,
    ]


def test_what_is_trained_is_scored_on_the_others_sources_and_loads(little, capsys):
    train.main(flags(little, "picturebook", "--steps=4", "--log_every=1"))
    folder = little / "picturebook"
    stood = json.loads((folder / train.SCORES).read_text())
    assert stood["model"] == "picturebook" and stood["step"] >= 4
    assert set(stood["scores"]) == {"twemoji", "emojione", "emojione_v1", "models", "all"}
    assert stood["scores"]["models"]["plain"]["pictures"] == 4
    assert not (folder / SNAPSHOT).exists(), "of no use any more"
    said = capsys.readouterr().out
    assert "noto" in said and "twemoji: plain" in said and "accuracy" in said
    guidance, texts = load_guidance(str(folder), prompts=["a blue elephant"], dtype="float32")
    assert texts.shape == (1, 12) and guidance.image_size == 16
    with pytest.raises(UserError, match="the nearest that it knows: for 'elefant' elephant"):
        load_guidance(str(folder), prompts=["an elefant"])
    with pytest.raises(UserError, match="holds a model already"):
        train.main(flags(little, "picturebook"))


def test_a_resnet_that_was_cut_off_goes_on(little, monkeypatch, capsys):
    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train, "score", die)
        with pytest.raises(KeyboardInterrupt):
            train.main(flags(little, "picturebook-eval", "--steps=4", "--keep_every=2"))
    folder = little / "picturebook-eval"
    assert (folder / SNAPSHOT).is_file() and (folder / "open_clip_model.safetensors").is_file()
    train.main(flags(little, "picturebook-eval", "--steps=4", "--keep_every=2"))
    stood = json.loads((folder / train.SCORES).read_text())
    assert set(stood["scores"]) == {*bank.SIDES["picturebook"], "all"} and stood["step"] == 4
    said = capsys.readouterr().out
    assert "step 1 " in said and "step 4 " in said


def test_sheets_show_the_bank_and_batches(little, capsys):
    train.main(flags(little, "picturebook", "--sheet"))
    files = capsys.readouterr().out.split()
    assert [file.rsplit("/", 1)[1] for file in files] == [
        "bank.png",
        "batch-0.0.png",
        "batch-0.5.png",
        "batch-1.0.png",
    ]


def test_mistakes_are_named(little, monkeypatch):
    monkeypatch.setattr(train, "train", lambda *_: None)
    for name in ("emojipedia", "furniture"):  # the archive of the models is no name of a source
        with pytest.raises(UserError, match=rf"--without={name}: the sources are noto, .*models, twemoji"):
            train.main(["--model=picturebook", f"--cache={little / 'cache'}", f"--without={name}"])
    for minutes in ("-1.0", "nan", "inf"):
        with pytest.raises(UserError, match=rf"--minutes={minutes} must be above 0"):
            train.main(flags(little, "picturebook", f"--minutes={minutes}"))
    with pytest.raises(UserError, match=r"--seed: '-1' is not a whole number from 0"):
        train.main(flags(little, "picturebook", "--seed=-1"))
    with pytest.raises(UserError, match=r"leaves picturebook nothing to learn from"):
        bank.load("picturebook", little / "cache", bank.SIDES["picturebook"])


def test_the_loss_against_numpy(tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "N_WRONG", 2)
    recipe = dataclasses.replace(
        model.RECIPES["picturebook"],
        image_size=16,
        width=20,
        layers=1,
        text_width=16,
        text_layers=1,
        projection=6,
    )
    tokenizer.write(tmp_path, names.words(), [], text_length=names.TEXT_LENGTH)
    both, clip = towers.build(recipe, tmp_path, jax.random.key(0))
    params = {"clip": clip, **model.init_helpers(jax.random.key(1), recipe)}
    rng = np.random.default_rng(0)
    sentences = ["a bee", "a red cow", "a fish", "a blue ant", "a pink cow", "a red ant"]
    sentences += [names.COLOUR_ONLY.format(colour) for colour in names.COLOURS]
    ids = tokenizer.encode(sentences, tmp_path, text_length=names.TEXT_LENGTH)
    colour_ids = np.array([-1, 0, -1, 5])
    images = jnp.asarray(rng.random((4, 16, 16, 3)), jnp.float32)
    batch = batches.Batch(
        images, jnp.asarray(rng.random((4, 16, 16))), jnp.asarray(colour_ids), jnp.asarray(ids)
    )
    total, parts = jax.jit(model.make_loss(both, recipe))(params, images, batch)

    encode = jax.jit(functools.partial(towers.encode_images, both))
    pictured, patches = (np.asarray(x, np.float64) for x in encode(clip, images))
    said = np.asarray(
        jax.jit(functools.partial(towers.encode_texts, both))(clip, batch.token_ids), np.float64
    )
    logits = 10.0 * pictured @ said.T
    caption = -np.mean([log_softmax(logits[i, :6])[i] for i in range(4)])
    to_image = -np.mean([log_softmax(logits[:, i])[i] for i in range(4)])
    colour = -np.mean([log_softmax(logits[i, 6:])[colour_ids[i]] for i in (1, 3)])
    head = {name: np.asarray(leaf, np.float64) for name, leaf in params["dense"].items()}
    dense = 0.0
    for n in range(4):
        for p, (row, column) in enumerate(((0, 0), (0, 8), (8, 0), (8, 8))):
            wanted = np.asarray(batch.alpha)[n, row : row + 8, column : column + 8].ravel()
            dense += np.mean((patches[n, p] @ head["kernel"] + head["bias"] - wanted) ** 2) / 16
    np.testing.assert_allclose(parts["caption"], caption, rtol=1e-4)
    np.testing.assert_allclose(parts["to_image"], to_image, rtol=1e-4)
    np.testing.assert_allclose(parts["colour"], colour, rtol=1e-4)
    np.testing.assert_allclose(parts["dense"], dense, rtol=1e-4)
    np.testing.assert_allclose(total, 0.5 * caption + 0.5 * to_image + 0.1 * colour + 2.0 * dense, rtol=1e-4)
    ranks = [np.sum(logits[i, :6] > logits[i, i]) for i in range(4)]
    assert float(parts["accuracy"]) == np.mean(np.array(ranks) < 1)
    assert float(parts["top5"]) == np.mean(np.array(ranks) < 5)


def test_ranks_and_their_summary():
    cosines = np.array([[0.9, 0.1, 0.3], [0.9, 0.1, 0.3], [0.2, 0.1, 0.3]])
    np.testing.assert_array_equal(score.rank_of(cosines, np.array([0, 1, 0])), [0, 2, 1])
    found = score.summarise(np.array([0, 0, 4, 5]))
    assert found == {"top1": 0.5, "top5": 0.75, "pictures": 4}


def test_two_views_of_each_3d_model_are_named():
    sources = np.array([0] * 3 + [1] * 24)
    whole = bank.Bank(np.arange(27)[:, None], np.arange(27), sources, ("noto", "models"))
    np.testing.assert_array_equal(score.thinned(whole).things, [0, 1, 2, 3, 9, 15, 21])
