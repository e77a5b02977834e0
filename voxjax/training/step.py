"""One optimisation step, as a pure function to be traced once per grid size.

Notation: v views, h x w pixels, n augmented images of one step on one device, d embedding dimensions. The
step takes everything that is large or may change (state, CLIP parameters, text embeddings, base key) as an
argument; what it closes over is code and plain numbers. Every draw comes from the base key folded with the
step and then with the device, so that a resumed run replays exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from voxjax.structs import Array, TrainState
from voxjax.training import losses
from voxjax.training.optimiser import updates_made
from voxjax.training.parts import Guide, Inputs, Metrics, Parts


def make_step(
    parts: Parts, *, axis_name: str | None = None
) -> Callable[[TrainState, Inputs], tuple[TrainState, Metrics]]:
    """Builds the step.

    Args:
      parts: what it is made of.
      axis_name: name of the device axis when the step is mapped over devices: with `parts.share` they do one
        step together, without it each does one on views of its own, and gradients and metrics are averaged.

    Returns:
      `step(state, inputs) -> (state, metrics)`. Metrics are float32 scalars: "loss", each weighted term as
      "loss/<name>", "clip_similarity" (mean cosine under the first model), "transmittance" and its target
      "tau", "gradient/density" and "gradient/colour" (norms; "gradient/network" where one network gives
      both), "learning_rate", "overflow", "skipped", "skipped_in_row", and those of `regularise`; where
      `parts.field_gradients`, "gradient/mean_density" and "gradient/mean_colour", the mean size of the whole
      loss's derivative by the raw values of an explicit grid, over all vertices. A step whose loss, gradient
      or result is not finite leaves parameters and optimiser as they were.
    """

    def step(state: TrainState, inputs: Inputs) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(inputs.key, state.step)
        if axis_name is not None and parts.share is None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        weights = {name: schedule(state.step) for name, schedule in parts.weights.items()}
        tv_weight = None if parts.tv_scale is None else parts.tv_scale * weights.pop("tv")

        def loss_of(params: Any) -> tuple[Array, tuple[dict[str, Array], Metrics, Array | None]]:
            return _loss(parts, params, state, inputs, key, weights)

        (_, aux), gradients = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        if parts.share is not None:
            gradients = parts.share.sum(gradients)  # of the k-th part of the loss on each of k devices
        elif axis_name is not None:
            gradients, aux = jax.lax.pmean((gradients, aux), axis_name)
        terms, metrics, centroid = aux
        if tv_weight is not None:
            gradients, terms["tv"] = _add_total_variation(state.params, gradients, tv_weight)
        loss = sum(terms.values(), start=jnp.zeros(()))
        state = _update(parts, state, loss, gradients, parts.track(state.tracked, centroid))
        metrics |= {f"loss/{name}": value for name, value in terms.items()}
        metrics |= {
            "loss": loss,
            "tau": parts.tau(state.step - 1),
            "learning_rate": parts.rate(updates_made(state.opt_state)),
            "skipped": state.skipped,
            "skipped_in_row": state.skipped_in_row,
            **_gradient_norms(gradients),
            **(_field_gradients(gradients["grid"]) if parts.field_gradients else {}),
        }
        return state, {name: jnp.asarray(value, jnp.float32) for name, value in metrics.items()}

    return step


def _loss(
    parts: Parts, params: Any, state: TrainState, inputs: Inputs, key: Array, weights: Mapping[str, Array]
) -> tuple[Array, tuple[dict[str, Array], Metrics, Array | None]]:
    """All but the total variation of an explicit grid: the loss, and (weighted terms, metrics, centroid)."""
    camera_key, augment_key = jax.random.split(key)
    scene = parts.bake(params, state.tracked)
    rendering, kind = parts.render(camera_key, scene)
    chex.assert_rank([rendering.colour, rendering.transmittance], [4, 3])
    images = parts.augment(augment_key, rendering.colour, rendering.transmittance)

    kind = jnp.repeat(kind, parts.n_images // kind.shape[0])
    terms, similarities = {}, []
    for i, guide in enumerate(parts.guides):
        text = inputs.text[i]
        target = text[0] if text.shape[0] == 1 else text[kind]
        embeddings = embed_images(parts, guide, inputs.clip_params[i], images)
        if parts.share is not None:
            embeddings = parts.share.join_blocks(embeddings, parts.n_images)
        cosine = -losses.clip_loss(embeddings, target)
        terms[guide.name] = -cosine
        if guide.contrastive_scale is not None:
            terms[guide.name] = losses.contrastive_loss(
                embeddings, target, inputs.negatives[i], scale=guide.contrastive_scale
            )
        similarities.append(cosine)
    terms["transmittance"] = losses.transmittance_loss(rendering.transmittance, parts.tau(state.step))
    about_scene, scene_metrics = parts.regularise(scene)
    terms |= about_scene
    terms["entropy"] = losses.background_entropy(rendering.transmittance)
    total, weighted = losses.weigh(terms, weights)
    metrics = {
        "clip_similarity": similarities[0],
        "transmittance": jnp.mean(rendering.transmittance),
        "overflow": jnp.sum(rendering.overflow).astype(jnp.float32),
        **scene_metrics,
    }
    if parts.share is not None:
        total = total / parts.share.count
    return total, (weighted, metrics, rendering.centroid)


def embed_images(parts: Parts, guide: Guide, params: Any, images: Array) -> Array:
    """Unit embeddings [n, d] of images [n, h', w', 3] under one guidance model."""
    n, size = images.shape[0], guide.image_size

    def embed(some: Array) -> Array:
        small = parts.resize(some, size)
        chex.assert_shape(small, (some.shape[0], size, size, 3))
        return guide.encode(params, small)

    batch = guide.micro_batch
    if batch is not None:  # a share of the images may need a smaller divisor
        batch = next(size for size in range(min(batch, n), 0, -1) if n % size == 0)
    if batch is None or batch >= n:
        return embed(images)
    batches = images.reshape(n // batch, batch, *images.shape[1:])
    embeddings = jax.lax.map(jax.checkpoint(embed, prevent_cse=False), batches)
    return embeddings.reshape(n, -1)


def _add_total_variation(params: Any, gradients: Any, weight: Array) -> tuple[Any, Array]:
    """Adds the gradient of total variation to the grid, where it was touched; returns the term too."""

    def on(values: Array) -> tuple[Array, Array]:
        return jax.value_and_grad(lambda x: weight * losses.tv_explicit(x))(values)

    def off(values: Array) -> tuple[Array, Array]:
        return jnp.zeros(()), jnp.zeros_like(values)

    term, gradient = jax.lax.cond(weight != 0, on, off, params["grid"])
    return {**gradients, "grid": losses.add_where_touched(gradients["grid"], gradient)}, term


def _update(parts: Parts, state: TrainState, loss: Array, gradients: Any, tracked: Any) -> TrainState:
    """Takes the step, or skips it and counts."""
    updates, opt_state = parts.optimiser.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves((gradients, params)):
        finite &= jnp.all(jnp.isfinite(leaf))
    # Once the limit is reached nothing moves any more, so that whoever looks later finds it as it was then.
    good = finite & (state.skipped_in_row < parts.max_bad_steps)
    keep = lambda new, old: jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)  # noqa: E731
    return dataclasses.replace(
        state,
        step=state.step + 1,
        params=keep(params, state.params),
        tracked=keep(tracked, state.tracked),
        opt_state=keep(opt_state, state.opt_state),
        skipped=state.skipped + ~good,
        skipped_in_row=jnp.where(good, 0, state.skipped_in_row + 1),
    )


def _gradient_norms(gradients: Any) -> Metrics:
    if "grid" in gradients:
        parts = {"density": gradients["grid"][..., 0], "colour": gradients["grid"][..., 1:]}
    elif {"density", "colour"} <= set(gradients):
        parts = {name: gradients[name] for name in ("density", "colour")}
    else:
        parts = {"network": gradients}
    squares = {name: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(part)) for name, part in parts.items()}
    return {f"gradient/{name}": jnp.sqrt(square) for name, square in squares.items()}


def _field_gradients(gradient: Array) -> Metrics:
    """Mean size of the gradient of an explicit grid [x, y, z, 4] (Pure CLIP guidance, Figure 3)."""
    size = jnp.abs(gradient)
    return {"gradient/mean_density": jnp.mean(size[..., 0]), "gradient/mean_colour": jnp.mean(size[..., 1:])}
