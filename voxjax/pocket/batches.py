"""Training batches: images with the captions they belong to, and the captions they must be told from."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from voxjax.pocket import bank, captions, scenes
from voxjax.pocket.shapes import SHAPES

Array = jax.Array
N_SINGLE, N_PAIR, N_NONE = 42, 14, 8
N_COLOURS = len(captions.COLOURS)
N_CAPTIONS = len(SHAPES) * N_COLOURS

_SLOTS = ("upper_colour", "upper_shape", "lower_colour", "lower_shape")


@struct.dataclass
class Batch:
    """One batch; images in the order single objects, pairs, no objects.

    Attributes:
      images: [n, s, s, 3] in [0, 1].
      geometry: [n, s, s, 5], see `scenes.draw_scenes`.
      shape_ids: [n, 2], colour_ids: [n, 2]: lower (or only) and upper object.
      token_ids: [c, TEXT_LENGTH], all captions of the batch: 80 single, 21 negatives, 3 per pair.
      labels: [n], the caption of each image.
      candidate: [n, c] bool, the captions that each image is compared with.
      shape_token_ids: [8, TEXT_LENGTH]; colour_token_ids: [10, TEXT_LENGTH].
    """

    images: Array
    geometry: Array
    shape_ids: Array
    colour_ids: Array
    token_ids: Array
    labels: Array
    candidate: Array
    shape_token_ids: Array
    colour_token_ids: Array


class Phrasebook:
    """Captions as token ids, filled in inside a traced function: one token a word makes that a look-up."""

    def __init__(self, folder: Path):
        """Reads the tokenizer files in `folder`."""
        self._folder = folder
        self.colours = jnp.asarray([row[1] for row in captions.encode(list(captions.COLOURS), folder)])
        self.shapes = jnp.asarray([row[1] for row in captions.encode(list(SHAPES), folder)])
        self.single = self._templates([t.replace("{}", "{} {}") for t in captions.TEMPLATES], _SLOTS[:2])
        self.pair = self._templates([t.replace("{}", "{} {}") for t in captions.PAIR_TEMPLATES], _SLOTS)
        self.shape_only = self._templates(captions.TEMPLATES, _SLOTS[1:2])
        self.colour_only = self._templates(["a {} object"], _SLOTS[:1])
        self.negatives = [self._templates([t], _SLOTS[:1]) for t in captions.NEGATIVES]
        self.nothing = self._templates([captions.NOTHING], ())
        self._a, self._an, self._orange = (row[1] for row in captions.encode(["a", "an", "orange"], folder))

    def _templates(self, templates, slots) -> Array:
        """[n, TEXT_LENGTH] token ids with -1 - i in place of slot i of _SLOTS."""
        fillers = {
            "upper_colour": "red",
            "upper_shape": "cone",
            "lower_colour": "blue",
            "lower_shape": "cube",
        }
        words = [fillers[slot] for slot in slots]
        rows = np.asarray(captions.encode([template.format(*words) for template in templates], self._folder))
        for slot, word in zip(slots, words, strict=True):
            rows[rows == captions.encode([word], self._folder)[0][1]] = -1 - _SLOTS.index(slot)
        return jnp.asarray(rows)

    def fill(self, rows: Array, key: Array, **slots: Array) -> Array:
        """A random template of `rows` for each entry, filled with colour and shape indices [n]."""
        n = next(iter(slots.values())).shape[0] if slots else 1
        ids = rows[jax.random.randint(key, (n,), 0, rows.shape[0])]
        for slot, index in slots.items():
            table = self.colours if slot.endswith("colour") else self.shapes
            ids = jnp.where(ids == -1 - _SLOTS.index(slot), table[index][:, None], ids)
        before_vowel = jnp.roll(ids, -1, axis=1) == self._orange  # the one colour that asks for "an"
        return jnp.where((ids == self._a) & before_vowel, self._an, ids)


def _photographs(source: bank.Bank, rows: np.ndarray) -> scenes.Photographs:
    """Takes rows of the bank out as floats (on the host, so that the bank stays out of the traced step)."""
    elevation = np.deg2rad(source.elevation_deg[rows])
    up = np.stack([np.zeros_like(elevation), np.cos(elevation), np.sin(elevation)], axis=-1)
    return scenes.Photographs(
        alpha=np.asarray(source.alpha[rows], np.float32) / 255,
        normal=np.asarray(source.normal[rows], np.float32) / 127,
        top=np.asarray(source.top[rows], np.float32),
        up=up.astype(np.float32),
    )


def take(rng: np.random.Generator, singles: bank.Bank, pairs: bank.Bank):
    """Picks N_SINGLE single and N_PAIR stacked photographs.

    Returns:
      (Photographs, [n, 2] shape indices).
    """
    i = rng.integers(len(singles.alpha), size=N_SINGLE)
    j = rng.integers(len(pairs.alpha), size=N_PAIR)
    photographs = jax.tree.map(
        lambda a, b: np.concatenate([a, b]), _photographs(singles, i), _photographs(pairs, j)
    )
    return photographs, np.concatenate([singles.indices[i], pairs.indices[j]])


def _captions(key: Array, phrases: Phrasebook, shape_ids: Array, colour_ids: Array) -> Array:
    keys = jax.random.split(key, 6)
    every_shape = jnp.repeat(jnp.arange(len(SHAPES)), N_COLOURS)
    every_colour = jnp.tile(jnp.arange(N_COLOURS), len(SHAPES))
    colours = jnp.arange(N_COLOURS)
    rows = [phrases.fill(phrases.single, keys[0], upper_colour=every_colour, upper_shape=every_shape)]
    rows += [phrases.fill(negative, keys[1], upper_colour=colours) for negative in phrases.negatives]
    rows.append(phrases.fill(phrases.nothing, keys[2]))
    low_s, top_s = shape_ids[:, 0], shape_ids[:, 1]
    low_c, top_c = colour_ids[:, 0], colour_ids[:, 1]
    variants = ((top_c, top_s, low_c, low_s), (low_c, top_s, top_c, low_s), (low_c, low_s, top_c, top_s))
    for k, variant in zip(keys[3:], variants, strict=True):
        rows.append(phrases.fill(phrases.pair, k, **dict(zip(_SLOTS, variant, strict=True))))
    return jnp.concatenate(rows)


def _pair_code(top_c: Array, top_s: Array, low_c: Array, low_s: Array) -> Array:
    return ((top_c * 8 + top_s) * 10 + low_c) * 8 + low_s


def _candidates(shape_ids: Array, colour_ids: Array, labels: Array, seen: Array) -> Array:
    """[n, c] bool: no caption of a pair that is held out, no second copy of an image's own caption."""
    low_s, top_s = shape_ids[:, 0], shape_ids[:, 1]
    low_c, top_c = colour_ids[:, 0], colour_ids[:, 1]
    pair = slice(N_SINGLE, N_SINGLE + N_PAIR)
    codes = jnp.concatenate(
        [
            _pair_code(top_c, top_s, low_c, low_s)[pair],
            _pair_code(low_c, top_s, top_c, low_s)[pair],
            _pair_code(low_c, low_s, top_c, top_s)[pair],
        ]
    )
    known = jnp.concatenate(
        [
            jnp.ones(N_PAIR, bool),
            (seen[top_s, low_c] & seen[low_s, top_c])[pair],
            jnp.ones(N_PAIR, bool),
        ]
    )
    usable = jnp.concatenate([seen.reshape(-1), jnp.ones(2 * N_COLOURS + 1, bool), known])
    n = labels.shape[0]
    own_code = jnp.full(n, -1).at[pair].set(codes[:N_PAIR])
    first = N_CAPTIONS + 2 * N_COLOURS + 1
    twin = jnp.zeros((n, usable.shape[0]), bool).at[:, first:].set(own_code[:, None] == codes[None, :])
    own = labels[:, None] == jnp.arange(usable.shape[0])[None, :]
    return (usable[None, :] & ~twin) | own


