"""A training run of seconds: what the tests of the loop set on the command line, and how they start it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "prompt": "a red sphere",
    "steps": 6,
    "field.side": 10,
    "field.box": "cube",
    "field.half_width": 1.2,
    "field.alpha_init": 0.01,
    "field.step_size_voxels": 1.0,
    "field.learn_shift": True,
    "cameras.width_px": 16,
    "cameras.views_per_step": 1,
    "progressive.boundaries": (0.5,),
    "progressive.occupancy_every": 0.5,
    "progressive.occupancy_offset": 1 / 3,
    "augment.persp": False,
    "augment.n_diff": 1,
    "augment.n_back": 2,
    "augment.crop_px": 2,
    "loss.kl": 0.2,
    "loss.kl_window": (0.0, 0.5),
    "loss.tv_window": (0.0, 1.0),
    "log.every": 1,
    "checkpoint.every": 1,
    "output.preview_every": 0,
    "output.preview_width_px": 16,
    "output.eval_width_px": 16,
    "output.turntable_width_px": 16,
    "output.turntable_frames": 2,
    "output.mesh": False,
    "output.report": False,
}


def overrides(clip, cache="", **changes):
    """Pairs for `voxjax.config.load`; a double underscore in a name stands for a dot."""
    given = {name.replace("__", "."): value for name, value in changes.items()}
    pairs = {**SMALL, "clip.model": clip, "cache_dir": cache, **given}
    return [(name, str(value)) for name, value in pairs.items()]


def command(workdir, pairs, *, config="configs/base.py", program=("-m", "voxjax.train")):
    """The command line of a training process."""
    settings = [f"--config.{name}={value}" for name, value in pairs]
    return [sys.executable, *program, f"--config={config}", f"--workdir={workdir}", *settings]


def environment(**changes):
    """This process's environment with jax held to the CPU."""
    return {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **changes}


def run(arguments, **changes):
    """Runs a command to its end; returns the finished process with its output as text."""
    return subprocess.run(
        arguments, cwd=ROOT, env=environment(**changes), capture_output=True, text=True, timeout=300
    )


def group_of(*members):
    """Objects that are trained as one, with their models loaded."""
    from voxjax.training import session

    return next(session.groups(members, together=len(members)))


def train_alone(config, workdir, *, preview=None):
    """Trains one object in this process, without its pictures; returns its final state."""
    from voxjax.training.member import Member

    finished, stuck = group_of(Member(config, workdir)).train(preview=preview)
    assert not stuck
    return finished[0][1]
