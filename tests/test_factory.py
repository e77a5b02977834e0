"""From config to objects: what is listed in two places agrees, and older runs lack groups that came later."""

import dataclasses

import pytest
from helpers.small_training import ROOT
from ml_collections import ConfigDict

from voxjax.augment.diffaugment import DiffAugRanges
from voxjax.augment.options import AugmentOptions
from voxjax.config.loading import load
from voxjax.config.saved import flatten, from_json, to_json
from voxjax.factory import make_plan, make_stage_field
from voxjax.fields import FIELDS


def config(**pairs):
    given = [(name.replace("__", "."), str(value)) for name, value in pairs.items()]
    return load(f"{ROOT}/configs/demo.py", [("prompt", "a red cube"), *given])


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_made_without_the_groups_of_the_others(name):
    c = ConfigDict(config(field__name=name).to_dict())
    for other in {"vox_imp", "dream_fields"} - {name}:
        if other != "dream_fields":  # whose sections the pictures ask for
            del c[other]
    plan = make_plan(c)
    field = make_stage_field(c, plan, plan.stage_at(0))
    assert isinstance(field, FIELDS[name]), f"{name} needs its options in make_stage_field of factory.py"


def test_every_key_of_the_augmentation_is_an_option_of_the_pipeline():
    keys = {key.removeprefix("augment.") for key, _ in flatten(config()) if key.startswith("augment.")}
    ranges = {each.name for each in dataclasses.fields(DiffAugRanges)}
    options = {each.name for each in dataclasses.fields(AugmentOptions)} - {"ranges"}
    # Two keys have other names there: a switch of its range, and a size that only the guide knows.
    missing = keys - {"batch_resize", "background_at"} - ranges - options
    assert not missing, f"AugmentOptions or DiffAugRanges lacks {missing}"
    assert options - keys == {"background_px"}


def test_a_run_older_than_some_keys_still_opens_as_what_it_was():
    new = config(field__name="dream_fields").to_dict()
    for group, keys in {
        "field": ["mask_near_cameras"],
        "dream_fields": ["section", "widen", "jitter_ends", "origin"],
        "augment": ["under", "composite", "background_at", "share_backgrounds", "blur_vertical_sd"],
        "optimiser": ["eps_uncorrected", "warmup_shape"],
    }.items():
        for key in keys:
            del new[group][key]
    del new["schedule_steps"]
    new["dream_fields"] |= {"track_origin": False, "encoding": "fourier"}
    old = from_json(to_json(ConfigDict(new)))
    assert (old.schedule_steps, old.field.mask_near_cameras) == (0, False)
    assert (old.dream_fields.section, old.dream_fields.origin) == ("mipnerf", "fixed")
    assert not old.optimiser.eps_uncorrected and old.optimiser.warmup_shape == "linear"
    plan = make_plan(old)
    assert make_stage_field(old, plan, plan.stage_at(0)).widen_steps == 0
