"""Prompts, weights, templates, views and pictures against sums written out; which model guides when."""

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_training import ROOT, overrides
from PIL import Image, ImageOps

from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.guidance.ensemble import active_at, changes, guide_specs
from voxjax.guidance.pixels import read_picture
from voxjax.guidance.prompts import VIEWS, kind_of_view, make_targets, plan_prompts, split_weight


def unit(v):
    return v / np.linalg.norm(v)


def test_one_prompt_is_its_own_embedding():
    plan = plan_prompts("a cat")
    assert plan.texts == ("a cat",)
    e = unit(np.array([1.0, 2.0, -1.0]))
    np.testing.assert_allclose(make_targets(plan, jnp.asarray(e[None])), e[None], atol=1e-7)


def test_weighted_prompts_and_templates_against_sums():
    plan = plan_prompts("a cat", weight=2.0, extra=("dog:-0.5", "sky"), templates=("a {}", "one {} here"))
    assert plan.texts == ("a a cat", "one a cat here", "a dog", "one dog here", "a sky", "one sky here")
    rng = np.random.default_rng(0)
    e = np.stack([unit(v) for v in rng.normal(size=(6, 5))])
    picture = rng.normal(size=5)
    wanted = 2 * unit(e[0] + e[1]) - 0.5 * unit(e[2] + e[3]) + unit(e[4] + e[5]) + picture
    got = make_targets(plan, jnp.asarray(e), picture=picture)
    np.testing.assert_allclose(got, wanted[None], atol=1e-6)


def test_views_change_the_words_of_what_is_wanted_and_not_of_what_is_not():
    plan = plan_prompts("a cat", extra=("blur:-1",), view_dependent=True)
    assert plan.texts == ("a cat, front view", "blur", *(f"a cat, {view}" for view in VIEWS[1:]))
    e = np.eye(5)
    got = np.asarray(make_targets(plan, jnp.asarray(e)))
    np.testing.assert_allclose(got, [e[i] - e[1] for i in (0, 2, 3, 4)], atol=1e-7)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "view"),
    [
        (0, 30, "front view"),
        (359, 30, "front view"),
        (44, 0, "front view"),
        (46, 0, "side view"),
        (-90, 0, "side view"),
        (270, 0, "side view"),
        (136, 0, "back view"),
        (180, 59, "back view"),
        (180, 61, "overhead view"),
        (540, 10, "back view"),
    ],
)
def test_the_kind_of_a_view(azimuth, elevation, view):
    assert VIEWS[int(kind_of_view(jnp.float32(azimuth), jnp.float32(elevation)))] == view


def test_weights_are_read_behind_the_last_colon():
    assert split_weight("a cat:0.3") == (0.3, "a cat")
    assert split_weight("ratio 3:4:-1") == (-1.0, "ratio 3:4")
    assert split_weight("a cat: a tale") == (1.0, "a cat: a tale")
    assert split_weight(":2") == (1.0, ":2")
    for weight in ("nan", "-inf", "1e999"):
        with pytest.raises(UserError, match=f"prompts.extra: 'a cat:{weight}' must be"):
            plan_prompts("a dog", extra=(f"a cat:{weight}",))


def config_of(**changes):
    return load(f"{ROOT}/configs/base.py", overrides("pocket", **changes))


def test_the_papers_ensemble():
    specs = guide_specs(load(f"{ROOT}/configs/vox_exp.py:ensemble", [("prompt", "a cat")]))
    found = [(s.term, s.model, s.weight, s.start, s.end) for s in specs]
    assert found == [("clip", "ViT-B/32", 1.0, 0, 15000), ("clip2", "ViT-L/14", 0.5, 5000, 15000)]
    assert changes(specs, 15000) == [0, 5000]
    assert active_at(specs, 4999) == (0,) and active_at(specs, 5000) == (0, 1)


