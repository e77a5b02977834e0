"""What two configs differ in."""

from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.config.saved import differences


def config(*pairs):
    return load(f"{ROOT}/configs/demo.py", [("prompt", "a red cube"), *pairs])


def test_differences_name_the_keys():
    found = differences(config(), config(("steps", "9"), ("loss.kl", "0.25")))
    assert len(found) == 2
    assert found[0].startswith("loss.kl: ") and found[1].endswith("-> 9")
