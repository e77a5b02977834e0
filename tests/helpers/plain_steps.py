"""A step whose parts are small enough to be worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from voxjax import schedules
from voxjax.structs import Rendering, TrainState, VoxelGrid
from voxjax.training.optimiser import OptimiserOptions, make_optimiser
from voxjax.training.parts import Guide, Inputs, Parts


def plain_parts(**changes):
    """Parts in which an image is the grid's colour channels and an embedding its mean colour."""

    def bake(params, tracked):
        box = jnp.ones(3)
        return VoxelGrid(params["grid"], jnp.zeros(()), tracked["occupancy"], -box, box)

    def render(key, scene):
        image = jnp.mean(scene.values[..., 1:], axis=2)[None]
        noise = jax.random.normal(key, image.shape[:3])
        light = jax.nn.sigmoid(noise)
        picture = Rendering(image * (1 + 0.1 * noise[..., None]), light, noise, jnp.int32(0))
        return picture, jnp.zeros(1, jnp.int32)

    given = {
        "bake": bake,
        "render": render,
        "augment": lambda key, colour, transmittance: jnp.concatenate([colour, colour * 0.5]),
        "resize": lambda images, size: images[:, :size, :size],
        "guides": (Guide("clip", lambda scale, images: scale * jnp.mean(images, axis=(1, 2)), 2),),
        "weights": {
            name: schedules.constant(weight)
            for name, weight in {
                "clip": 2.0,
                "transmittance": 0.5,
                "entropy": 0.0,
                "tv": 0.0,
            }.items()
        },
        "tau": schedules.constant(0.9),
        "regularise": lambda scene: ({}, {}),
        "tv_scale": 1.0,
        "track": lambda tracked, centroid: tracked,
        "optimiser": make_optimiser(OptimiserOptions(decay_steps=10)),
        "rate": lambda count: 0.1 * 0.1 ** (count / 10),
        "max_bad_steps": 20,
        "n_images": 2,
    }
    return Parts(**{**given, **changes})


def plain_state(parts):
    rng = np.random.default_rng(3)
    params = {"grid": jnp.asarray(rng.random((2, 2, 2, 4)), jnp.float32)}
    zero = jnp.zeros((), jnp.int32)
    tracked = {"occupancy": jnp.ones((2, 2, 2), bool)}
    return TrainState(zero, params, tracked, parts.optimiser.init(params), zero, zero)


def plain_inputs():
    rng = np.random.default_rng(4)
    text, negatives = rng.standard_normal((3,)), rng.standard_normal((2, 3))
    return Inputs(
        jax.random.key(0),
        (jnp.float32(1.5),),
        (jnp.asarray(text, jnp.float32)[None],),
        (jnp.asarray(negatives, jnp.float32),),
    )


def plain_descent():
    """Gradient descent with rate 1, behind the state that the step reads its number of updates from."""
    adam = make_optimiser(OptimiserOptions())

    def update(gradients, state, params):
        _, new = adam.update(gradients, state, params)
        return jax.tree.map(lambda g: -g, gradients), new

    return optax.GradientTransformation(adam.init, update)