def test_more_than_two_models():
    config = config_of(
        steps=10, clip__end=0.5, clip2__model="b", clip2__start=0.2, clip__more="('c d 2', 'e 1 0 0.3')"
    )
    specs = guide_specs(config)
    assert [(s.term, s.model, s.weight, s.start, s.end) for s in specs[2:]] == [
        ("clip3", "c d", 2.0, 0, 10),
        ("clip4", "e", 1.0, 0, 3),
    ]
    assert changes(specs, 10) == [0, 2, 3, 5]
    assert [active_at(specs, step) for step in (0, 2, 3, 5)] == [(0, 2, 3), (0, 1, 2, 3), (0, 1, 2), (1, 2)]


@pytest.mark.parametrize("entry", ["RN50 0.3 0.9 0.2", "RN50 1 0 7", "0.3 1", "RN50 nan", "RN50 -inf 0 1"])
def test_an_entry_that_makes_no_sense_is_refused(entry):
    with pytest.raises(UserError, match="name weight start end"):
        guide_specs(config_of(clip__more=entry))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "/a/folder"}, "clip2.path=/a/folder: without clip2.model"),
        ({"model": "b", "start": 0.6, "end": 0.5}, "clip2.start=0.6: must be at most clip2.end, 0.5"),
    ],
)
def test_a_second_model_that_would_not_guide_is_refused(changes, words):
    with pytest.raises(UserError, match=words):
        config_of(**{f"clip2__{key}": value for key, value in changes.items()})
    without = {key: value for key, value in changes.items() if key not in ("path", "model")}
    assert len(guide_specs(config_of(**{f"clip2__{key}": value for key, value in without.items()}))) == 1


def test_a_step_without_a_guide_is_refused():
    with pytest.raises(UserError, match="no CLIP guides step 3 of 6"):
        guide_specs(config_of(clip__end=0.5))


def test_a_picture_is_scaled_and_cut_like_clips_own(tmp_path):
    pixels = np.zeros((40, 80, 4), np.uint8)
    pixels[:, 20:60] = (255, 0, 0, 255)  # the middle is red, the sides are transparent
    Image.fromarray(pixels).save(tmp_path / "a.png")
    got = read_picture(tmp_path / "a.png", 20)
    assert got.shape == (20, 20, 3) and got.dtype == np.float32
    np.testing.assert_allclose(got[:, 2:18], np.broadcast_to([1.0, 0, 0], (20, 16, 3)), atol=0.02)
    small = read_picture(tmp_path / "a.png", 80)
    assert small.shape == (80, 80, 3) and small[:, :30].min() > -0.01


def test_a_picture_lies_at_home_and_is_turned_as_its_camera_noted(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    pixels = np.zeros((20, 20, 3), np.uint8)
    pixels[:, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_picture("~/a.png", 20), np.rot90(pixels, -1) / 255.0)


@pytest.mark.parametrize("number", range(10))
def test_all_turns_are_pillows_own_and_odd_notes_none(tmp_path, number):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = number
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as file:
        expected = np.asarray(ImageOps.exif_transpose(file)) / 255.0
    np.testing.assert_allclose(read_picture(tmp_path / "a.png", 20), expected, atol=1e-6)
    Image.fromarray(pixels).save(tmp_path / "b.png", exif=b"Exif\0\0what the camera wrote")
    np.testing.assert_allclose(read_picture(tmp_path / "b.png", 20), pixels / 255.0, atol=1e-6)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_grey_of_16_bits_keeps_its_shades(tmp_path, kind):
    grey = np.linspace(0, 65535, 400).round().astype(np.uint16).reshape(20, 20)
    Image.fromarray(grey).save(tmp_path / f"a.{kind}")
    expected = np.repeat(grey[..., None] / 65535, 3, axis=-1)
    np.testing.assert_allclose(read_picture(tmp_path / f"a.{kind}", 20), expected, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("absent.png", "No such file or directory"),
        ("folder", "Is a directory"),
        ("text.png", "cannot identify image file"),
        ("cut.png", "image file is truncated"),
        ("huge.png", "exceeds limit of 8 pixels"),
        ("nul\0.png", "null byte"),
    ],
)
def test_a_picture_that_cannot_be_read_is_refused_with_the_reason(tmp_path, monkeypatch, file, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.png").write_text("text")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "huge.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "huge.png").read_bytes()[:2000])
    if file == "huge.png":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.raises(UserError, match="cannot be read as a picture") as caught:
        read_picture(tmp_path / file, 20)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
