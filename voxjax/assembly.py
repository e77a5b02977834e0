"""From config to the parts of a training step; the other half of `factory`, which needs no guidance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax import cameras, losses, schedules
from voxjax.augment import pipeline
from voxjax.augment.diffaugment import DiffAugRanges
from voxjax.factory import make_stage_field
from voxjax.fields import grid
from voxjax.guidance import load_guidance
from voxjax.optimiser import OptimiserOptions, make_optimiser
from voxjax.progressive import Plan, Stage
from voxjax.render import SampleBudget, budget_for, render_rays
from voxjax.schedules import Schedule, steps_from_fraction
from voxjax.step import Guide, Inputs, Parts
from voxjax.structs import Array, Rays, Rendering, TrainState, VoxelGrid

MODELS = ("clip", "second_clip")
"""Names of the guidance models' terms in the loss, in order."""


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
        decay_steps=steps_from_fraction(o.tenfold_decay, config.steps),
    )


def make_weights(config: ConfigDict) -> dict[str, Schedule]:
    """Returns the weight of each term over the steps, windows included."""
    w, total = config.loss, config.steps

    def during(weight: float, span: tuple[float, float]) -> Schedule:
        gate = schedules.window(steps_from_fraction(span[0], total), steps_from_fraction(span[1], total))
        return lambda step: weight * gate(step)

    weights = {
        "clip": schedules.constant(w.clip),
        "transmittance": schedules.constant(w.transmittance),
        "kl": during(w.kl, w.kl_window),
        "entropy": schedules.constant(w.entropy),
        "tv": during(w.tv, w.tv_window),
    }
    if config.clip.second_model:
        weights["second_clip"] = during(w.second_clip, (config.clip.second_start, 2.0**20))
    return weights


def load_guides(config: ConfigDict, key: Array) -> tuple[tuple[Guide, ...], Inputs]:
    """Loads the guidance models and encodes the texts.

    Args:
      config: the config.
      key: base key of the run.

    Raises:
      UserError: unknown model, or a prompt outside its vocabulary.
    """
    c = config.clip
    dtype = None if c.dtype == "auto" else c.dtype
    guides, params, texts, negatives = [], [], [], []
    for term, name, path in zip(MODELS, (c.model, c.second_model), (c.path, c.second_path), strict=True):
        if not name:
            continue
        guidance, embedded = load_guidance(
            name, prompts=(config.prompt, *c.negatives), dtype=dtype, path=path or None
        )
        scale = c.scale if c.objective == "contrastive" else None
        guides.append(Guide(term, guidance.encode, guidance.image_size, scale))
        params.append(guidance.params)
        texts.append(embedded[0])
        negatives.append(embedded[1:])
    return tuple(guides), Inputs(key, tuple(params), tuple(texts), tuple(negatives))


def make_parts(
    config: ConfigDict,
    plan: Plan,
    stage: Stage,
    budget: SampleBudget,
    guides: tuple[Guide, ...],
    *,
    all_on: bool,
) -> Parts:
    """Returns the parts of the step on one grid.

    Args:
      config: the config.
      plan: schedule of the grid.
      stage: the grid.
      budget: room for samples, from `choose_budget`.
      guides: from `load_guides`.
      all_on: whether no vertex is switched off; the renderer then need not ask.
    """
    field = make_stage_field(config, plan, stage)
    weights, options = make_weights(config), make_optimiser_options(config)
    augmentation = make_augmentation(config)
    loss = config.loss
    return Parts(
        bake=lambda params, occupancy: field.apply({"params": params}, occupancy, method="bake"),
        render=_make_render(config, field, stage, budget, all_on=all_on),
        augment=lambda key, colour, transmittance: pipeline.augment_views(
            key, colour, transmittance, options=augmentation
        ),
        resize=pipeline.resize_to,
        guides=guides,
        weights=weights,
        tau=schedules.transmittance_target(
            opacity_start=loss.opacity_start,
            opacity_end=loss.opacity_end,
            n_steps=steps_from_fraction(loss.opacity_anneal, config.steps),
        ),
        inside=lambda: grid.inside_sphere(
            jnp.array(plan.lower), jnp.array(plan.upper), stage.shape, radius=loss.kl_radius
        ),
        kl_interval=stage.ratio,
        tv_scale=losses.tv_explicit_scale(
            stage.shape, config.cameras.views_per_step * config.cameras.width_px**2
        ),
        optimiser=make_optimiser(options),
        rate=lambda count: options.rate_density * options.decay()(count),
        max_bad_steps=config.optimiser.max_bad_steps,
    )


