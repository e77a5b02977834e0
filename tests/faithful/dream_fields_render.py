"""Compositing of Dream Fields' released code in float64, and a whole render from rays to pictures."""

import numpy as np
from faithful.dream_fields_network import field
from faithful.dream_fields_scene import HALF_WIDTH, near_far, section_edges, sections_to_gaussians


def composite(rgb, sigma, dirs, t, white=False):
    """rgb (..., n, 3), sigma (..., n), dirs (..., 3), t (..., n + 1) -> colour
    (..., 3) premultiplied (black underneath), depth (...,) = sum weight * t_mid (in t,
    not divided by opacity), opacity (...,) = 1 - exp(-sum sigma delta).
    delta = |d| * |t_{i+1} - t_i| (world length); weight_i = (1 - e^{-sigma_i delta_i})
    * exp(-sum_{j<i} sigma_j delta_j).  white (tests only): colour + 1 - opacity."""
    delta = np.abs(t[..., 1:] - t[..., :-1]) * np.sqrt((dirs**2).sum(-1))[..., None]
    sd = sigma * delta
    before = np.cumsum(sd, -1) - sd
    w = -np.expm1(-sd) * np.exp(-before)
    colour = (w[..., None] * rgb).sum(-2)
    depth = (w * 0.5 * (t[..., 1:] + t[..., :-1])).sum(-1)
    acc = -np.expm1(-sd.sum(-1))
    if white:
        colour = colour + (1 - acc)[..., None]
    return colour, depth, acc


def density_centre(mean, sigma):
    """(centre (3,), total) = sum sigma * mean / sum sigma over all rays and samples:
    weights are the masked sigma itself (no delta, no transmittance), positions the
    section mids in shifted coordinates.  nan if every sigma is 0."""
    total = sigma.sum()
    return (sigma[..., None] / total * mean).reshape(-1, 3).sum(0), total


def render(
    params,
    rays,
    basis,
    n,
    u=None,
    origin=(0.0, 0.0, 0.0),
    scale=1.0,
    half_width=HALF_WIDTH,
    intersect=True,
    white=False,
):
    """Render rays (o, d, footprint) with n sections; returns dict colour, depth,
    opacity, centre, total_sigma.  `origin` (3,) is ADDED to the ray origins.
    Training: n 192, u given, intersect, black.  Low-quality test: n 256, u None,
    intersect, white.  High-quality test: n 512, u None, intersect False, white."""
    o, d, r = rays
    o = o + np.asarray(origin)
    near, far = near_far(o, d, half_width, intersect)
    t = section_edges(near, far, n, u)
    mean, cov = sections_to_gaussians(o, d, r, t)
    rgb, sigma = field(params, mean, cov, basis, scale, half_width)
    colour, depth, acc = composite(rgb, sigma, d, t, white)
    centre, total = density_centre(mean, sigma)
    return {"colour": colour, "depth": depth, "opacity": acc, "centre": centre, "total_sigma": total}
