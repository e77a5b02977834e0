"""What a comparison says of its configs."""

from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.evaluation import comparison

PROMPT = "a red sphere"


def test_differences_are_told_by_key():
    configs = {
        name: load(f"{ROOT}/configs/demo.py", [("prompt", PROMPT), *pairs])
        for name, pairs in {"a": [], "b": [("steps", "9"), ("loss.kl", "0.5")]}.items()
    }
    found = comparison.differences(configs)
    assert found == {"loss.kl": {"a": 0.2, "b": 0.5}, "steps": {"a": 150, "b": 9}}
    assert comparison.differences({"a": configs["a"], "c": configs["a"]}) == {}