def _make_render(
    config: ConfigDict, field: Any, stage: Stage, budget: SampleBudget, *, all_on: bool
) -> Callable[[Array, VoxelGrid], Rendering]:
    c = config.cameras
    near, far = cameras.near_far(c.radius)
    focal = cameras.focal_px(c.width_px, multiplier=c.focal_multiplier)

    def render(key: Array, scene: VoxelGrid) -> Rendering:
        camera_to_world, _, _ = cameras.sample_poses(
            key, c.views_per_step, azimuth_deg=c.azimuth_deg, elevation_deg=c.elevation_deg, radius=c.radius
        )
        rays = cameras.camera_rays(camera_to_world, width_px=c.width_px, height_px=c.width_px, focal=focal)
        return render_rays(
            field.query,
            scene,
            rays,
            near=near,
            far=far,
            step_size=stage.step_size,
            interval=stage.interval,
            lower=scene.lower,
            upper=scene.upper,
            budget=budget,
            clip=None if all_on else field.occupied_box(scene),
            occupied=None if all_on else field.occupied,
        )

    return render


def choose_budget(config: ConfigDict, plan: Plan, stage: Stage, occupancy: Array) -> SampleBudget:
    """Returns room for the samples of a step: a function of the arguments alone, so a resumed run agrees.

    The whole box's need is halved as often as the occupied part allows: every other number would be a new
    program to compile for little gain.
    """
    c = config.cameras
    near, far = cameras.near_far(c.radius)
    (first, last), (lowest, highest) = c.azimuth_deg, c.elevation_deg
    elevations = np.unique(np.linspace(lowest, highest, 3))
    # Seven: a number that does not repeat itself in a box of four sides.
    azimuths = np.linspace(first, last, 7, endpoint=False)
    azimuth, elevation = (a.ravel() for a in np.meshgrid(azimuths, elevations))
    focal = cameras.focal_px(c.width_px, multiplier=c.focal_multiplier)

    @jax.jit  # one small program instead of dozens of tiny ones
    def rays_of(azimuth: Array, elevation: Array) -> Rays:
        poses = cameras.orbit_pose(azimuth, elevation, c.radius)
        return cameras.camera_rays(poses, width_px=c.width_px, height_px=c.width_px, focal=focal)

    rays = rays_of(azimuth, elevation)
    field = make_stage_field(config, plan, stage)
    params = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(lambda: field.init(jax.random.key(0), occupancy, method="bake"))["params"],
    )
    scene = field.apply({"params": params}, occupancy, method="bake")
    geometry = {
        "lower": scene.lower,
        "upper": scene.upper,
        "near": near,
        "far": far,
        "step_size": stage.step_size,
        "views_per_step": c.views_per_step,
    }
    whole = budget_for(scene, rays, **geometry)
    if bool(jnp.all(occupancy)):
        return whole
    part = budget_for(scene, rays, **geometry, clip=field.occupied_box(scene), occupied=field.occupied)
    return SampleBudget(_halve(whole.per_ray, part.per_ray), _halve(whole.capacity, part.capacity))


def _halve(whole: int, need: int) -> int:
    while whole // 2 >= max(need, 8):
        whole //= 2
    return whole


def make_augmentation(config: ConfigDict) -> pipeline.AugmentOptions:
    """Returns the options of the augmentation pipeline."""
    options = config.augment.to_dict()
    batch_resize, zoom = options.pop("batch_resize"), options.pop("zoom")
    names = [each.name for each in dataclasses.fields(DiffAugRanges) if each.name != "zoom"]
    ranges = DiffAugRanges(**{name: options.pop(name) for name in names}, zoom=zoom if batch_resize else None)
    return pipeline.AugmentOptions(ranges=ranges, **options)


def first_state(config: ConfigDict, plan: Plan, key: Array) -> TrainState:
    """Returns the state before the first step."""
    stage = plan.stage_at(0)
    field = make_stage_field(config, plan, stage)
    occupancy = jnp.ones(stage.shape, bool)
    params = field.init(key, occupancy, method="bake")["params"]
    opt_state = make_optimiser(make_optimiser_options(config)).init(params)
    step, skipped, skipped_in_row = (jnp.zeros((), jnp.int32) for _ in range(3))
    return TrainState(step, params, opt_state, occupancy, skipped, skipped_in_row)