def make_batch(
    key: Array,
    photographs: scenes.Photographs,
    shape_ids: Array,
    clutter: Array,
    *,
    phrases: Phrasebook,
    seen: Array,
    white_weight: float,
    style: str,
    image_size: int,
) -> Batch:
    """Colours, captions and labels for photographs from `take`.

    Args:
      key: PRNG key.
      photographs: N_SINGLE + N_PAIR of them.
      shape_ids: [n, 2].
      clutter: [], see `scenes.draw_scenes`.
      phrases: the captions.
      seen: [8, 10] bool, pairs of shape and colour that may be shown.
      white_weight: how much likelier white is than another colour.
      style: rendering style, see `scenes`.
      image_size: side of the images in pixels.
    """
    keys = jax.random.split(key, 7)
    likelihood = jnp.ones(N_COLOURS).at[list(captions.COLOURS).index("white")].set(white_weight)
    allowed = jnp.where(seen[shape_ids], jnp.log(likelihood), -jnp.inf)
    colour_ids = jax.random.categorical(keys[0], allowed)
    none_colours = jax.random.randint(keys[1], (N_NONE, 2), 0, N_COLOURS)
    kinds = jnp.asarray([0, 0, 0, 1, 1, 1, 1, 2])
    empty = scenes.no_objects(keys[2], N_NONE, photographs.alpha.shape[1], kinds=kinds)
    everything = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), photographs, empty)
    all_colours = jnp.concatenate([colour_ids, none_colours])
    all_shapes = jnp.concatenate([shape_ids, jnp.zeros((N_NONE, 2), jnp.int32)])
    images, geometry = scenes.draw_scenes(
        keys[3], everything, all_colours, clutter=clutter, style=style, out_size=image_size
    )
    negative = jnp.where(kinds == 2, 2 * N_COLOURS, kinds * N_COLOURS + none_colours[:, 0])
    labels = jnp.concatenate(
        [
            (shape_ids[:, 0] * N_COLOURS + colour_ids[:, 0])[:N_SINGLE],
            N_CAPTIONS + 2 * N_COLOURS + 1 + jnp.arange(N_PAIR),
            N_CAPTIONS + negative,
        ]
    )
    pair = slice(N_SINGLE, N_SINGLE + N_PAIR)
    return Batch(
        images=images,
        geometry=geometry,
        shape_ids=all_shapes,
        colour_ids=all_colours,
        token_ids=_captions(keys[4], phrases, shape_ids[pair], colour_ids[pair]),
        labels=labels,
        candidate=_candidates(all_shapes, all_colours, labels, seen),
        shape_token_ids=phrases.fill(phrases.shape_only, keys[5], upper_shape=jnp.arange(len(SHAPES))),
        colour_token_ids=phrases.fill(phrases.colour_only, keys[6], upper_colour=jnp.arange(N_COLOURS)),
    )
