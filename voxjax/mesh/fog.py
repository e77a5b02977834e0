"""The outline of fog: where a field that is nowhere dense is still opaque to look at.

No level of density has the silhouettes of a fog, whose opacity is the sum over a long way. A point belongs to
the outline when every line through it is opaque enough, whatever the direction: that is a visual hull of the
field, with opacities in the place of masks.

Notation. The extinction E of a line is the sum of density * length over it, in the unit of 1 / density; the
line is 1 - exp(-E) opaque, one half at E = ln 2.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from voxjax.fields.grid import resize
from voxjax.mesh.lattice import Lattice

N_DIRECTIONS = 32
# Vertices along an edge beyond which half as many will do.
_FINE = 130
# Opacity of a voxel that adds nothing worth counting; of one that may lie inside; and the bounds of the
# logarithm, so that a sharp edge, where it leaps, is not moved.
_NOTHING, _CLIP = 1e-3, 1.0
FAINTEST = 2e-3


def directions(n: int) -> np.ndarray:
    """`n` unit vectors evenly over the upper half of the sphere (a golden spiral), [n, 3]."""
    k = np.arange(n) + 0.5
    height, turn = k / n, np.pi * (1.0 + 5.0**0.5) * k
    flat = np.sqrt(1.0 - height**2)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=-1)


def thinnest(lattice: Lattice, *, n_directions: int = N_DIRECTIONS) -> np.ndarray:
    """How opaque the most transparent line through each vertex is.

    Args:
      lattice: the sampled field.
      n_directions: of the lines.

    Returns:
      [x, y, z] float32, log(E / ln 2) of that line, within -1 and 1: above 0 where every line is more than
      half opaque; -1 where there is nothing.
    """
    raw = lattice.raw
    if max(raw.shape) > _FINE:
        raw = np.asarray(resize(jnp.asarray(raw), tuple((n + 1) // 2 for n in raw.shape)))
    spacing = lattice.spacing * (np.array(lattice.raw.shape) - 1) / (np.array(raw.shape) - 1)
    # Densest first, so that those that may lie inside are the first ones.
    seen = np.flatnonzero(raw > lattice.level(_NOTHING))
    seen = seen[np.argsort(-raw.reshape(-1)[seen])]
    found = np.full(raw.size, -_CLIP, np.float32)
    if len(seen):
        # What a cell of the lattice adds to the lines of a bundle, times the area of the bundle.
        density = np.logaddexp(0.0, raw.reshape(-1)[seen], dtype=np.float32)
        amounts = density * np.float32(lattice.interval / lattice.voxel * spacing.prod())
        places = (np.stack(np.unravel_index(seen, raw.shape), axis=-1) * spacing).astype(np.float32)
        n_inside = int(np.count_nonzero(raw.reshape(-1)[seen] > lattice.level(FAINTEST)))
        least = np.full(n_inside, np.inf, np.float32)
        for direction in directions(n_directions):
            sums = _line_sums(places, amounts, direction, float(spacing.max()), n_inside)
            least = np.minimum(least, sums)
        logs = np.log(np.maximum(least, 1e-12) / np.log(2.0))
        found[seen[:n_inside]] = np.clip(logs, -_CLIP, _CLIP)
    thin = found.reshape(raw.shape)
    return (
        thin if thin.shape == lattice.raw.shape else np.asarray(resize(jnp.asarray(thin), lattice.raw.shape))
    )


def _line_sums(
    places: np.ndarray, amounts: np.ndarray, direction: np.ndarray, width: float, first: int
) -> np.ndarray:
    """The sum of `amounts` [n] along the lines through the first of `places` [n, 3], per area across.

    The amounts are laid out on a plane across `direction` in bins of `width`, each on its four nearest, and
    read from there the same way.
    """
    aside = np.eye(3)[np.argmin(np.abs(direction))]
    right = np.cross(aside, direction)
    right /= np.linalg.norm(right)
    across = np.stack([right, np.cross(direction, right)], axis=-1) / width
    flat = places @ across.astype(np.float32)
    flat -= flat.min(axis=0)
    n_rows, n_columns = np.ceil(flat.max(axis=0)).astype(int) + 2
    base = flat.astype(np.int32)
    u, v = (flat - base).T
    index = base[:, 0] * n_columns + base[:, 1]
    corners = [
        (index, (1.0 - u) * (1.0 - v)),
        (index + 1, (1.0 - u) * v),
        (index + n_columns, u * (1.0 - v)),
        (index + n_columns + 1, u * v),
    ]
    plane = np.zeros(n_rows * n_columns)
    for at, share in corners:
        plane += np.bincount(at, weights=share * amounts, minlength=len(plane))
    plane = (plane / width**2).astype(np.float32)
    return sum(share[:first] * plane[at[:first]] for at, share in corners)
