"""The peer's step: the same work as `voxjax.training.step` for Vox_Exp, eager and by autograd.

What only voxjax does it leaves away, to its advantage: the figures for the log, and the test that loss,
gradients and parameters are finite.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import torch
from ml_collections import ConfigDict

from benchmarks.peer import update
from benchmarks.peer.augment import augment
from benchmarks.peer.clip import Clip
from benchmarks.peer.render import render
from benchmarks.peer.scene import Grids, near_far, orbit, pixel_rays
from voxjax import schedules
from voxjax.cameras import focal_px
from voxjax.factory import step_of
from voxjax.fields.activation import density_shift_from_alpha
from voxjax.guidance.ensemble import guide_specs
from voxjax.progressive import Plan, Stage
from voxjax.structs import TrainState
from voxjax.training import assembly, losses

Tensor = torch.Tensor


def grids_of(config: ConfigDict, plan: Plan, state: TrainState) -> Grids:
    """The peer's scene from a state of voxjax, whose arrays are copied."""
    shift = state.params.get("density_shift", density_shift_from_alpha(config.field.alpha_init))
    return Grids(
        np.array(state.params["grid"]),
        float(shift),
        learn_shift=config.field.learn_shift,
        occupancy=np.array(state.tracked["occupancy"]),
        lower=plan.lower,
        upper=plan.upper,
    )


class Peer:
    """A run in PyTorch that `step` moves on.

    Args:
      config: one that `known.check` lets pass.
      plan: of voxjax.
      stage: the grid.
      state: of voxjax, from which the run starts.
      n_steps: most steps that will be taken.
      device: where it computes.
      dtype: type that the CLIPs compute in.

    Attributes:
      n_samples: in the box at the last step, of all rays.
    """

    def __init__(
        self,
        config: ConfigDict,
        plan: Plan,
        stage: Stage,
        state: TrainState,
        *,
        n_steps: int,
        device: torch.device | str,
        dtype: torch.dtype,
    ):
        self._config, self._stage, self._device = config, stage, device
        self.n_samples = 0
        specs = guide_specs(config)
        self.clips = {spec.term: Clip(spec, device, dtype) for spec in specs}
        self.grids = grids_of(config, plan, state).to(device)
        self._inside = self.grids.inside_sphere(config.loss.kl_radius)
        self._optimiser = update.MaskedAdam(self.grids, assembly.make_optimiser_options(config))
        self._rng = np.random.default_rng(config.seed)
        # Beforehand, so that a step is PyTorch alone.
        loss, numbers = config.loss, jnp.arange(n_steps)
        tau = schedules.transmittance_target(
            opacity_start=loss.opacity_start,
            opacity_end=loss.opacity_end,
            n_steps=step_of(config, loss.opacity_anneal),
            opacity_scale=loss.opacity_scale,
        )
        by_name = {"tau": tau, **assembly.make_weights(config, specs, on_grid=True)}
        self._tables = {
            name: np.broadcast_to(np.asarray(schedule(numbers)), n_steps).tolist()
            for name, schedule in by_name.items()
        }
        c = config.cameras
        self._tv_scale = losses.tv_explicit_scale(stage.shape, c.views_per_step * c.width_px**2)
        self._done = 0

    def _at(self, name: str) -> float:
        return self._tables[name][self._done]

    def draw_poses(self) -> Tensor:
        """Cameras of one step, camera to world [v, 3, 4]."""
        c = self._config.cameras
        angles = [
            torch.tensor(self._rng.uniform(*span, c.views_per_step), dtype=torch.float32, device=self._device)
            for span in (c.azimuth_deg, c.elevation_deg)
        ]
        return orbit(*angles, c.radius)

    def render(self, poses: Tensor) -> tuple[Tensor, Tensor]:
        """(colour [v, 3, width, width], transmittance [v, 1, width, width]) as seen from poses [v, 3, 4]."""
        c, stage = self._config.cameras, self._stage
        near, far = near_far(c.radius)
        rays = pixel_rays(poses, c.width_px, focal_px(c.width_px, multiplier=c.focal_multiplier))
        colour, light, self.n_samples = render(
            self.grids, *rays, near=near, far=far, step_size=stage.step_size, interval=stage.interval
        )
        shape = (len(poses), c.width_px, c.width_px)
        return colour.reshape(*shape, 3).permute(0, 3, 1, 2), light.reshape(*shape)[:, None]

    def terms(self, light: Tensor) -> dict[str, Tensor]:
        """The terms of the loss besides the CLIPs', unweighted, [] each; the prior only while it acts."""
        terms = {
            "transmittance": update.transmittance_loss(light, self._at("tau")),
            "entropy": update.entropy(light),
        }
        if self._at("kl"):
            alpha = self.grids.vertex_alpha(self._stage.ratio)
            terms["kl"] = update.sphere_prior(alpha, self._inside)
        return terms

    def step(self) -> float:
        """Takes one step.

        Returns:
          The loss without total variation.
        """
        colour, light = self.render(self.draw_poses())
        images = augment(colour, light, self._config.augment, self._rng)
        terms = {name: clip.loss(images) for name, clip in self.clips.items()} | self.terms(light)
        weighted = [self._at(name) * term for name, term in terms.items() if self._at(name)]
        loss = torch.stack(weighted).sum()
        loss.backward()
        if self._at("tv"):
            update.add_total_variation(self.grids, self._at("tv") * self._tv_scale)
        self._optimiser.step()
        self._done += 1
        return loss.item()
