"""Several processes that train one object: the same object, and none lost with one that is killed."""

import json
import socket
import subprocess
import time

import jax
import numpy as np
import pytest
from helpers.small_training import ROOT, command, environment, overrides, train_alone

from voxjax.checkpoint import Checkpoints
from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.training import hosts
from voxjax.training.flags import read_flags

STEPS = 10


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def start_pair(workdir, pairs):
    """Two processes of two devices each that train together; (the first, the second)."""
    address = f"--coordinator=127.0.0.1:{free_port()}"
    return [
        subprocess.Popen(
            [*command(workdir, pairs), address, "--processes=2", f"--process={i}"],
            cwd=ROOT,
            env=environment(XLA_FLAGS="--xla_force_host_platform_device_count=2", **QUICK),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]


QUICK = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # most of the time is compiling


def leaves(workdir):
    tree = Checkpoints(workdir / "checkpoints").restore(STEPS)
    return [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves((tree["params"], tree["tracked"]))]


def test_a_pair_of_which_one_is_killed_makes_the_object_of_one_process(tiny_clip, compile_cache, tmp_path):
    one_grid = {"progressive__boundaries": (), "progressive__occupancy_every": 0.0}
    one_grid |= {f"augment__{name}": False for name in ("diff", "back", "crop")}
    changes = {"steps": STEPS, "cameras__views_per_step": 2, "augment__n_diff": 2, "checkpoint__keep": STEPS}
    pairs = overrides(tiny_clip, compile_cache, **changes, **one_grid)
    (tmp_path / "alone").mkdir()
    train_alone(load(f"{ROOT}/configs/base.py", pairs), tmp_path / "alone")
    workdir = tmp_path / "pair"
    first, second = start_pair(workdir, pairs)
    try:
        while not (workdir / "checkpoints" / "2").exists():
            assert first.poll() is None and second.poll() is None, first.communicate()
            time.sleep(0.02)
    finally:
        # The first one would end too, once the second has not been heard of for a hundred seconds.
        for process in (second, first):
            process.kill()
            process.communicate()
    kept = Checkpoints(workdir / "checkpoints").steps()
    assert 2 <= max(kept) < STEPS, "the kill came too late"
    ends = [process.communicate(timeout=250) for process in start_pair(workdir, pairs)]
    for own, other in zip(leaves(workdir), leaves(tmp_path / "alone"), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-4)
    assert "going on from step" in ends[0][1] and "going on" not in ends[1][1]
    assert str(workdir) in ends[0][0] and str(workdir) not in ends[1][0]
    lines = [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, STEPS + 1)), "each step is told once, by one process"


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--processes=2"], "--processes=2: give --coordinator"),
        (["--process=0"], "--process=0: give --coordinator"),
    ],
)
def test_numbers_without_a_coordinator_are_refused(typed, words):
    with pytest.raises(UserError, match=words):
        read_flags(["--config=demo", *typed])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("host:1", 2, None), "give --processes"),
        (("host:1", None, 0), "give --processes"),
        (("host:1", 2, 2), "from 0 to one less"),
        (("auto", 2, 0), "the environment says"),
        (("auto", None, None), "give HOST:PORT"),
    ],
)
def test_what_cannot_meet_is_one_line(given, words):
    with pytest.raises(UserError, match=words) as caught:
        hosts.join(*given)
    assert "\n" not in str(caught.value)


def test_who_trains_alone_is_the_first_of_one():
    assert hosts.is_first() and hosts.count() == 1 and hosts.agree([3, 4]) == [3, 4]
