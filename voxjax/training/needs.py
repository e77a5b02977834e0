"""How much memory the training of a config needs at its peak, reckoned and not tried.

A formula of the step's sizes whose coefficients were fitted to XLA's memory analysis of compiled steps (CPU,
float32, all three fields from 32 to 252 px); `python -m benchmarks.memory_step` prints both for any config.
What a CLIP keeps for its backward pass is counted from its shapes (`guidance.memory.bytes_per_image`).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import jax
from ml_collections import ConfigDict

from voxjax.factory import make_plan, make_stage_field
from voxjax.fields import is_explicit
from voxjax.guidance import Guidance
from voxjax.guidance.ensemble import GuideSpec, active_at, changes, guide_specs
from voxjax.guidance.memory import bytes_per_image, fitting_batch
from voxjax.guidance.outline import outline
from voxjax.progressive import Plan, Stage
from voxjax.training.sizes import SLOT_BYTES, StepSizes, ray_parts, step_sizes

# Bytes, of the fits.
_SLOT_BACK = 10  # a place for a sample within the backward pass; kept for it: SLOT_BYTES
_RAY, _SUM = 44, 12  # where rays are rendered in parts: kept of a ray, and sums of gradients, a vertex
_PRIORS = 94  # a vertex when the rays are done with and the gradients of all terms are added up
_PIXEL = 51  # of an augmented image
_VERTEX = {True: (0, 48), False: (11, 26)}  # explicit grid or not: kept, and within the backward pass
_CONE_KEPT, _CONE_FREED = 92, 36  # a sample of a field without a grid: kept, and free when its turn comes
_NUMBER = 4  # float32
_CLIP_SHARE = 0.73  # of what a CLIP's derivative stores, the rest is fused away
_REMAT_ON_CPU = 0.82  # of that, with clip.remat
_CLIP_ALONE = 1.3  # times all of that where rays come in parts, and keep nothing that a CLIP could reuse
_LAYERS = 12  # of a CLIP, one of which is there whole with clip.remat


@dataclasses.dataclass(frozen=True)
class Needs:
    """Bytes on one device when a step is at its peak.

    Attributes:
      state: parameters and the optimiser's moments, and those of the first step, which are kept.
      weights: of the CLIPs.
      rays: samples and images, kept for the backward pass.
      back: what the backward pass of field and renderer needs on top.
      clips: activations of the CLIPs; gone when `back` is needed.
      micro_batch: images that each CLIP sees at a time, of each object.
    """

    state: int
    weights: int
    rays: int
    back: int
    clips: int
    micro_batch: tuple[int, ...]

    @property
    def temporary(self) -> int:
        """What the step needs besides its arguments."""
        return self.rays + max(self.back, self.clips)

    @property
    def total(self) -> int:
        """All of it."""
        return self.state + self.weights + self.temporary

    def times(self, together: int) -> Needs:
        """The needs of so many objects that are trained as one; they share the CLIPs' weights."""
        return dataclasses.replace(
            self,
            state=together * self.state,
            rays=together * self.rays,
            back=together * self.back,
            clips=together * self.clips,
        )


def needs_of(config: ConfigDict, *, dtype: str, free: int | None = None, on_cpu: bool = False) -> Needs:
    """Returns the needs of the largest step of a run.

    Args:
      config: the config.
      dtype: type that the CLIPs compute in.
      free: bytes of memory by which micro-batches are chosen where the config leaves that open; None for no
        limit.
      on_cpu: whether a CPU's compiler makes the program: it undoes most of `clip.remat`.

    Raises:
      UserError: a CLIP of no such name, or steps that none guides.
    """
    plan, specs = make_plan(config), guide_specs(config)
    steps = sorted({*changes(specs, config.steps), *(b for b in plan.boundaries if b < config.steps)})
    clips = _Clips(config, dtype, free, on_cpu)
    found = [_needs_at(config, plan, plan.stage_at(step), _active(specs, step), clips) for step in steps]
    return max(found, key=lambda needs: needs.total)


