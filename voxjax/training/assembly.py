"""From config to the parts of a training step; the other half of `factory`, which needs no guidance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax import schedules
from voxjax.augment import pipeline
from voxjax.augment.block import Block
from voxjax.augment.diffaugment import DiffAugRanges
from voxjax.augment.options import AugmentOptions
from voxjax.cameras import near_far
from voxjax.factory import make_stage_field, step_of
from voxjax.fields import grid, has_grid, is_explicit
from voxjax.progressive import Plan, Stage
from voxjax.schedules import Schedule
from voxjax.structs import Array, TrainState, VoxelGrid
from voxjax.training import losses
from voxjax.training.guides import GuideSpec, Loaded
from voxjax.training.optimiser import OptimiserOptions, make_optimiser
from voxjax.training.parts import Metrics, Parts
from voxjax.training.room import Room, first_occupancy
from voxjax.training.sharing import Share
from voxjax.training.views import make_render
from voxjax.training.visibility import distance_to_cameras


def make_optimiser_options(config: ConfigDict) -> OptimiserOptions:
    """Returns the optimiser's numbers with the decay in steps."""
    o = config.optimiser
    return OptimiserOptions(
        rate_density=o.rate_density,
        rate_colour=o.rate_colour,
        rate_shift=o.rate_shift,
        rate_network=o.rate_network,
        beta1=o.beta1,
        beta2=o.beta2,
        eps=o.eps,
        eps_uncorrected=o.eps_uncorrected,
        decay_steps=step_of(config, o.tenfold_decay),
        warmup_steps=step_of(config, o.warmup),
        warmup_start=o.warmup_start,
        warmup_shape=o.warmup_shape,
    )


def make_weights(config: ConfigDict, specs: tuple[GuideSpec, ...], *, on_grid: bool) -> dict[str, Schedule]:
    """Returns the weight of each term over the steps, windows included.

    Args:
      config: the config.
      specs: the guiding models that take part.
      on_grid: whether the field has a grid; two terms need one.
    """
    w = config.loss

    def during(weight: float, span: tuple[float, float]) -> Schedule:
        gate = schedules.window(step_of(config, span[0]), step_of(config, span[1]))
        return lambda step: weight * gate(step)

    weights = {
        **{spec.term: schedules.constant(spec.weight) for spec in specs},
        "transmittance": schedules.constant(w.transmittance),
        "entropy": schedules.constant(w.entropy),
    }
    if on_grid:
        weights |= {"kl": during(w.kl, w.kl_window), "tv": during(w.tv, w.tv_window)}
    return weights


def make_parts(
    config: ConfigDict,
    plan: Plan,
    stage: Stage,
    room: Room,
    guides: Loaded,
    active: tuple[int, ...],
    share: Share | None = None,
) -> Parts:
    """Returns the parts of the step on one grid.

    Args:
      config: the config.
      plan: schedule of the grid.
      stage: the grid.
      room: from `room.choose_room`.
      guides: the models of the run.
      active: indices of those that take part.
      share: how the devices share the work of a step; None where each does all of it.
    """
    in_parts = None if share is None else share.apply
    field = make_stage_field(config, plan, stage, capacity=room.vertices, in_parts=in_parts, training=True)
    options = make_optimiser_options(config)
    explicit = is_explicit(field)
    rate = options.rate_density if explicit else options.rate_network
    augmentation = make_augmentation(config, guides.guides[active[0]].image_size)
    loss = config.loss
    return Parts(
        bake=lambda params, tracked: field.apply({"params": params, "tracked": tracked}, method="bake"),
        render=make_render(config, field, stage, room, share),
        augment=_make_augment(augmentation, share),
        resize=pipeline.resize_to,
        guides=tuple(guides.guides[i] for i in active),
        weights=make_weights(config, tuple(guides.specs[i] for i in active), on_grid=has_grid(field)),
        tau=schedules.transmittance_target(
            opacity_start=loss.opacity_start,
            opacity_end=loss.opacity_end,
            n_steps=step_of(config, loss.opacity_anneal),
            opacity_scale=loss.opacity_scale,
        ),
        regularise=_make_regularise(config, field, stage) if has_grid(field) else lambda scene: ({}, {}),
        tv_scale=losses.tv_explicit_scale(
            stage.shape, config.cameras.views_per_step * config.cameras.width_px**2
        )
        if explicit
        else None,
        track=_make_track(config, field),
        optimiser=make_optimiser(options),
        rate=lambda count: rate * options.factor()(count),
        max_bad_steps=config.optimiser.max_bad_steps,
        field_gradients=config.log.field_gradients,
        n_images=config.cameras.views_per_step * config.augment.n_diff * config.augment.n_back,
        share=share,
    )


