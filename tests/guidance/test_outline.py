"""CLIPs without their weights: the same shapes and types as with them, and no network."""

import jax
import numpy as np
import pytest

from voxjax.errors import UserError
from voxjax.guidance import catalogue, load_guidance, names
from voxjax.guidance.memory import bytes_per_image
from voxjax.guidance.outline import outline


def described(tree):
    return jax.tree.map(lambda leaf: (leaf.shape, np.dtype(leaf.dtype).name), tree)


@pytest.mark.parametrize(("shipped", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_an_outline_has_the_shapes_of_the_model(tiny_clip, shipped, dtype):
    name = "pocket" if shipped else str(tiny_clip)
    real, _ = load_guidance(name, dtype=dtype)
    found = outline(name, dtype)
    assert described(found.params) == described(real.params)
    assert (found.image_size, found.embedding_size) == (real.image_size, real.embedding_size)
    assert bytes_per_image(found) == bytes_per_image(real)


def test_a_path_wins_over_the_name(tiny_clip):
    assert outline("ViT-B/32", "float32", path=tiny_clip).image_size == 20


def test_recomputation_keeps_less(tiny_clip):
    plain, again = (outline(str(tiny_clip), "float32", remat=remat) for remat in (False, True))
    assert bytes_per_image(again) < 0.6 * bytes_per_image(plain)


@pytest.mark.parametrize("name", ["ViT-B/32", "RN50"])
def test_a_published_one_needs_no_file(name, monkeypatch):
    monkeypatch.setattr(names, "find", lambda name: (None, []))
    found = outline(name, "float32")
    count = sum(leaf.size for leaf in jax.tree.leaves(found.params))
    shapes, _ = catalogue.published_shapes(catalogue.ARCHITECTURES[name])
    assert count == catalogue.count(shapes) and found.image_size == 224


def test_what_is_nowhere(monkeypatch):
    monkeypatch.setattr(names, "_cached", lambda repository, revision: None)
    assert outline("somebody/clip", "float32") is None
    with pytest.raises(UserError, match="no CLIP called 'no such'"):
        outline("no such", "float32")
