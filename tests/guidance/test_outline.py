"""CLIPs without their weights: the same shapes and types as with them, and no network."""

import jax
import numpy as np
import pytest

from voxjax.errors import UserError
from voxjax.guidance import catalogue, load_guidance, names
from voxjax.guidance.memory import bytes_per_image
from voxjax.guidance.outline import outline
from voxjax.guidance.texts import refuse_unfit


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


@pytest.mark.parametrize(
    ("path", "words"), [("absent", "no folder"), ("file", "no folder"), ("empty", "lacks")]
)
def test_a_path_that_leads_to_no_model_is_refused(tmp_path, path, words):
    (tmp_path / "file").write_text("text")
    (tmp_path / "empty").mkdir()
    for look in (
        lambda path: outline("ViT-B/32", "float32", path=path),
        lambda path: refuse_unfit("ViT-B/32", path, ["a red cube"]),
    ):
        with pytest.raises(UserError, match=words) as caught:
            look(str(tmp_path / path))
        assert str(tmp_path / path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_path_may_begin_at_home(tiny_clip, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_clip.parent))
    assert outline("ViT-B/32", "float32", path=f"~/{tiny_clip.name}").image_size == 20
    assert refuse_unfit("ViT-B/32", f"~/{tiny_clip.name}", ["a red cube"])
    with pytest.raises(UserError, match="no token for 'purple'"):
        refuse_unfit("ViT-B/32", f"~/{tiny_clip.name}", ["a purple cube"])


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
