"""The package's parts of a step of Dream Fields, with a matrix in the place of CLIP."""

import jax.numpy as jnp
import numpy as np
from faithful.dream_fields_images import CLIP_MEAN, CLIP_SD
from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.guidance.ensemble import GuideSpec
from voxjax.training import assembly
from voxjax.training.guides import Loaded
from voxjax.training.parts import Guide
from voxjax.training.room import choose_room


def config_of(variant, **changes):
    """A config of Dream Fields; a double underscore in a name stands for a dot."""
    pairs = [("prompt", "a red sphere"), *((k.replace("__", "."), str(v)) for k, v in changes.items())]
    return load(f"{ROOT}/configs/dream_fields.py:{variant}", pairs)


def encode(matrix, images):
    """Stand-in for CLIP: a product with normalised pixels, scaled to unit length."""
    pixels = (images - jnp.array(CLIP_MEAN)) / jnp.array(CLIP_SD)
    z = jnp.matmul(pixels.reshape(images.shape[0], -1), matrix.T, precision="highest")
    return z / jnp.linalg.norm(z, axis=-1, keepdims=True)


def linear_guides(config, size_px, matrix=None, text=None):
    """The one guide of a run: matrix [d, size * size * 3] and text [d]."""
    matrix = np.ones((1, size_px**2 * 3)) if matrix is None else matrix
    text = np.ones(1) if text is None else text
    spec = GuideSpec("clip", "linear", "", config.clip.weight, 0, config.steps)
    guide = Guide("clip", encode, size_px)
    text, none = jnp.asarray(text, jnp.float32)[None], jnp.zeros((0, text.size))
    return Loaded((spec,), (guide,), (jnp.asarray(matrix, jnp.float32),), (text,), (none,))


def parts_of(config, guides=None):
    """The parts that `assembly` makes of a config."""
    plan = make_plan(config)
    stage = plan.stage_at(0)
    guides = linear_guides(config, 24) if guides is None else guides
    return assembly.make_parts(config, plan, stage, choose_room(config, plan, stage, {}), guides, (0,))