def _make_augment(options: AugmentOptions, share: Share | None) -> Callable[[Array, Array, Array], Array]:
    """`(key, colour, transmittance) -> images`, this device's block of them where devices share the work."""

    def augment(key: Array, colour: Array, transmittance: Array) -> Array:
        block = None
        if share is not None:
            n = colour.shape[0] * options.n_diff * options.n_back
            block = Block(share.first(n), share.rows(n))
        return pipeline.augment_views(key, colour, transmittance, options=options, block=block)

    return augment


def _make_regularise(
    config: ConfigDict, field: Any, stage: Stage
) -> Callable[[VoxelGrid], tuple[dict[str, Array], Metrics]]:
    """What the loss says about a voxel grid itself."""

    def regularise(scene: VoxelGrid) -> tuple[dict[str, Array], Metrics]:
        inside = grid.inside_sphere(scene.lower, scene.upper, stage.shape, radius=config.loss.kl_radius)
        terms = {"kl": losses.kl_sphere(grid.vertex_alpha(scene, stage.ratio), inside)}
        metrics = {"occupied": jnp.mean(scene.occupancy.astype(jnp.float32))}
        if not is_explicit(field):
            alpha, colour = grid.vertex_alpha(scene, 1.0), grid.vertex_colour(scene)
            terms["tv"] = losses.tv_implicit(alpha, colour, evaluated=scene.evaluated)
        if scene.evaluated is not None and scene.overflow is not None:
            metrics["vertices_evaluated"] = jnp.mean(scene.evaluated.astype(jnp.float32))
            metrics["vertices_overflow"] = scene.overflow.astype(jnp.float32)
        return terms, metrics

    return regularise


def _make_track(config: ConfigDict, field: Any) -> Callable[[Any, Array | None], Any]:
    """What happens to the tracked values after a step."""
    if has_grid(field):
        return lambda tracked, centroid: tracked
    options = {"decay": config.dream_fields.origin_decay, "origin": config.dream_fields.origin}
    return lambda tracked, centroid: field.track(tracked, centroid, **options)


def make_augmentation(config: ConfigDict, clip_px: int) -> AugmentOptions:
    """Returns the options of the augmentation pipeline.

    Args:
      config: the config.
      clip_px: side of the images that the first guiding model takes.
    """
    options = config.augment.to_dict()
    options["background_px"] = clip_px if options.pop("background_at") == "clip" else 0
    batch_resize, zoom = options.pop("batch_resize"), options.pop("zoom")
    names = [each.name for each in dataclasses.fields(DiffAugRanges) if each.name != "zoom"]
    ranges = DiffAugRanges(**{name: options.pop(name) for name in names}, zoom=zoom if batch_resize else None)
    return AugmentOptions(ranges=ranges, **options)


def first_state(config: ConfigDict, plan: Plan, key: Array) -> TrainState:
    """Returns the state before the first step."""
    stage = plan.stage_at(0)
    field = make_stage_field(config, plan, stage, training=True)
    variables = field.init(key, method="bake")
    params, tracked = variables["params"], variables["tracked"]
    occupancy = first_occupancy(config, plan, stage)
    if occupancy is not None:
        tracked = {**tracked, "occupancy": occupancy}
    if is_explicit(field) and config.field.mask_near_cameras:
        params = {**params, "grid": _empty_near_cameras(config, params["grid"], plan, stage.shape)}
    opt_state = make_optimiser(make_optimiser_options(config)).init(params)
    step, skipped, skipped_in_row = (jnp.zeros((), jnp.int32) for _ in range(3))
    return TrainState(step, params, tracked, opt_state, skipped, skipped_in_row)


MASKED = -100.0
"""Raw density of a vertex that must stay empty (released code)."""


def _empty_near_cameras(config: ConfigDict, values: Array, plan: Plan, shape: grid.Shape) -> Array:
    """A grid [x, y, z, 4] without density within `near` of any place where a training camera may stand.

    Floaters in front of a camera would live there. Done once, to the first grid; finer ones inherit it.
    """
    c = config.cameras
    with jax.ensure_compile_time_eval():  # plain numbers, whoever may be tracing this
        positions = grid.vertex_positions(jnp.array(plan.lower), jnp.array(plan.upper), shape)
    distance = distance_to_cameras(
        np.asarray(positions), azimuth_deg=c.azimuth_deg, elevation_deg=c.elevation_deg, radius=c.radius
    )
    near, _ = near_far(c.radius)
    density = jnp.where(jnp.asarray(distance <= near), MASKED, values[..., 0])
    return values.at[..., 0].set(density)
