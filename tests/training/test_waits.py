"""How often the loop waits for the device: at its cadences, and once more to know the expected time."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from helpers.small_training import ROOT, group_of, overrides

from voxjax.config.loading import load
from voxjax.training import loop, session
from voxjax.training.loop import Trainer
from voxjax.training.member import Member

NAMES = ("loss", "clip_similarity", "transmittance", "overflow", "skipped_in_row")


def fake_step(state, inputs):
    """A step that only counts."""
    metrics = {name: jnp.full((), 0.5 if name == "transmittance" else 0.0) for name in NAMES}
    return dataclasses.replace(state, step=state.step + 1), metrics


@pytest.fixture
def waits(monkeypatch, tmp_path):
    """Runs 130 steps that do nothing; returns the steps at which the host waited, by what it called."""

    def run(**changes):
        seen = {"wait": [], "fetch": []}
        one_grid = {"progressive__boundaries": (), "progressive__occupancy_every": 0.0}
        pairs = overrides(
            "pocket", **{"steps": 130, "log__every": 50, "checkpoint__every": 60, **one_grid, **changes}
        )
        group = group_of(Member(load(f"{ROOT}/configs/base.py", pairs), tmp_path))
        trainer = Trainer(group.members, group.guides, group.devices)

        def prepare(step, states):
            if trainer._programs is None:
                trainer._programs = ((), trainer._clocks.first_call(fake_step))

        done = []
        monkeypatch.setattr(trainer, "_prepare", prepare)
        report = trainer._report
        monkeypatch.setattr(trainer, "_report", lambda at, *rest: done.append(at) or report(at, *rest))
        fetch = trainer._fetch
        monkeypatch.setattr(trainer, "_fetch", lambda *a: seen["fetch"].append(a[0]) or fetch(*a))
        with monkeypatch.context() as patch:
            patch.setattr(loop.jax, "block_until_ready", lambda m: seen["wait"].append(done[-1]) or m)
            trainer.train(session.restore(group.members))
        return seen

    return run


def test_one_early_wait_and_the_cadences(waits, capsys):
    seen = waits()
    assert seen == {"wait": [20], "fetch": [50, 60, 100, 120, 130, 130]}
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("expected time: ") for line in lines) == 1
    assert jax.default_backend() == "cpu" and lines[0] == "step 0/130  compiling"


def test_no_early_wait_in_a_run_that_is_shorter(waits):
    assert waits(steps=20)["wait"] == []
