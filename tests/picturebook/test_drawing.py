"""Pictures of the bank to training images, and to batches with captions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from voxjax.picturebook import bank, batches, drawing, names
from voxjax.smallclips import tokenizer


def a_bank(n_things=12, per_thing=3):
    rng = np.random.default_rng(0)
    n = n_things * per_thing
    pictures = np.zeros((n, 64, 64, 4), np.uint8)
    pictures[:, 8:56, 16:48, :3] = rng.integers(0, 256, (n, 1, 1, 3))
    pictures[:, 8:56, 16:48, 3] = 255
    things = np.repeat(np.arange(n_things), per_thing).astype(np.int32)
    source_ids = np.resize([0, 0, 1], n).astype(np.int32)
    return bank.Bank(pictures, things, source_ids, ("noto", "models"))


def test_reading_between_pixels_against_scipy():
    rng = np.random.default_rng(1)
    pictures = rng.random((2, 9, 9, 3)).astype(np.float32)
    places = rng.uniform(-1.3, 1.3, (2, 5, 6, 2)).astype(np.float32)
    found = drawing.sample(jnp.asarray(pictures), jnp.asarray(places))
    for n in range(2):
        rows, columns = (np.moveaxis(places[n, ..., ::-1], -1, 0) + 1) * 4.5 - 0.5
        for c in range(3):
            wanted = map_coordinates(
                np.pad(pictures[n, ..., c], 1), [rows + 1, columns + 1], order=1, cval=0.0
            )
            inside = (np.abs(places[n]) < 1.05).all(-1)
            np.testing.assert_allclose(found[n, ..., c][inside], wanted[inside], atol=1e-5)
    far = drawing.sample(jnp.ones((1, 4, 4, 1)), jnp.full((1, 2, 2, 2), 3.0))
    np.testing.assert_allclose(far, 0.0, atol=2e-3)


def test_a_tint_keeps_light_and_dark():
    colour = np.zeros((1, 2, 2, 3), np.float32)
    colour[0, 0], colour[0, 1] = 0.3, 0.6
    found = drawing.tint(jnp.asarray(colour), jnp.ones((1, 2, 2, 1)), jnp.asarray([0]))
    red = np.asarray(names.COLOURS["red"])
    np.testing.assert_allclose(found[0, 0, 0], red * 0.3 / 0.45, atol=5e-3)
    np.testing.assert_allclose(found[0, 1, 0], np.minimum(red * 0.6 / 0.45, 1.0), atol=5e-3)
    same = drawing.tint(jnp.asarray(colour), jnp.ones((1, 2, 2, 1)), jnp.asarray([-1]))
    np.testing.assert_array_equal(same, colour)


def test_plain_pictures_are_on_white_and_nine_tenths_wide():
    pictures = np.zeros((1, 64, 64, 4), np.uint8)
    pictures[..., 2:] = 255
    found = np.asarray(drawing.plain_images(jnp.asarray(pictures), size=40))[0]
    np.testing.assert_allclose(found[20, 20], [0, 0, 1], atol=1e-6)
    np.testing.assert_array_equal(found[0], 1.0)
    assert (found[20, :, 0] < 0.5).sum() == 36


@pytest.mark.parametrize("clutter", [0.0, 1.0])
def test_images_stay_in_range_and_alpha_says_where_the_thing_is(clutter):
    pictures = a_bank().pictures[:16]
    ids = np.full(16, -1)
    ids[3] = 3
    draw = lambda seed: drawing.draw_images(  # noqa: E731
        jax.random.key(seed), pictures, ids, jnp.float32(clutter), size=24
    )
    images, alpha = draw(0)
    assert images.shape == (16, 24, 24, 3) and alpha.shape == (16, 24, 24)
    assert float(images.min()) >= 0 and float(images.max()) <= 1 and bool(jnp.isfinite(images).all())
    assert (alpha.max(axis=(1, 2)) > 0.6).all() and (alpha.sum(axis=(1, 2)) > 20).all()
    if clutter == 0.0:  # nothing but the place: a thing of one colour has that colour, or that of its tint
        own = pictures[0, 30, 30, :3] / 255
        np.testing.assert_allclose(images[0][alpha[0] > 0.99].mean(axis=0), own, atol=0.02)
        green = np.asarray(images[3][alpha[3] > 0.99].mean(axis=0))
        np.testing.assert_allclose(green, names.COLOURS["green"], atol=0.02)
    assert not np.array_equal(images, draw(1)[0])


def test_no_thing_comes_twice_and_a_part_is_alike_in_colour():
    own = a_bank(n_things=20)
    sampler = bank.Sampler(own, n=12, n_alike=4)
    rng = np.random.default_rng(3)
    spread = {"alike": [], "others": []}
    seen = set()
    for _ in range(60):
        rows = sampler.draw(rng)
        assert len(set(own.things[rows])) == 12
        seen |= set(rows.tolist())
        colours = own.pictures[rows, 30, 30, :3].astype(float)
        spread["alike"].append(colours[:4].std(0).mean())
        spread["others"].append(colours[4:].std(0).mean())
    assert len(seen) == 60, "every picture comes"
    assert np.mean(spread["alike"]) < np.mean(spread["others"]) - 3
    sources = own.source_ids[np.concatenate([sampler.draw(rng) for _ in range(60)])]
    assert sources.mean() == pytest.approx(0.5, abs=0.07), "sources take turns, whatever their numbers"


def test_models_count_for_half_of_the_other_sources():
    own = a_bank(n_things=20, per_thing=5)
    own = bank.Bank(own.pictures, own.things, np.tile(np.arange(5), 20), ("a", "b", "models", "c", "d"))
    sampler, rng = bank.Sampler(own, n=12, n_alike=4), np.random.default_rng(4)
    drawn = own.source_ids[np.concatenate([sampler.draw(rng) for _ in range(200)])]
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    np.testing.assert_allclose(shares, [1 / 6, 1 / 6, 1 / 3, 1 / 6, 1 / 6], atol=0.04)


def test_wrong_captions_have_the_thing_right_and_the_colour_wrong(monkeypatch):
    monkeypatch.setattr(batches, "N_WRONG", 3)
    things, colour_ids = np.array([0, 1, 2, 3, 4]), np.array([-1, 2, -1, 5, 7])
    colours = list(names.COLOURS)
    for seed in range(20):
        said = batches.captions(np.random.default_rng(seed), things, colour_ids)
        assert len(said) == 8
        for sentence, i in zip(said[5:], (1, 3, 4), strict=True):
            thing = names.things()[i]
            assert any(set(name.split()) <= set(sentence.split()) for name in (thing.name, *thing.others))
            own = set(sentence.split()) & set(colours)
            assert len(own) == 1 and own != {colours[colour_ids[i]]}
            assert colours[colour_ids[i]] in said[i].split()


def test_a_batch_is_drawn_again_from_the_same_chance(tmp_path, monkeypatch):
    for name, value in (("N_IMAGES", 8), ("N_ALIKE", 3), ("N_WRONG", 2)):
        monkeypatch.setattr(batches, name, value)
    tokenizer.write(tmp_path, names.words(), [], text_length=names.TEXT_LENGTH)
    draw = batches.Draw(a_bank(), tmp_path, size=16)
    first, again = (draw(jax.random.key(1), np.random.default_rng(4), jnp.float32(0.5)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert first.images.shape == (8, 16, 16, 3)
    assert first.token_ids.shape == (8 + 2 + len(names.COLOURS), names.TEXT_LENGTH)
