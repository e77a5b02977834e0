"""The words of the pocket models, and the captions of a training batch read back from their token ids."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tokenizers import Tokenizer

from voxjax.pocket import batches, captions, scenes
from voxjax.pocket.shapes import SHAPES
from voxjax.smallclips import tokenizer

COLOURS = list(captions.COLOURS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    captions.write_tokenizer(folder)
    return folder


def read(ids, folder):
    """The caption behind token ids; the tokenizer marks ends of words."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return tokenizer.decode([int(i) for i in ids]).replace("</w>", "").strip()


def test_every_word_is_one_token(folder):
    """All but "3d", which the byte-level splitter takes for a number and a letter."""
    rows = captions.encode([word for word in captions.words() if word != "3d"], folder)
    _, begin, end = tokenizer.special_ids(folder)
    for row in rows:
        assert row[0] == begin and row[2:] == [end] * (captions.TEXT_LENGTH - 2)
    assert len({row[1] for row in rows}) == len(rows)


def test_report_prompts_cover_what_they_claim():
    shapes_seen = [shape for _, shape in captions.REPORT_PAIRS]
    colours_seen = [colour for colour, _ in captions.REPORT_PAIRS]
    assert len(set(captions.REPORT_PAIRS)) == len(captions.REPORT_PAIRS) >= 16
    assert all(shapes_seen.count(shape) >= 2 for shape in SHAPES)
    assert all(colours_seen.count(colour) >= 2 for colour in COLOURS)
    assert set(captions.HELD_OUT) <= set(captions.REPORT_PAIRS)


def test_the_launcher_runs_those_prompts_among_all_captions():
    folder = Path(__file__).resolve().parents[2] / "launch"
    prompts = (folder / "pocket_prompts.txt").read_text().splitlines()
    assert prompts == [captions.caption(*pair) for pair in captions.REPORT_PAIRS]
    assert (folder / "pocket_captions.txt").read_text().splitlines() == captions.single_captions()


def test_captions_take_the_right_article():
    assert captions.caption("orange", "cube") == "an orange cube"
    assert captions.single_captions()[21] == "a green cone"


def test_filled_templates_read_as_written(folder):
    phrases = batches.Phrasebook(folder)
    slots = {"upper_colour": [4, 0], "upper_shape": [1, 2], "lower_colour": [1, 4], "lower_shape": [0, 3]}
    slots = {name: jnp.asarray(value) for name, value in slots.items()}
    for seed in range(6):
        first, second = (
            read(row, folder) for row in phrases.fill(phrases.pair, jax.random.key(seed), **slots)
        )
        joint = "on top of" if "top" in first else "on"
        kinds = {
            f"an orange cube {joint} a green sphere",
            f"the orange cube {joint} the green sphere",
            f"a photo of an orange cube {joint} a green sphere",
        }
        assert first in kinds
        assert "red cone" in second and "orange cylinder" in second


def test_batches_label_each_image_with_a_caption_of_what_it_shows(folder):
    n = batches.N_SINGLE + batches.N_PAIR
    rng = np.random.default_rng(0)
    shape_ids = jnp.asarray(rng.integers(0, 8, (n, 2)), jnp.int32)
    colour_ids = jnp.asarray(rng.integers(0, 10, (n, 2)), jnp.int32)
    phrases = batches.Phrasebook(folder)
    pair = slice(batches.N_SINGLE, n)
    ids = batches._captions(jax.random.key(1), phrases, shape_ids[pair], colour_ids[pair])
    texts = [read(row, folder) for row in ids]
    first = batches.N_CAPTIONS + 2 * batches.N_COLOURS + 1
    assert len(texts) == first + 3 * batches.N_PAIR
    for s, shape in enumerate(SHAPES):
        for c, colour in enumerate(COLOURS):
            assert f"{colour} {shape}" in texts[s * 10 + c]
    assert texts[batches.N_CAPTIONS + 3] == "a yellow cloud"
    assert texts[batches.N_CAPTIONS + 10 + 3] == "yellow debris"
    assert texts[batches.N_CAPTIONS + 20] == "nothing"
    for i in range(batches.N_PAIR):
        (low_s, top_s), (low_c, top_c) = shape_ids[batches.N_SINGLE + i], colour_ids[batches.N_SINGLE + i]
        own = texts[first + i]
        assert own.index(f"{COLOURS[top_c]} {SHAPES[top_s]}") < own.rindex(
            f"{COLOURS[low_c]} {SHAPES[low_s]}"
        )
        swapped = texts[first + batches.N_PAIR + i]
        assert f"{COLOURS[low_c]} {SHAPES[top_s]}" in swapped


def test_held_out_pairs_are_no_candidates_and_twins_do_not_compete(folder):
    n = batches.N_SINGLE + batches.N_PAIR
    shape_ids = jnp.zeros((n + batches.N_NONE, 2), jnp.int32)
    colour_ids = jnp.full((n + batches.N_NONE, 2), 3, jnp.int32)
    first = batches.N_CAPTIONS + 2 * batches.N_COLOURS + 1
    labels = jnp.concatenate(
        [
            jnp.full(batches.N_SINGLE, 3),
            first + jnp.arange(batches.N_PAIR),
            jnp.full(batches.N_NONE, first - 1),
        ]
    )
    seen = jnp.asarray(captions.seen_mask(hold_out=True))
    candidate = np.asarray(batches._candidates(shape_ids, colour_ids, labels, seen))
    assert candidate[np.arange(len(labels)), np.asarray(labels)].all()
    for colour, shape in captions.HELD_OUT:
        assert not candidate[:, SHAPES.index(shape) * 10 + COLOURS.index(colour)].any()
    # All pairs of this batch are the same yellow sphere on a yellow sphere: only the own caption counts.
    assert (candidate[batches.N_SINGLE : n, first:].sum(1) == 1).all()


@pytest.mark.parametrize("style", scenes.STYLES)
def test_light_stays_between_ambient_and_full(style):
    normal = jax.random.normal(jax.random.key(0), (16, 16, 3))
    normal = normal / jnp.linalg.norm(normal, axis=-1, keepdims=True)
    up = jnp.asarray([0.0, 0.8, 0.6])
    light, highlight = scenes.shade(jax.random.key(3), normal, up, style=style)
    assert light.shape == (16, 16, 3) and highlight.shape == (16, 16, 1)
    assert float(light.min()) > 0.0 and float(light.max()) < 1.5
    assert (float(highlight.max()) > 0) == (style == "studio")


def test_placing_is_linear_and_keeps_what_it_shows():
    """Zoomed by at most 1.25 and shifted by at most 8 percent, a centred square keeps its mean place."""
    image = jnp.zeros((32, 32, 1)).at[14:18, 14:18].set(1.0)
    for seed in range(5):
        placed, sign = scenes.place(jax.random.key(seed), image, 32)
        mass = float(placed.sum())
        assert 16 * 0.8**2 * 0.9 < mass < 16 * 1.25**2 * 1.1
        rows = float((placed[..., 0].sum(1) * jnp.arange(32)).sum() / mass)
        assert abs(rows - 15.5) <= 0.08 * 32 + 0.5
        assert float(abs(sign)) == 1.0
