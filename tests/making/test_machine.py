"""Looking at a machine: what jax would find, what the cache holds, and whether the hub answers."""

import subprocess
import sys

import pytest
from helpers import small_hub
from helpers.small_training import ROOT, environment

from voxjax.devices import Devices, JaxFailure
from voxjax.guidance import names
from voxjax.making import machine


def test_this_machine_has_no_accelerator(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setattr(names, "is_here", lambda name: name == "RN50")
    monkeypatch.setattr(machine, "find_devices", lambda: pytest.fail("jax was asked in vain"))
    found = machine.look()
    assert not found.accelerator and found.cached == {"RN50"} and not found.online
    assert found.cores >= 1 and found.free > 2**20


def found_devices(platform):
    return Devices(platform, "a card", 1, 8 << 30, 5 << 30, "0.0")


def failing():
    raise JaxFailure("no jax")


@pytest.mark.parametrize(
    ("find", "expected"),
    [
        (lambda: found_devices("gpu"), (True, "a card", 5 << 30)),
        (lambda: found_devices("cpu"), None),
        (failing, None),
    ],
)
def test_an_accelerator_is_what_jax_finds(find, expected, monkeypatch):
    monkeypatch.setattr(machine, "has_plugins", lambda: True)
    monkeypatch.setattr(names, "is_here", lambda name: False)
    monkeypatch.setattr(machine, "find_devices", find)
    found = machine.look()
    assert found.accelerator == (expected is not None)
    assert expected is None or (found.accelerator, found.device, found.free) == expected


@pytest.mark.parametrize(
    ("variable", "value", "plugins"),
    [("JAX_PLATFORMS", "cpu", False), ("PJRT_NAMES_AND_LIBRARY_PATHS", "x:y", True), ("X", "", False)],
)
def test_jax_is_asked_only_where_it_may_find_something(variable, value, plugins, monkeypatch):
    for name in ("JAX_PLATFORMS", "PJRT_NAMES_AND_LIBRARY_PATHS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv(variable, value)
    assert machine.has_plugins() == plugins


class Hub(small_hub.Hub):
    repositories = {"openai/clip-vit-base-patch32": {"config.json": b"{}"}}


ASK = "from voxjax.making.machine import hub_answers; print(hub_answers(5.0))"


@pytest.mark.parametrize(
    ("changes", "answers"),
    [({}, "True"), ({"HF_HUB_OFFLINE": "1"}, "False"), ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "False")],
)
def test_the_hub_is_asked_for_a_name(changes, answers, tmp_path):
    with small_hub.serve(Hub):
        surroundings = environment(HF_HOME=str(tmp_path), HF_ENDPOINT=Hub.address()) | {"HF_HUB_OFFLINE": "0"}
        done = subprocess.run(
            [sys.executable, "-c", ASK], cwd=ROOT, env=surroundings | changes, capture_output=True, text=True
        )
    assert done.returncode == 0 and done.stdout.split() == [answers], done.stderr
    assert Hub.fetched == []


def test_a_hub_that_keeps_one_waiting_is_no_hub(monkeypatch):
    import threading

    held = threading.Event()
    monkeypatch.setattr(names, "hub_has", lambda name, seconds: held.wait(30))
    assert not machine.hub_answers(0.05)
    held.set()
