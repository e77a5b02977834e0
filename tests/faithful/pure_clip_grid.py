"""Float64 oracle of the released voxel grids: activation, occupancy, interpolation, rescaling.

Density is [X, Y, Z], colour [X, Y, Z, 3], both raw. `ratio` is the current over the final voxel size.
"""

import math

import numpy as np
from faithful.pure_clip_scene import MASKED_RAW, grid_shape, vertices, voxel_ratio

ALPHA_INIT = 1e-6
THRESHOLD = 1e-7


def shift_constant(alpha_init=ALPHA_INIT):
    """log(1 / (1 - alpha_init) - 1), about -13.8155; a constant in the release."""
    return math.log(alpha_init / (1.0 - alpha_init))


def alpha_of(raw, interval, shift=None):
    """alpha = 1 - (1 + exp(raw + shift)) ** -interval.

    The interval is 0.5 * ratio for a sample on a ray, `ratio` for the sphere prior and the occupancy test,
    and 1 for the total variation of an implicit grid.
    """
    shift = shift_constant() if shift is None else shift
    return -np.expm1(-interval * np.logaddexp(0.0, np.asarray(raw, float) + shift))


def alpha_gradient(raw, interval, shift=None):
    """d alpha / d raw = interval * (1 + e) ** (-interval - 1) * e with e = exp(raw + shift), at most 1e10."""
    shift = shift_constant() if shift is None else shift
    u = np.asarray(raw, float) + shift
    return interval * np.exp(np.minimum(u, math.log(1e10)) - (interval + 1.0) * np.logaddexp(0.0, u))


def max_pool_3(values):
    """3 x 3 x 3 maximum of [X, Y, Z]; neighbours outside of the grid do not count."""
    out = np.empty_like(values)
    for i, j, k in np.ndindex(*values.shape):
        out[i, j, k] = values[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2, max(k - 1, 0) : k + 2].max()
    return out


def occupancy_test(raw, ratio, shift=None, threshold=THRESHOLD):
    """Vertices [X, Y, Z] that stay on: pooled alpha at interval = ratio (*no* 0.5) above the threshold."""
    return max_pool_3(alpha_of(raw, ratio, shift)) > threshold


def is_occupancy_step(step):
    """Whether the release tests in `step` (counted from 1): at 500, 1500, 2500 and so on."""
    return (step + 500) % 1000 == 0


def cull(mask, raw, ratio, shift=None):
    """The periodic test, for good; for an implicit grid `raw` is the network's at *all* vertices."""
    return mask & occupancy_test(raw, ratio, shift)


def mask_lookup(mask, points, box):
    """Value of the *nearest* vertex (halves away from zero) at points [..., 3]; False outside of the grid."""
    n = np.array(mask.shape)
    places = (np.asarray(points) - box[0]) * ((n - 1) / (box[1] - box[0]))
    index = (np.sign(places) * np.floor(np.abs(places) + 0.5)).astype(int)
    inside = np.all((index >= 0) & (index < n), -1)
    index = np.clip(index, 0, n - 1)
    return mask[index[..., 0], index[..., 1], index[..., 2]] & inside


def trilinear_corners(shape, points, box):
    """Flat indices [8, N] and weights [8, N] of the vertices around points [N, 3]; a weight is 0 outside."""
    n = np.array(shape[:3])
    place = (np.asarray(points, float).reshape(-1, 3) - box[0]) / (box[1] - box[0]) * (n - 1)
    base = np.floor(place).astype(int)
    share = place - base
    indices, weights = [], []
    for corner in np.ndindex(2, 2, 2):
        q = base + np.array(corner)
        inside = np.all((q >= 0) & (q < n), axis=1)
        weight = np.prod(np.where(np.array(corner) == 1, share, 1.0 - share), axis=1)
        q = np.clip(q, 0, n - 1)
        indices.append((q[:, 0] * n[1] + q[:, 1]) * n[2] + q[:, 2])
        weights.append(np.where(inside, weight, 0.0))
    return np.stack(indices), np.stack(weights)


def trilinear(grid, points, box):
    """Grid [X, Y, Z, ...] at points [N, 3]: align corners, zeros outside."""
    grid = np.asarray(grid, float)
    index, weight = trilinear_corners(grid.shape, points, box)
    flat = grid.reshape(-1, *grid.shape[3:])
    return sum(w.reshape(-1, *[1] * (grid.ndim - 3)) * flat[i] for i, w in zip(index, weight, strict=True))


def trilinear_backward(shape, points, box, gradient):
    """Gradient [X, Y, Z, ...] of the grid for a gradient [N, ...] of `trilinear`."""
    index, weight = trilinear_corners(shape, points, box)
    out = np.zeros((int(np.prod(shape[:3])), *gradient.shape[1:]))
    for i, w in zip(index, weight, strict=True):
        np.add.at(out, i, w.reshape(-1, *[1] * (gradient.ndim - 1)) * gradient)
    return out.reshape(*shape[:3], *gradient.shape[1:])


def upsample(grid, shape):
    """Trilinear, align corners: new vertex i of an axis lies at i * (old - 1) / (new - 1)."""
    grid = np.asarray(grid, float)
    old = grid.shape[:3]
    out = np.zeros(tuple(shape) + grid.shape[3:])
    for index in np.ndindex(*shape):
        place = [index[a] * (old[a] - 1) / (shape[a] - 1) if shape[a] > 1 else 0.0 for a in range(3)]
        base = [min(int(math.floor(place[a])), old[a] - 1) for a in range(3)]
        total = 0.0
        for corner in np.ndindex(2, 2, 2):
            weight, at = 1.0, []
            for a in range(3):
                share = place[a] - base[a]
                weight *= share if corner[a] else 1.0 - share
                at.append(min(base[a] + corner[a], old[a] - 1))
            if weight:
                total = total + weight * grid[tuple(at)]
        out[index] = total
    return out


def rescale_explicit(density, colour, mask, box, num_voxels, final_voxels, lower=1.0, shift=None, shape=None):
    """One rescaling of an explicit grid: (density, colour, mask, ratio), in the release's order.

    Upsample raw density and colour; test the *upsampled, not yet lowered* density at the *new* ratio; keep
    what the old mask has at its nearest vertex and the test leaves; then lower the raw density. The
    optimiser (moments, count and rate) starts afresh.
    """
    shape = grid_shape(box, num_voxels) if shape is None else shape
    ratio = voxel_ratio(box, num_voxels, final_voxels)
    density, colour = upsample(density, shape), upsample(colour, shape)
    kept = mask_lookup(mask, vertices(box, shape), box) & occupancy_test(density, ratio, shift)
    return density - lower, colour, kept, ratio


def rescale_implicit(density_at, mask, box, num_voxels, final_voxels, shift=None, shape=None):
    """One rescaling of an implicit grid: (positions, mask, ratio); nothing is lowered.

    `density_at` gives the raw density [n] at positions [n, 3]; the test asks it at *all* the new vertices.
    """
    shape = grid_shape(box, num_voxels) if shape is None else shape
    ratio = voxel_ratio(box, num_voxels, final_voxels)
    positions = vertices(box, shape)
    raw = density_at(positions.reshape(-1, 3)).reshape(shape)
    return positions, mask_lookup(mask, positions, box) & occupancy_test(raw, ratio, shift), ratio


def implicit_grids(density_raw, colour_raw, mask):
    """What an implicit grid *renders*: density -100 and raw colour 0 at vertices that are switched off.

    Sphere prior, total variation and occupancy test see the arrays as they are.
    """
    return np.where(mask, density_raw, MASKED_RAW), np.where(mask[..., None], colour_raw, 0.0)
