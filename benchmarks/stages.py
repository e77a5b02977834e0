"""The stages of an optimisation step as programs of their own, each forward and forward with backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from benchmarks.measure import Program
from voxjax.factory import make_plan
from voxjax.structs import TrainState
from voxjax.training import assembly, losses
from voxjax.training.guides import Loaded
from voxjax.training.parts import Inputs, Parts
from voxjax.training.room import Room, choose_room
from voxjax.training.step import embed_images, make_step


class FirstStep(NamedTuple):
    """The first step of a config, on real arrays, without a loop around it."""

    parts: Parts
    state: TrainState
    inputs: Inputs
    room: Room


def first_step(config: ConfigDict, guides: Loaded, *, seed: int = 0) -> FirstStep:
    """What the first step of a config is made of and given; all CLIPs take part.

    Args:
      config: with its final grid from the start.
      guides: its CLIPs.
      seed: of the first state and the key.
    """
    plan, key, active = make_plan(config), jax.random.key(seed), tuple(range(len(guides.specs)))
    stage = plan.stage_at(0)
    state = jax.jit(lambda k: assembly.first_state(config, plan, k))(key)
    room = choose_room(config, plan, stage, state.tracked)
    parts = assembly.make_parts(config, plan, stage, room, guides, active)
    return FirstStep(parts, state, guides.inputs(key, active), room)


def make_programs(config: ConfigDict, guides: Loaded) -> list[Program]:
    """The stages of the first step of a config in their order, and the whole step as the last.

    Args:
      config: with its final grid from the start.
      guides: its CLIPs; all of them take part.

    Returns:
      "field" (from parameters to the scene), "render", "augment", one for each CLIP with the resize before
      it, each forward and forward + backward; "priors" (what the loss says about the scene, with gradients),
      "optimiser", "step".
    """
    parts, state, inputs, _ = first_step(config, guides)
    key = inputs.key
    scene = jax.jit(parts.bake)(state.params, state.tracked)
    rendering, _ = jax.jit(parts.render)(key, scene)
    seen = (rendering.colour, rendering.transmittance)
    images = jax.jit(parts.augment)(key, *seen)

    def render(scene: Any, key: Any) -> Any:
        return parts.render(key, scene)[0]

    def augment(seen: Any, key: Any) -> Any:
        return parts.augment(key, *seen)

    programs = [
        *_both("field", parts.bake, state.params, state.tracked),
        *_both("render", render, scene, key),
        *_both("augment", augment, seen, key),
    ]
    for guide, params, spec in zip(parts.guides, guides.params, guides.specs, strict=True):

        def embed(images: Any, params: Any, guide: Any = guide) -> Any:
            return embed_images(parts, guide, params, images)

        programs += _both(spec.model, embed, images, params)
    return [
        *programs,
        Program("priors", _priors(parts), (state.params, state.tracked)),
        Program("optimiser", _optimise(parts), (state.params, state.opt_state)),
        Program("step", make_step(parts), (state, inputs), carry=True),
    ]


def _both(name: str, function: Callable[..., Any], *arguments: Any) -> list[Program]:
    """A stage forward, and forward + backward to the float32 leaves of its first argument."""
    moving, rebuild = _split(arguments[0])

    def forward(moving: Any, *rest: Any) -> list[jax.Array]:
        return _split(function(rebuild(moving), *rest))[0]

    def backward(moving: Any, *rest: Any) -> Any:
        results, pull = jax.vjp(lambda m: forward(m, *rest), moving)
        return results, pull([jnp.ones_like(each) for each in results])

    given = (moving, *arguments[1:])
    return [Program(f"{name}, forward", forward, given), Program(f"{name}, and backward", backward, given)]


def _split(tree: Any) -> tuple[list[jax.Array], Callable[[list[jax.Array]], Any]]:
    """The leaves that have gradients, and how to put them back."""
    leaves, shape = jax.tree.flatten(tree)
    moves = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def rebuild(moving: list[jax.Array]) -> Any:
        left = iter(moving)
        return jax.tree.unflatten(
            shape, [next(left) if m else leaf for m, leaf in zip(moves, leaves, strict=True)]
        )

    return [leaf for m, leaf in zip(moves, leaves, strict=True) if m], rebuild


def _priors(parts: Parts) -> Callable[..., Any]:
    """Sphere prior and total variation, with their gradients to the parameters."""

    def total(params: Any, tracked: Any) -> jax.Array:
        terms, _ = parts.regularise(parts.bake(params, tracked))
        total = sum(terms.values(), start=jnp.zeros(()))
        if parts.tv_scale is not None:
            total += parts.tv_scale * losses.tv_explicit(params["grid"])
        return total

    return jax.value_and_grad(total)


def _optimise(parts: Parts) -> Callable[..., Any]:
    """One update of the parameters, as if they were their own gradient."""

    def update(params: Any, opt_state: Any) -> Any:
        updates, opt_state = parts.optimiser.update(params, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    return update
