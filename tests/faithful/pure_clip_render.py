"""Float64 oracle of the released renderer: samples on a ray, compositing, and its gradient."""

import math

import numpy as np
from faithful.pure_clip_grid import (
    THRESHOLD,
    alpha_gradient,
    alpha_of,
    mask_lookup,
    trilinear,
    trilinear_backward,
)
from faithful.pure_clip_scene import FAR, NEAR


def ray_samples(
    origin, direction, box, step, near=NEAR, far=FAR, units="direction", count="plain", offset=0.0
):
    """Sample points [S, 3] of a ray, `step` (half a nominal voxel) apart, inside of the box.

    Args:
      origin: [3].
      direction: [3], not of unit length.
      box: of the grid.
      step: world units.
      near: where samples begin, in the unit of `units`.
      far: where they end.
      units: "direction": near and far are multiples of the direction as it is (the release: planes of depth);
        "unit": distances.
      count: "plain": as many samples as steps fit into the multiples of the direction; "norm": into the
        distance.
      offset: of the first sample from the entry, in steps (the release: 0); none lies beyond the exit.
    """
    d = np.asarray(direction, float)
    norm = np.linalg.norm(d)
    unit = d / norm
    if units == "unit":
        d, norm = unit, 1.0
    slope = np.where(d == 0.0, 1e-6, d)
    a, b = (box[1] - origin) / slope, (box[0] - origin) / slope
    first = max(min(np.minimum(a, b).max(), far), near)
    last = max(min(np.maximum(a, b).min(), far), near)
    n = max(math.ceil((last - first) * (norm if count == "norm" else 1.0) / step - offset), 1)
    p = origin + d * first + unit * (step * (np.arange(n)[:, None] + offset))
    return p[np.all((p >= box[0]) & (p <= box[1]), 1)]


def composite_weights(alpha, stop=1e-3):
    """Weights [S] and the last transmittance; the ray ends behind the sample that brings T below `stop`."""
    w, t = np.zeros(len(alpha)), 1.0
    for i, a in enumerate(alpha):
        w[i] = t * a
        t *= 1.0 - a
        if stop is not None and t < stop:
            break
    return w, t


def composite_backward(alpha, g_weights, g_last, stop=1e-3):
    """Gradient [S] with respect to alpha of sum(g_weights * weights) + g_last * last transmittance."""
    w, last = composite_weights(alpha, stop)
    t, before = 1.0, []
    for a in alpha:
        before.append(t)
        t *= 1.0 - a
        if stop is not None and t < stop:
            break
    g, behind = np.zeros(len(alpha)), g_last * last
    for i in range(len(before) - 1, -1, -1):
        g[i] = g_weights[i] * before[i] - behind / (1.0 - alpha[i] + 1e-10)
        behind += g_weights[i] * w[i]
    return g


class RenderedView:
    """A view of raw grids, and what it takes to go back; without anything behind the object.

    The order of the release: samples whose nearest vertex is off are dropped; alpha at interval = 0.5 *
    ratio; samples with alpha <= 1e-7 are dropped before T is accumulated; those of weight <= 1e-7 from the
    colour only; colour is the sigmoid of the interpolated raw colour.
    """

    def __init__(
        self, density, colour, mask, box, origin, directions, step, ratio, stop=1e-3, shift=None, **sampling
    ):
        """Renders density [X, Y, Z], colour [X, Y, Z, 3] along directions [h, w, 3]; mask None: all on."""
        self.shape, self.box, self.interval = density.shape, box, 0.5 * ratio
        self.stop, self.shift = stop, shift
        self.colour = np.zeros(directions.shape)
        self.transmittance = np.ones(directions.shape[:2])
        self.rays = []
        for pixel in np.ndindex(*directions.shape[:2]):
            p = ray_samples(origin, directions[pixel], box, step, **sampling)
            if mask is not None and len(p):
                p = p[mask_lookup(mask, p, box)]
            raw = trilinear(density, p, box)
            on = alpha_of(raw, self.interval, shift) > THRESHOLD
            p, raw = p[on], raw[on]
            alpha = alpha_of(raw, self.interval, shift)
            w, t = composite_weights(alpha, stop)
            rgb = 1.0 / (1.0 + np.exp(-trilinear(colour, p, box)))
            shown = w * (w > THRESHOLD)
            self.colour[pixel], self.transmittance[pixel] = (shown[:, None] * rgb).sum(0), t
            self.rays.append((pixel, p, raw, alpha, shown, rgb))

    def backward(self, g_colour, g_transmittance):
        """(density [X, Y, Z], colour [X, Y, Z, 3]) gradients for those of the two pictures."""
        points, g_raw, g_raw_colour = [], [], []
        for pixel, p, raw, alpha, shown, rgb in self.rays:
            worth = np.where(shown > 0, rgb @ g_colour[pixel], 0.0)
            g_alpha = composite_backward(alpha, worth, g_transmittance[pixel], self.stop)
            points.append(p)
            g_raw.append(g_alpha * alpha_gradient(raw, self.interval, self.shift))
            g_raw_colour.append(shown[:, None] * g_colour[pixel] * rgb * (1 - rgb))
        points = np.concatenate(points)
        both = np.concatenate([np.concatenate(g_raw)[:, None], np.concatenate(g_raw_colour)], axis=1)
        gradient = trilinear_backward(self.shape, points, self.box, both)
        return gradient[..., 0], gradient[..., 1:]
