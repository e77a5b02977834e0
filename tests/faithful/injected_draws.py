"""The draws of our pipeline, drawn again from the same keys and put into the oracles' words.

The numbers come from `jax.random` with the splits that step and pipeline make; what they mean (ranges, whole
pixels, corners) is computed here in float64.
"""

import jax
import numpy as np
import scipy.special
from faithful.pure_clip_backgrounds import blur, checkerboard, smooth_noise

from voxjax.augment import background


def uniform(key, shape, **bounds):
    """Numbers of `jax.random.uniform` in float64."""
    return np.asarray(jax.random.uniform(key, (int(np.prod(shape)),), **bounds), np.float64).reshape(shape)


def diff_draws(key, n_diff, side, *, zoom=(0.8, 1.2)):
    """(`n_diff` dicts for the oracle's DiffAug, the ratio of the batch)."""
    u = uniform(key, (n_diff, 8))
    most, hole = int(0.125 * side + 0.5), int(0.25 * side + 0.5)
    draws = []
    for row in u:
        shift = [int(np.floor(x * (2 * most + 1))) - most for x in row[3:5]]
        cut = tuple(int(np.floor(x * (side + 1 - hole % 2))) for x in row[5:7])
        # Ours moves the picture by the shift, the oracle says where it reads.
        draw = {"b": row[0] - 0.5, "s": 2 * row[1], "c": 0.5 + row[2], "cut": cut}
        draws.append(draw | {"shift": tuple(-x for x in shift)})
    return draws, zoom[0] + (zoom[1] - zoom[0]) * u[0, 7]


def background_numbers(key, n, side):
    """Numbers [n, k] that the backgrounds of a step are made of."""
    u = background.uniform_16bit(key, (n, background.numbers_needed((side, side))))
    return np.asarray(u, np.float64)


def kind_of(u):
    """0 checkerboard, 1 noise, 2 smooth noise, from the numbers [k] of one background."""
    return min(int(u[0] * 3), 2)


def oracle_background(u, shared, side, *, vertical_sd=4.0):
    """The blurred background [side, side, 3] of numbers u [k]; blur and spectrum are those of `shared`."""
    texture = shared if kind_of(u) == 2 else u
    if kind_of(u) == 0:
        image = checkerboard(side, u[2:5], u[5:8])
    elif kind_of(u) == 1:
        image = texture[8 : 8 + 3 * side * side].reshape(side, side, 3)
    else:
        shape = (2, 3, side, side // 2 + 1)
        numbers = texture[8 : 8 + int(np.prod(shape))].reshape(shape)
        image = smooth_noise(scipy.special.ndtri(numbers), side)
    sd = 10.0 * shared[1]
    return blur(image, sd, vertical_sd or sd)


def view_draws(key, n, side, *, crop_px, distortion=0.6):
    """For each of n images (top, left) of the crop and the four end corners of the perspective."""
    out = []
    for row in uniform(key, (n, 11)):
        top, left = (int(np.floor(x * (crop_px + 1))) for x in row[:2])
        inwards = row[3:].reshape(4, 2) * distortion / 2 * (side - 1)
        sign = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        start = (side - 1) * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
        out.append(((top, left), [tuple(corner) for corner in start + sign * inwards]))
    return out
