"""The command line that makes a config again, read back by the loader."""

import shlex

import pytest
from helpers.small_training import ROOT
from ml_collections import ConfigDict

from voxjax.config.loading import load, take_overrides
from voxjax.config.programs import listed_names
from voxjax.config.repeating import repeating_flags
from voxjax.config.saved import from_json, to_json

NASTY = """it's "a" cup; rm -rf $HOME `ls` \\ <b>"""


def again(flags):
    """The config that a shell would hand over from this line."""
    spec, *rest = shlex.split(shlex.join(flags))
    return load(spec.removeprefix("--config="), take_overrides(rest))


@pytest.mark.parametrize(
    ("spec", "nearest", "pairs"),
    [
        ("demo", "demo:vox_exp", {"prompt": NASTY, "seed": "7"}),
        ("demo:vox_imp-released", "demo:vox_imp-released", {"prompt": "a red cube", "loss.kl": "0.25"}),
        ("vox_exp:low", "vox_exp:low", {"prompt": "x", "loss.kl_window": "(0.1, 0.2)", "augment.persp": "0"}),
        ("dream_fields:mq-text", "dream_fields:mq-text", {"prompt": "x", "clip.more": "('RN50 0.3 0 0.5',)"}),
        ("figure6:vox_imp", "figure6:vox_imp", {"prompt": "x", "progressive.boundaries": "()"}),
        ("vox_imp:mid", "vox_imp:mid", {"prompt": "x", "prompts.templates": "('a {}', 'the \"{}\"')"}),
    ],
)
def test_the_flags_load_the_same_config(spec, nearest, pairs):
    config = load(spec, list(pairs.items()))
    flags, lost = repeating_flags(from_json(to_json(config)))
    assert flags[:2] == [f"--config={nearest}", f"--config.prompt={pairs['prompt']}"] and not lost
    assert again(flags) == config and len(flags) == 1 + len(pairs)


def test_what_this_version_cannot_set_is_told():
    config = ConfigDict(load("demo", [("prompt", "a red cube")]).to_dict())
    config.field.colour_of_old = 3
    del config.log.warn_after
    flags, lost = repeating_flags(config.lock())
    assert lost == ["field.colour_of_old", "log.warn_after"]
    assert again(flags).field.side == config.field.side


def test_every_config_that_ships_lists_its_variants():
    listed = {path.stem: listed_names(path) for path in (ROOT / "configs").glob("*.py")}
    assert not listed.pop("base") and not listed.pop("__init__", ()) and all(listed.values())
    assert listed["demo"] == listed["figure6"] == ("vox_exp", "vox_imp", "dream_fields")
    assert listed["dream_fields"] == ("lq", "mq", "hq") and "low" in listed["vox_exp"]
