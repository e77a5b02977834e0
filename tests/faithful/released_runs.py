"""Small runs of our code under the released configs, with a linear stand-in for CLIP."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
from faithful import injected_draws as injected
from faithful.pure_clip_losses import CLIP_MEAN, CLIP_SD
from faithful.pure_clip_scene import camera_rays
from faithful.pure_clip_step import Draws, Setting

from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.guidance.ensemble import GuideSpec
from voxjax.rendering import SampleBudget
from voxjax.training import assembly
from voxjax.training.guides import Loaded
from voxjax.training.parts import Guide, Inputs
from voxjax.training.room import Room
from voxjax.training.step import make_step

SIDE, CLIP, CROP, N_DIFF, N_BACK, DIMENSIONS = 16, 16, 2, 2, 2, 12
ROOM = 32  # samples on a ray at most
KEY = jax.random.key(11)
OPTIONS = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
SMALL = {
    "prompt": "a ball",
    "cameras.width_px": SIDE,
    "augment.crop_px": CROP,
    "augment.n_diff": N_DIFF,
    "augment.n_back": N_BACK,
}


def config_of(spec, **changes):
    """A shipped config in small; a double underscore in a name stands for a dot."""
    pairs = {**SMALL, **{name.replace("__", "."): value for name, value in changes.items()}}
    return load(spec, [(name, str(value)) for name, value in pairs.items()])


def box_of(plan):
    """The corners as float32 holds them."""
    return tuple(np.asarray(np.float32(corner), np.float64) for corner in (plan.lower, plan.upper))


def stand_in():
    """(matrix [CLIP * CLIP * 3, DIMENSIONS], text [DIMENSIONS]) of the linear CLIP, exact in float32."""
    rng = np.random.default_rng(12)
    matrix, text = rng.normal(size=(CLIP * CLIP * 3, DIMENSIONS)), rng.normal(size=DIMENSIONS)
    return np.asarray(matrix, np.float32), np.asarray(text / np.linalg.norm(text), np.float32)


def loaded():
    """The stand-in, as the loop has its models."""

    def encode(matrix, images):
        pixels = (images - CLIP_MEAN.astype(np.float32)) / CLIP_SD.astype(np.float32)
        rows = pixels.reshape(images.shape[0], -1)
        embedded = jnp.matmul(rows, matrix, precision=jax.lax.Precision.HIGHEST)
        return embedded / jnp.linalg.norm(embedded, axis=1, keepdims=True)

    matrix, text = stand_in()
    spec, guide = GuideSpec("clip", "linear", "", 1.0, 0, 10**9), Guide("clip", encode, CLIP)
    return Loaded((spec,), (guide,), (matrix,), (text[None],), (np.zeros((0, DIMENSIONS), np.float32),))


def parts_at(config, plan, step):
    """Parts of our step as the loop makes them, with the latest gradients in the state of the optimiser.

    Room for samples is ample instead of measured, which changes no number.
    """
    room = Room(SampleBudget(per_ray=ROOM, capacity=ROOM * SIDE**2), all_on=False)
    parts = assembly.make_parts(config, plan, plan.stage_at(step), room, loaded(), (0,))
    inner = parts.optimiser

    def init(params):
        return (*inner.init(params), jax.tree.map(jnp.zeros_like, params))

    def update(gradients, state, params=None):
        updates, new = inner.update(gradients, state[:-1], params)
        return updates, (*new, gradients)

    return dataclasses.replace(parts, optimiser=optax.GradientTransformation(init, update))


def step_at(config, plan, step, state):
    """Our compiled step for states like this one; it begins with the optimiser's state from `parts_at`."""
    inputs = loaded().inputs(KEY, (0,))
    leaves = (inputs.clip_params, inputs.text, inputs.negatives)
    inputs = Inputs(inputs.key, *(tuple(map(jnp.asarray, each)) for each in leaves))
    lowered = jax.jit(make_step(parts_at(config, plan, step))).lower(state, inputs)
    # Compiled in half the time: it runs only a few times.
    compiled = lowered.compile(OPTIONS)
    return lambda state: compiled(state, inputs)


def setting_of(plan):
    """The oracle's; samples and annealing are ours, as these differences stay (none of them matters)."""
    matrix, text = (np.asarray(x, np.float64) for x in stand_in())
    return Setting(
        box=box_of(plan),
        crop_px=CROP,
        clip_px=CLIP,
        matrix=matrix,
        text=text,
        sampling={"units": "unit", "count": "norm", "offset": 0.5, "stop": None},
        annealing={"offset": -1},
    )


def draws_at(step, *, persp):
    """The draws that our step number `step`, counted from 0, makes."""
    camera_key, augment_key = jax.random.split(jax.random.fold_in(KEY, step))
    azimuth_key, _ = jax.random.split(camera_key)
    azimuth = injected.uniform(azimuth_key, (1,), minval=0.0, maxval=360.0)[0]
    diff_key, back_key, view_key = jax.random.split(augment_key, 3)
    diff, ratio = injected.diff_draws(diff_key, N_DIFF, SIDE)
    numbers = injected.background_numbers(back_key, N_BACK, SIDE)
    crop, corners = injected.view_draws(view_key, N_DIFF * N_BACK, SIDE, crop_px=CROP)[0]
    # Azimuth 0 is +x with us, +y in the release, and the two turn opposite ways.
    origin, directions = camera_rays(90.0 - azimuth, SIDE)
    behind = np.stack([injected.oracle_background(u, numbers[0], SIDE) for u in numbers])
    return Draws(origin, directions, diff, ratio, behind, crop, corners if persp else None)


def with_step(state, step):
    """The state before another step."""
    return dataclasses.replace(state, step=jnp.int32(step))


def plan_of(config):
    """When which grid is trained."""
    return make_plan(config)