def _needs_at(
    config: ConfigDict, plan: Plan, stage: Stage, active: tuple[GuideSpec, ...], clips: _Clips
) -> Needs:
    field = make_stage_field(config, plan, stage, training=True)
    sizes = step_sizes(config, plan, stage)
    variables = jax.eval_shape(functools.partial(field.init, method="bake"), jax.random.key(0))
    state = 3 * tree_bytes(variables["params"]) + tree_bytes(variables["tracked"])
    found = [clips.needs(spec, sizes.images) for spec in active]
    weights, activations, batches = zip(*found, strict=True)
    parts = ray_parts(sizes.slots, wanted=config.cameras.ray_parts, free=clips.free) if sizes.vertices else 1
    rays, back = _field_bytes(config, sizes, parts, explicit=is_explicit(field))
    of_clips = int(sum(activations) * (_CLIP_ALONE if parts > 1 else 1.0))
    return Needs(2 * state, sum(weights), rays, back, of_clips, batches)


def _active(specs: tuple[GuideSpec, ...], step: int) -> tuple[GuideSpec, ...]:
    return tuple(specs[i] for i in active_at(specs, step))


@dataclasses.dataclass(frozen=True)
class _Clips:
    """How the CLIPs of a config are run."""

    config: ConfigDict
    dtype: str
    free: int | None
    on_cpu: bool

    def needs(self, spec: GuideSpec, images: int) -> tuple[int, int, int]:
        """(bytes of weights, bytes of activations, images at a time) of one model."""
        c = self.config.clip
        guidance = _outline(spec.model, spec.path, self.dtype, c.remat)
        if guidance is None:  # known once it was fetched
            return 0, 0, images
        plain = _kept(spec.model, spec.path, self.dtype, False)
        kept = _kept(spec.model, spec.path, self.dtype, True) if c.remat else plain
        each = _CLIP_SHARE * plain
        if c.remat:
            each *= _REMAT_ON_CPU if self.on_cpu else min(1.0, kept / plain + 1 / _LAYERS)
        free = None if self.free is None else self.free // len(guide_specs(self.config))
        batch = fitting_batch(images, wanted=c.micro_batch, free=free, each=kept)
        return tree_bytes(guidance.params), int(batch * each), batch


def _field_bytes(config: ConfigDict, sizes: StepSizes, parts: int, *, explicit: bool) -> tuple[int, int]:
    """(kept by field, renderer and augmentation, on top within their backward pass)."""
    images = _PIXEL * sizes.images * sizes.pixels
    if not sizes.vertices:
        f = config.dream_fields
        numbers = f.n_blocks * 2 * (f.hidden + f.width) + 16 * f.n_features
        chunk = _NUMBER * numbers * min(f.chunk, sizes.slots)
        return _CONE_KEPT * sizes.slots + images, max(chunk - _CONE_FREED * sizes.slots, 0)
    kept, back = _VERTEX[explicit]
    rays, step = SLOT_BYTES * sizes.slots + kept * sizes.vertices + images, _SLOT_BACK * sizes.slots
    if parts > 1:  # nothing but rays is kept; the samples of one part come in the backward pass, images gone
        rays = _RAY * sizes.rays + kept * sizes.vertices + images
        step = (SLOT_BYTES + _SLOT_BACK) * sizes.slots // parts + _SUM * sizes.vertices - images
        step = max(step, (_PRIORS - back) * sizes.vertices)
    step += back * sizes.vertices
    if not explicit:
        m = config.vox_imp
        layers = _NUMBER * m.width * m.n_layers * min(m.slab, sizes.vertices)
        # In slabs the networks' turn comes when the rays are done with; a single slab is no loop.
        step = max(step, 4 * layers if sizes.vertices <= m.slab else 3 * layers - rays)
    return rays, step


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays of a tree, or of those that its shapes stand for."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


@functools.cache
def _outline(model: str, path: str, dtype: str, remat: bool) -> Guidance | None:
    return outline(model, dtype, path=path or None, remat=remat)


@functools.cache
def _kept(model: str, path: str, dtype: str, remat: bool) -> int:
    """Bytes that a CLIP keeps for each image."""
    guidance = _outline(model, path, dtype, remat)
    return 0 if guidance is None else bytes_per_image(guidance)
