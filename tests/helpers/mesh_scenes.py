"""Runs in memory whose fields are given by formulas: grids of balls, and fogs without a grid."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import struct
from helpers.small_runs import HALF_WIDTH, SIDE

from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.fields.grid import query_voxels
from voxjax.run import Run
from voxjax.structs import VoxelGrid


def logit(share):
    share = np.clip(np.asarray(share, np.float64), 1e-6, 1 - 1e-6)
    return np.log(share / (1 - share))


def grid_run(raw, colour, *, side=SIDE, half_width=HALF_WIDTH, occupancy=None, shift=0.0):
    """A run of Vox_Exp in memory.

    `raw` and `colour` are functions of positions [..., 3]: raw density [...] and colours in (0, 1).
    """
    small = {
        "prompt": "a red ball",
        "field.side": side,
        "field.box": "cube",
        "field.half_width": half_width,
        "field.learn_shift": False,
        "progressive.boundaries": (),
    }
    config = load("configs/demo.py", [(key, str(value)) for key, value in small.items()])
    plan = make_plan(config)
    stage = plan.saved_stage(config.steps)
    axis = [np.linspace(-half_width, half_width, n) for n in stage.shape]
    positions = np.stack(np.meshgrid(*axis, indexing="ij"), axis=-1)
    colours = np.broadcast_to(colour(positions), positions.shape)
    values = np.concatenate([raw(positions)[..., None] - shift, logit(colours)], axis=-1)
    scene = VoxelGrid(
        values=jnp.asarray(values, jnp.float32),
        density_shift=jnp.float32(shift),
        occupancy=jnp.ones(stage.shape, bool) if occupancy is None else jnp.asarray(occupancy(positions)),
        lower=-jnp.full(3, half_width),
        upper=jnp.full(3, half_width),
    )
    return Run(Path("."), config, config.steps, scene, query_voxels, plan, stage, None)


@struct.dataclass
class Fog:
    """A ball of density that falls off as a Gaussian: what a field without a grid hands to its query."""

    peak: jnp.ndarray
    spread: jnp.ndarray
    lower: jnp.ndarray
    upper: jnp.ndarray


def query_fog(scene, samples):
    radius2 = jnp.sum(samples.positions**2, axis=-1)
    density = scene.peak * jnp.exp(-radius2 / (2 * scene.spread**2))
    colour = jnp.broadcast_to(jnp.array([0.2, 0.6, 0.4]), samples.positions.shape)
    return density, colour


def fog_run(*, peak=4.0, spread=0.3, n_steps=48):
    """A run of Dream Fields in memory, but for the network: density peak * exp(-r^2 / (2 spread^2))."""
    config = load(
        "configs/demo.py:dream_fields",
        [("prompt", "a fog"), ("dream_fields.n_test_samples", str(n_steps))],
    )
    plan = make_plan(config)
    scene = Fog(jnp.float32(peak), jnp.float32(spread), -jnp.ones(3), jnp.ones(3))
    return Run(Path("."), config, config.steps, scene, query_fog, plan, plan.saved_stage(config.steps), None)


def ball(radius, *, centre=(0.0, 0.0, 0.0), steepness=60.0):
    """Raw density of a ball with a sharp edge."""
    return lambda positions: steepness * (radius - np.linalg.norm(positions - np.asarray(centre), axis=-1))
