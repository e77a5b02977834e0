"""Rays in parts: less memory by XLA's own count, and the same object."""

import jax
import numpy as np
from helpers.small_training import ROOT, overrides, train_alone

from benchmarks.memory_step import compile_step
from voxjax.config.loading import load
from voxjax.run_config import refuse_other
from voxjax.training.claim import claim
from voxjax.training.needs import needs_of


def test_rays_in_parts_make_the_same_object(tiny_clip, compile_cache, tmp_path):
    """Through a test of occupancy and a rescaling; and a run may go on with another number of parts."""
    ends = []
    for parts in (1, 3):
        pairs = [*overrides(tiny_clip, compile_cache, steps=3), ("cameras.ray_parts", str(parts))]
        pairs += [(f"augment.{name}", "False") for name in ("diff", "back", "crop")]
        config = load(f"{ROOT}/configs/base.py", pairs)
        (tmp_path / str(parts)).mkdir()
        ends.append(train_alone(config, tmp_path / str(parts)))
    for one, other in zip(*(jax.tree.leaves((end.params, end.tracked)) for end in ends), strict=True):
        np.testing.assert_allclose(np.asarray(one, np.float64), np.asarray(other, np.float64), atol=1e-4)
    other = load(f"{ROOT}/configs/base.py", [*pairs, ("cameras.ray_parts", "1")])
    with claim(tmp_path / "new", other):
        refuse_other(tmp_path / "new", config)


def test_the_step_takes_less_memory_and_what_is_reckoned_follows():
    seen = []
    for parts in (1, 8):
        small = {"clip.model": "pocket", "progressive.boundaries": "()", "cameras.width_px": "96"}
        config = load("demo", [*small.items(), ("prompt", "x"), ("cameras.ray_parts", str(parts))])
        memory, _ = compile_step(config, "float32")
        seen.append((memory.temp_size_in_bytes, needs_of(config, dtype="float32").temporary))
    (whole, reckoned), (less, reckoned_less) = seen
    assert less < 0.5 * whole
    assert 0.7 < reckoned / whole < 1.3 and 0.7 < reckoned_less / less < 1.3
