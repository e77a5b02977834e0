"""The data that the rooms hand each other: frozen, typed, every axis named.

Notation. `...` stands for any leading axes. World frame: z up, the scene around the origin, lengths in
scene units (the training cameras stand at distance 4). Images are `[height, width, ...]`, row 0 at the top,
colours linear in [0, 1]. All arrays are float32 unless a line says otherwise.
"""

from __future__ import annotations

from typing import Any

import jax
from flax import struct

Array = jax.Array


@struct.dataclass
class Rays:
    """Straight rays.

    Attributes:
      origins: [..., 3], world frame, scene units.
      directions: [..., 3], world frame, unit length.
      radii: [...], radius of the cone around the ray at distance 1, scene units; None for a line.
    """

    origins: Array
    directions: Array
    radii: Array | None = None


@struct.dataclass
class Samples:
    """Points at which a field is asked for density and colour.

    Attributes:
      positions: [..., 3], world frame, scene units.
      interval: [...] or [], length of ray that a sample stands for, in the unit of 1 / density, so that
        alpha = 1 - exp(-density * interval).
      direction: [..., 3], unit vector of the ray; None where a sample is a point.
      variance_along: [...], of the stretch of cone that the sample stands for, along the ray, squared scene
        units; None for a point.
      variance_across: [...], the same across the ray: the covariance of the sample is variance_along * d d^T
        + variance_across * (I - d d^T).
    """

    positions: Array
    interval: Array
    direction: Array | None = None
    variance_along: Array | None = None
    variance_across: Array | None = None


@struct.dataclass
class VoxelGrid:
    """A baked voxel field: raw values on vertices; the outermost vertices lie exactly on the box faces.

    Attributes:
      values: [x, y, z, 4], raw density (before shift and softplus) and raw red, green, blue (before sigmoid).
      density_shift: [], added to the interpolated raw density before the softplus.
      occupancy: [x, y, z] bool, False where a vertex was switched off; a sample whose nearest vertex is off
        has zero density.
      lower: [3], smallest corner of the box, world frame.
      upper: [3], largest corner of the box, world frame.
      raw: [x, y, z, 4], the values before switched-off vertices were emptied, which the terms of the loss
        about the scene itself see; None where `values` are those.
      evaluated: [x, y, z] bool, False where the field computed no value and the vertex counts as empty; None
        where every vertex has one.
      overflow: [] int32, vertices that had to be left out for want of room; None where that cannot be.
    """

    values: Array
    density_shift: Array
    occupancy: Array
    lower: Array
    upper: Array
    raw: Array | None = None
    evaluated: Array | None = None
    overflow: Array | None = None


@struct.dataclass
class Rendering:
    """What compositing along rays returns.

    Attributes:
      colour: [..., 3], sum of weight * colour; premultiplied, no background added.
      transmittance: [...], share of the background that shines through, in [0, 1].
      depth: [...], sum of weight * distance from the ray origin; divide by 1 - transmittance for the mean.
      overflow: [] int32, samples that did not fit the fixed capacity and were left out (0 when all is well).
      centroid: [3], mean position of all samples, weighted with density, world frame, without gradient; NaN
        where all is empty. None where it was not asked for.
      mass: [], sum of the densities that `centroid` is the mean over; None likewise.
    """

    colour: Array
    transmittance: Array
    depth: Array
    overflow: Array
    centroid: Array | None = None
    mass: Array | None = None


@struct.dataclass
class TrainState:
    """Everything that a resumed run needs.

    Attributes:
      step: [] int32, optimisation steps finished.
      params: parameters of the field (`{"params": ...}` of the linen module without the outer key).
      tracked: what the field keeps besides its parameters, the collection "tracked" of the linen module:
        {"occupancy": [x, y, z] bool} of voxel fields, {"origin": [3], ...} of Dream Fields.
      opt_state: optax state for `params`.
      skipped: [] int32, steps skipped so far because the loss or a gradient was not finite.
      skipped_in_row: [] int32, how many of the latest steps were skipped without a good one between.
    """

    step: Array
    params: Any
    tracked: Any
    opt_state: Any
    skipped: Array
    skipped_in_row: Array
