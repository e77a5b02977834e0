"""Whole images at any size, in chunks of rays that fit the memory.

Every chunk is counted first: the flat list of samples is then as long as the chunk needs (in a few sizes, so
that few programs are compiled), an empty chunk costs nothing, and no sample is ever left out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.render import sampling, volume
from voxjax.structs import Rays, Rendering

Array = jax.Array

_render_chunk = functools.partial(jax.jit, static_argnames=("query", "budget", "occupied"))(
    volume.render_rays
)


def _capacity(needed: int, dense: int) -> int:
    """Smallest of dense / 32, / 16, ... / 1 that holds `needed` samples."""
    capacity = dense
    while capacity // 2 >= max(needed, dense // 32):
        capacity //= 2
    return capacity


def _empty(n_rays: int) -> Any:
    nothing: Any = np.zeros(n_rays, np.float32)
    colour: Any = np.zeros((n_rays, 3), np.float32)
    return Rendering(colour, nothing + 1.0, nothing, overflow=jnp.int32(0))


def render_image(
    query: volume.Query,
    scene: Any,
    rays: Rays,
    *,
    near: float,
    far: float,
    step_size: float,
    interval: float,
    lower: Array,
    upper: Array,
    clip: sampling.Box | None = None,
    occupied: Callable[[Any, Array], Array] | None = None,
    chunk_rays: int = 8192,
) -> Rendering:
    """Renders any number of rays with bounded memory.

    Args:
      query: the field's `query`, the same function object in every call, or each call compiles again.
      scene: what `query` reads.
      rays: [...], such as [height, width].
      near: smallest distance of a sample, scene units.
      far: largest distance of a sample.
      step_size: distance between samples, scene units.
      interval: [], length that a sample stands for, in the unit of 1 / density.
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box.
      clip: a smaller box outside which the field is empty: saves time, changes nothing else.
      occupied: (scene, positions [..., 3]) -> [...] bool, False where the field is empty: saves time too.
      chunk_rays: rays at once, >= 1; memory grows in proportion.

    Returns:
      Rendering [...] of NumPy arrays.

    Raises:
      ValueError: `chunk_rays` is not positive.
    """
    if chunk_rays < 1:
        raise ValueError(f"chunk_rays must be at least 1, got {chunk_rays}")
    leading = rays.origins.shape[:-1]
    n_rays = int(np.prod(leading))
    chunk_rays = min(chunk_rays, n_rays)
    n_chunks = -(-n_rays // chunk_rays)
    # The last chunk is filled up with its last ray, so that all chunks have one shape.
    fill = ((0, n_chunks * chunk_rays - n_rays), (0, 0))
    chunks = jax.tree.map(
        lambda leaf: np.pad(np.asarray(leaf).reshape(-1, 3), fill, mode="edge").reshape(
            n_chunks, chunk_rays, 3
        ),
        rays,
    )
    geometry: dict[str, Any] = {
        "lower": lower,
        "upper": upper,
        "near": near,
        "far": far,
        "step_size": step_size,
        "clip": clip,
    }
    extent = float(np.linalg.norm(np.asarray(upper) - np.asarray(lower)))
    per_ray = sampling.round_up(int(np.ceil(min(far - near, extent) / step_size)) + 2)
    parts: list[Any] = []
    for i in range(n_chunks):
        chunk = jax.tree.map(lambda leaf, i=i: jnp.asarray(leaf[i]), chunks)
        needed = sampling.count_samples(scene, chunk, **geometry, per_ray=per_ray, occupied=occupied)[1]
        if int(needed) == 0:
            parts.append(_empty(chunk_rays))
            continue
        budget = sampling.SampleBudget(per_ray, _capacity(int(needed), per_ray * chunk_rays))
        rendering = _render_chunk(
            query, scene, chunk, **geometry, interval=interval, budget=budget, occupied=occupied
        )
        parts.append(jax.device_get(rendering))

    def join(name: str, *channels: int) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])[:n_rays].reshape(leading + channels)

    overflow: Any = np.int32(sum(int(part.overflow) for part in parts))
    return Rendering(join("colour", 3), join("transmittance"), join("depth"), overflow)
