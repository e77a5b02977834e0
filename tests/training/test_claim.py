"""Whose folder it is: what a run that goes on may change, and what cannot be a workdir."""

import pytest
from helpers.small_training import ROOT, overrides

from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.run_config import refuse_other
from voxjax.training.claim import claim


def test_what_changes_only_time_and_memory_may_change(tmp_path, tiny_clip):
    config = load(f"{ROOT}/configs/base.py", overrides(tiny_clip))
    with claim(tmp_path, config):
        pass
    lighter = {"clip.micro_batch": "1", "clip.remat": "True", "cameras.ray_parts": "2"}
    for key, value in lighter.items():
        with claim(tmp_path, load(f"{ROOT}/configs/base.py", [*overrides(tiny_clip), (key, value)])):
            pass
    with pytest.raises(UserError, match=r"another config \(steps: 6 -> 7\)"):
        refuse_other(tmp_path, load(f"{ROOT}/configs/base.py", overrides(tiny_clip, steps=7)))


def test_a_folder_that_cannot_be_looked_at_is_refused(tmp_path, tiny_clip):
    with pytest.raises(UserError, match="cannot write there .*give another folder"):
        refuse_other(tmp_path / ("x" * 300), load(f"{ROOT}/configs/base.py", overrides(tiny_clip)))
