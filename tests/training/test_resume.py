"""Killed and started again: the run ends as if nothing had happened, bit for bit.

Real processes, real SIGKILLs: one at any moment, one in the middle of writing a checkpoint, with the grid
growing in between.
"""

import json
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from helpers.small_training import ROOT, command, environment, overrides, run

from voxjax.checkpoint import Checkpoints
from voxjax.run import load_run

STEPS = 8
# Training as usual, up to the very rename that would make step {step} a checkpoint.
KILL_IN_SAVE = """
import os, signal
rename = os.rename

def fatal(source, target, *rest, **options):
    if str(target).endswith("checkpoints/{step}"):
        os.kill(os.getpid(), signal.SIGKILL)
    return rename(source, target, *rest, **options)

os.rename = fatal
from voxjax.command import run_command
from voxjax.train import main
run_command(main)
"""


@pytest.fixture(scope="module")
def settings(tiny_clip, compile_cache):
    return overrides(
        tiny_clip,
        compile_cache,
        steps=STEPS,
        progressive__boundaries=(0.5,),
        checkpoint__keep=2,
        loss__kl=0.5,
    )


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """The workdir of a run that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("resume") / "whole"
    process = run(command(workdir, settings))
    assert process.returncode == 0, process.stderr
    return workdir


def arrays(workdir, step):
    tree = Checkpoints(workdir / "checkpoints").restore(step)
    return {"/".join(path): leaf for path, leaf in walk(tree)}


def walk(tree, path=()):
    for name, value in tree.items():
        yield from walk(value, (*path, name)) if isinstance(value, dict) else [((*path, name), value)]


def kill_after(arguments, workdir, step):
    """Starts a run, kills it once the metrics of `step` are on disk, and returns the steps then saved."""
    process = subprocess.Popen(
        arguments, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 240
        log = workdir / "metrics.jsonl"
        while not (log.exists() and len(log.read_text().splitlines()) >= step):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
    assert process.returncode == -signal.SIGKILL
    return Checkpoints(workdir / "checkpoints").steps()


def test_killed_runs_end_like_an_uninterrupted_one(whole, settings, tmp_path):
    broken = tmp_path / "broken"
    # Once at any moment, on the small grid.
    saved = kill_after(command(broken, settings), broken, 3)
    assert saved and 2 <= max(saved) < STEPS
    # Once while the checkpoint of step 6 is written, on the large grid.
    program = ("-c", KILL_IN_SAVE.format(step=6))
    process = run(command(broken, settings, program=program))
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert "going on from step" in process.stderr
    left = sorted(p.name for p in (broken / "checkpoints").iterdir())
    assert Checkpoints(broken / "checkpoints").steps() == [4, 5] and len(left) == 3, left
    # To the end.
    process = run(command(broken, settings))
    assert process.returncode == 0, process.stderr
    assert f"going on from step 5 of {STEPS}" in process.stderr

    a, b = arrays(whole, STEPS), arrays(broken, STEPS)
    assert a.keys() == b.keys() and any("opt_state" in name for name in a)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
    assert load_run(broken).stage.shape > load_run(broken).plan.stage_at(0).shape

    # Every step is told once, with the same numbers.
    told = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (whole, broken)]
    assert [json.loads(line)["step"] for line in told[1]] == list(range(1, STEPS + 1))
    assert told[0] == told[1]
    assert (broken / "turntable.mp4").exists()
    # Three processes; the steps of each up to its last checkpoint are in the summary.
    summary = json.loads((broken / "summary.json").read_text())
    alone = json.loads((whole / "summary.json").read_text())
    assert (summary["starts"], summary["step"]) == (3, STEPS) and alone["starts"] == 1
    assert summary["programs"] > alone["programs"] and summary["loading_seconds"] > alone["loading_seconds"]
    assert sorted(p.name for p in (broken / "checkpoints").iterdir()) == ["7", "8"]


def test_a_damaged_last_checkpoint_costs_one_checkpoint(whole, settings, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(whole, again)
    for file in (again / f"checkpoints/{STEPS}/state").rglob("d/*"):
        file.write_bytes(file.read_bytes()[:-7])
    process = run(command(again, settings))
    assert process.returncode == 0, process.stderr
    assert f"checkpoint {STEPS} is damaged" in process.stderr
    assert f"going on from step {STEPS - 1} of {STEPS}" in process.stderr
    a, b = arrays(whole, STEPS), arrays(again, STEPS)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
