"""Finished runs on disk without training: balls of one colour on a small grid."""

import jax.numpy as jnp
import numpy as np

from voxjax.checkpoint import Checkpoints
from voxjax.config.loading import load
from voxjax.config.saved import to_json
from voxjax.factory import make_plan
from voxjax.run import CHECKPOINTS, CONFIG
from voxjax.structs import TrainState

SIDE, HALF_WIDTH = 20, 1.2


def ball_params(colour, *, radius, centre=(0.0, 0.0, 0.0), shape=(SIDE, SIDE, SIDE), slope=1000.0):
    """A steep ball of density on the vertices, every vertex in one colour."""
    axes = [np.linspace(-HALF_WIDTH, HALF_WIDTH, n) - c for n, c in zip(shape, centre, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    values = np.empty((*shape, 4), np.float32)
    values[..., 0] = slope * (radius - np.sqrt(x**2 + y**2 + z**2))
    share = np.clip(np.asarray(colour, np.float64), 1e-4, 1 - 1e-4)
    values[..., 1:] = np.log(share / (1 - share))
    return {"grid": jnp.asarray(values)}


def write_run(
    workdir,
    prompt,
    colour,
    *,
    steps_done=None,
    radius=0.7,
    centre=(0, 0, 0),
    slope=1000.0,
    seed=0,
    **changes,
):
    """A run's folder as training leaves it: config and last checkpoint; in `changes` __ stands for a dot."""
    small = {
        "prompt": prompt,
        "seed": seed,
        "field.side": SIDE,
        "field.box": "cube",
        "field.half_width": HALF_WIDTH,
        "field.learn_shift": False,
        "progressive.boundaries": (),
        "clip.model": "pocket",
        "output.preview_width_px": 24,
        "output.eval_width_px": 40,
        "output.turntable_width_px": 32,
        "output.turntable_frames": 4,
    }
    small |= {name.replace("__", "."): value for name, value in changes.items()}
    config = load("configs/demo.py", [(key, str(value)) for key, value in small.items()])
    shape = make_plan(config).saved_stage(config.steps).shape
    zero = jnp.zeros((), jnp.int32)
    state = TrainState(
        step=jnp.asarray(config.steps if steps_done is None else steps_done, jnp.int32),
        params=ball_params(colour, radius=radius, centre=centre, shape=shape, slope=slope),
        opt_state={"moment": jnp.zeros(2)},
        tracked={"occupancy": jnp.ones(shape, bool)},
        skipped=zero,
        skipped_in_row=zero,
    )
    workdir.mkdir(parents=True)
    (workdir / CONFIG).write_text(to_json(config))
    checkpoints = Checkpoints(workdir / CHECKPOINTS, keep=1)
    checkpoints.save(state)
    checkpoints.close()
    return workdir
