"""Rendering, losses, gradients and update: the peer in PyTorch and voxjax on the same scene and rays."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import torch

from benchmarks.guides import LARGEST, outlined
from benchmarks.peer import known, update
from benchmarks.peer.scene import orbit, pixel_rays
from benchmarks.peer.step import Peer, grids_of
from voxjax import cameras
from voxjax.config.loading import load
from voxjax.factory import make_plan, make_stage_field
from voxjax.rendering import render_rays
from voxjax.rendering.sampling import flatten
from voxjax.training import assembly, losses
from voxjax.training.optimiser import make_optimiser
from voxjax.training.room import choose_room

SIZES = {"demo": {}, "vox_exp:low": {"field.side": 40, "cameras.width_px": 40, "clip.model": "pocket"}}


def relative(a, b):
    """Norm of the difference over the norm of b."""
    a, b = (np.asarray(each, np.float64).ravel() for each in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def largest(a, b):
    """Largest absolute difference."""
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())


def make_scene(name):
    """(config, plan, state of voxjax with something solid in noise and a tenth switched off, the peer)."""
    config = load(name, [*LARGEST, *((key, str(value)) for key, value in SIZES[name].items())])
    known.check(config)
    plan = make_plan(config)
    state = assembly.first_state(config, plan, jax.random.key(0))
    rng, shape = np.random.default_rng(0), plan.stage_at(0).shape
    values = np.asarray(state.params["grid"]) + 2 * rng.standard_normal((*shape, 4))
    axes = np.meshgrid(*(np.linspace(-2, 2, n) for n in shape), indexing="ij")
    values[..., 0] += np.where(np.linalg.norm(np.stack(axes), axis=0) < 1, 12.0, 0.0)
    params = {**state.params, "grid": jnp.asarray(values, jnp.float32)}
    tracked = {"occupancy": jnp.asarray(rng.random(shape) < 0.9)}
    state = dataclasses.replace(state, params=params, tracked=tracked)
    peer = Peer(config, plan, plan.stage_at(0), state, n_steps=1, device="cpu", dtype=torch.float32)
    return config, plan, state, peer


def _ours(config, plan, state, angles, mix):
    """((loss, (rendering, terms of the loss)), gradient), and the rays."""
    stage, c = plan.stage_at(0), config.cameras
    near, far = cameras.near_far(c.radius)
    focal = cameras.focal_px(c.width_px, multiplier=c.focal_multiplier)
    poses = cameras.orbit_pose(*angles, c.radius)
    rays = flatten(cameras.camera_rays(poses, width_px=c.width_px, height_px=c.width_px, focal=focal))
    query = make_stage_field(config, plan, stage, training=True).query
    room = choose_room(config, plan, stage, {"occupancy": jnp.ones(stage.shape, bool)})
    every_slot = room.samples.per_ray * len(rays.origins)
    budget = dataclasses.replace(room.samples, capacity=every_slot)
    parts = assembly.make_parts(config, plan, stage, room, outlined(config, "float32")[0], (0,))

    def loss(params):
        scene = parts.bake(params, state.tracked)
        out = render_rays(
            query,
            scene,
            rays,
            near=near,
            far=far,
            step_size=stage.step_size,
            interval=stage.interval,
            lower=scene.lower,
            upper=scene.upper,
            budget=budget,
        )
        terms, _ = parts.regularise(scene)
        terms["entropy"] = losses.background_entropy(out.transmittance)
        terms["transmittance"] = losses.transmittance_loss(out.transmittance, parts.tau(0))
        both = jnp.concatenate([out.colour, out.transmittance[:, None]], -1)
        return jnp.mean(both * mix) + sum(terms.values()), (out, terms)

    return *jax.jit(jax.value_and_grad(loss, has_aux=True))(state.params), rays


def compare_scene(name):
    """Figures of one config, and its peer; see `peer.compare`."""
    config, plan, state, peer = make_scene(name)
    c = config.cameras
    angles = np.array([[20.0, 200.0], [c.elevation_deg[0]] * 2], np.float32)
    mix = np.random.default_rng(1).standard_normal((2 * c.width_px**2, 4)).astype(np.float32)
    (_, (out, terms)), gradient, rays = _ours(config, plan, state, angles, mix)
    assert int(out.overflow) == 0
    poses = orbit(*torch.tensor(angles), c.radius)
    colour, light = peer.render(poses)
    their_terms = peer.terms(light)
    both = torch.cat([colour, light], 1).permute(0, 2, 3, 1).reshape(-1, 4)
    ((both * torch.tensor(mix)).mean() + sum(their_terms.values())).backward()
    theirs = pixel_rays(poses, c.width_px, cameras.focal_px(c.width_px, multiplier=c.focal_multiplier))
    figures = {
        "rays": max(largest(a, b) for a, b in zip(theirs, (rays.origins, rays.directions), strict=True)),
        "colour": largest(both[:, :3].detach(), out.colour),
        "transmittance": largest(both[:, 3].detach(), out.transmittance),
        "opaque_share": float(np.mean(np.asarray(out.transmittance) < 0.1)),
        "gradient_density": relative(peer.grids.density.grad[0, 0], gradient["grid"][..., 0]),
        "gradient_colour": relative(peer.grids.colour.grad[0].permute(1, 2, 3, 0), gradient["grid"][..., 1:]),
    }
    figures |= {f"loss_{each}": largest(their_terms[each].detach(), terms[each]) for each in terms}
    peer.grids.zero_grad()
    return figures | _updated(config, plan, state, gradient), peer, config


def _updated(config, plan, state, gradient):
    """Total variation added to a gradient, and Adam's step with it; both sides begin with ours."""
    weight = 1e-4
    tv = jax.grad(lambda x: weight * losses.tv_explicit(x))(state.params["grid"])
    with_tv = losses.add_where_touched(gradient["grid"], tv)
    options = assembly.make_optimiser_options(config)
    optimiser = make_optimiser(options)
    updates, _ = optimiser.update({**gradient, "grid": with_tv}, optimiser.init(state.params), state.params)
    grids = grids_of(config, plan, state)
    packed = torch.tensor(np.array(gradient["grid"])).permute(3, 0, 1, 2)[None]
    grids.density.grad, grids.colour.grad = packed[:, :1].clone(), packed[:, 1:].clone()
    if grids.shift.requires_grad:
        grids.shift.grad = torch.tensor(float(gradient["density_shift"]))
    update.add_total_variation(grids, weight)
    got = torch.cat([grids.density.grad, grids.colour.grad], 1)[0].permute(1, 2, 3, 0)
    figures = {"total_variation": relative(got, with_tv)}
    update.MaskedAdam(grids, options).step()
    values = torch.cat([grids.density, grids.colour], 1)[0].permute(1, 2, 3, 0).detach()
    moved = np.asarray(values) - np.asarray(state.params["grid"])
    return figures | {"update": relative(moved, updates["grid"])}
