"""The next grid's program is compiled before it is needed, and is the one that is then needed."""

import threading

import jax
import pytest
from helpers.small_training import ROOT, overrides, train_alone

from voxjax.config.loading import load
from voxjax.train import use_cache
from voxjax.training.ahead import Ahead


@pytest.fixture
def cache(tmp_path):
    """Folder of compiled programs that starts empty."""
    before = jax.config.jax_compilation_cache_dir
    use_cache(str(tmp_path / "cache"))
    jax.experimental.compilation_cache.compilation_cache.reset_cache()
    yield tmp_path / "cache"
    jax.config.update("jax_compilation_cache_dir", before)
    jax.experimental.compilation_cache.compilation_cache.reset_cache()


def test_the_program_of_the_next_grid_lies_ready_when_the_grid_grows(cache, tiny_clip, tmp_path, monkeypatch):
    seen, start = [], Ahead.start

    def start_and_wait(ahead, name, lower):
        start(ahead, name, lower)
        ahead.close()
        seen.append(steps_in(cache))

    def steps_in(folder):
        return sorted(path.name for path in folder.glob("jit_step-*-cache"))

    monkeypatch.setattr(Ahead, "start", start_and_wait)
    plain = {f"augment__{name}": False for name in ("diff", "back", "crop")}
    changes = {"steps": 4, "progressive__boundaries": (0.5,), "progressive__occupancy_every": 0.0, **plain}
    (tmp_path / "run").mkdir()
    train_alone(
        load(f"{ROOT}/configs/base.py", overrides(tiny_clip, str(cache), **changes)), tmp_path / "run"
    )
    # That of the first grid, and the one that was made ahead: the loop made no third.
    assert len(seen) == 1 and len(seen[0]) == 2 and steps_in(cache) == seen[0]


def test_each_is_compiled_once_and_one_at_a_time():
    ahead, go, made = Ahead(), threading.Event(), []

    class Lowered:
        def __init__(self, name):
            self.name = name

        def compile(self):
            go.wait(10)
            made.append(self.name)

    for name in ("first", "second", "first"):
        ahead.start(name, lambda name=name: Lowered(name))
    go.set()
    ahead.close()
    ahead.start("second", lambda: Lowered("second"))
    ahead.close()
    ahead.start("second", lambda: Lowered("again"))
    ahead.close()
    assert made == ["first", "second"]


def test_without_a_cache_it_is_of_no_use(monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    assert not Ahead.is_of_use()
    jax.config.update("jax_compilation_cache_dir", before)
