"""Memory before the start: what is refused, what is only said, and that the advice helps."""

import dataclasses
import re
import warnings

import pytest

from voxjax import train
from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.training import preflight as room
from voxjax.training.needs import needs_of
from voxjax.training.outlook import outlook, what_slows
from voxjax.training.preflight import PROCESS, Memory, in_all, preflight, size_words

GIB = 1 << 30
# The pocket CLIP stands in for a large one: what is large here is the field.
PAIRS = [("prompt", "a red sphere"), ("clip.model", "pocket")]


@pytest.fixture(autouse=True)
def quick_presets(monkeypatch):
    """Those of a large CLIP take seconds to reckon."""
    monkeypatch.setattr(room, "PRESETS", {"vox_exp": ("demo",)})


def card(gib):
    return Memory(int(gib * GIB), "a card", True)


def test_enough_is_let_through_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        needs = preflight(load("vox_exp", PAIRS), card(16))
    assert needs == needs_of(load("vox_exp", PAIRS), dtype="bfloat16", free=16 * GIB)


def test_too_much_on_an_accelerator_is_one_line_with_keys_that_help(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    config = load("vox_exp", PAIRS)
    with pytest.raises(UserError) as caught:
        preflight(config, card(0.4))
    words = str(caught.value)
    needed = needs_of(config, dtype="bfloat16", free=int(0.4 * GIB)).total
    assert "\n" not in words and f"needs about {size_words(needed)}" in words
    for part in (
        "a card has 410 MiB free",
        "the preset demo fits",
        "--force",
        "XLA_PYTHON_CLIENT_MEM_FRACTION",
    ):
        assert part in words
    keys = re.findall(r"--config\.([\w.]+)=(\w+)", words)
    assert {"field.side"} <= {key for key, _ in keys}
    for pair in keys:
        preflight(load("vox_exp", [*PAIRS, pair]), card(0.4))


def test_with_force_it_is_a_warning():
    config = load("vox_exp", PAIRS)
    with pytest.warns(UserWarning, match="has 410 MiB free"):
        assert preflight(config, card(0.4), force=True).total > 0.4 * GIB


def test_on_a_cpu_it_is_a_warning_and_the_process_counts():
    config = load("demo", PAIRS)
    needs = needs_of(config, dtype="float32", on_cpu=True)
    enough = Memory(in_all(needs, Memory(0, "cpu", False)), "cpu", False)
    assert enough.free == needs.total + needs.weights + PROCESS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        preflight(config, enough)
    with pytest.warns(UserWarning, match="needs about .* and cpu has") as told:
        preflight(config, Memory(enough.free - 1, "cpu", False))
    assert len(told) == 1


def test_the_largest_preset_that_fits_is_named(monkeypatch):
    sizes = {224: 9, 168: 5, 88: 2}  # by the width of a picture
    monkeypatch.setattr(
        room, "PRESETS", {"dream_fields": ("dream_fields:hq", "dream_fields:mq", "dream_fields:lq")}
    )
    real = room.needs_of(load("demo", PAIRS), dtype="float32")

    def needs(config, memory):
        return dataclasses.replace(real, rays=sizes.get(config.cameras.width_px, 12) * GIB)

    monkeypatch.setattr(room, "_needs", needs)
    config = load("dream_fields:hq", PAIRS)
    assert "the preset dream_fields:mq fits (5.0 GiB)" in room.advice(config, card(8))
    assert "the preset dream_fields:lq fits (2.0 GiB)" in room.advice(config, card(3))


def test_where_nothing_helps_the_smallest_is_named():
    with pytest.raises(UserError, match="--config=demo is the smallest"):
        preflight(load("vox_exp", PAIRS), card(0.01))


def test_micro_batches_are_chosen_by_what_is_free():
    """A CLIP that is too large for all images at once is no reason to refuse."""
    config = load("demo", [*PAIRS, ("augment.n_diff", "256")])
    whole = needs_of(config, dtype="bfloat16")
    free = int(0.8 * whole.total)
    assert preflight(config, card(free / GIB)).micro_batch[0] < whole.micro_batch[0]


def test_this_machine_has_memory():
    memory = room.memory_here()
    assert memory.device == "cpu" and not memory.accelerator and memory.limit is None
    assert memory.free > 2**20


@pytest.mark.parametrize("force", [False, True])
def test_the_command_asks_before_anything_long(force, monkeypatch, tmp_path):
    """On an accelerator that is too small, which is pretended, no CLIP is read and no folder made."""

    class Reached(Exception):
        pass

    def load_guides(configs):
        raise Reached

    monkeypatch.setattr("voxjax.training.session.memory_here", lambda: card(0.02))
    monkeypatch.setattr("voxjax.training.session.load_guides", load_guides)
    line = ["--config=demo", f"--workdir={tmp_path / 'run'}", "--config.cache_dir=", *["--force"] * force]
    if force:
        with pytest.warns(UserWarning, match="20 MiB free"), pytest.raises(Reached):
            train.main(line)
    else:
        with pytest.raises(UserError, match="a card has 20 MiB free"):
            train.main(line)
    assert not (tmp_path / "run").exists()


def test_the_outlook_names_everything():
    config = load("vox_exp:low", [("prompt", "x"), ("clip.model", "pocket"), ("clip.micro_batch", "8")])
    words = outlook(config, preflight(config, card(8)), card(8))
    for part in (
        "vox_exp: 130 x 130 x 161 vertices (51 x 51 x 64 at first)",
        "1 view of 224 px, 32 images a step, 8 at a time, guided by pocket",
        "15000 steps",
        "of 8.0 GiB free (a card)",
    ):
        assert part in words
    assert "\n" not in words


def test_the_outlook_of_a_field_without_a_grid():
    config = load("demo:dream_fields", PAIRS)
    words = outlook(config, needs_of(config, dtype="float32"), card(8))
    assert "dream_fields: 32 samples a ray, 3 views of 32 px, 12 images a step, guided by pocket;" in words


def test_what_slows_a_run_down():
    pairs = [*PAIRS, ("clip2.model", "pocket-eval"), ("steps", "150")]
    config = load("vox_exp", pairs)
    assert what_slows(config, 0) == (
        "later steps take longer: "
        "the grid grows before steps 50, 70, 90 and 110, pocket-eval joins at step 50"
    )
    assert what_slows(config, 100) == "later steps take longer: the grid grows before step 110"
    assert what_slows(config, 120) == "" == what_slows(load("demo", PAIRS), 0)


@pytest.mark.parametrize(
    ("n_bytes", "words"), [(5 << 20, "5 MiB"), (GIB, "1.0 GiB"), (int(7.26 * GIB), "7.3 GiB")]
)
def test_sizes_in_words(n_bytes, words):
    assert size_words(n_bytes) == words
