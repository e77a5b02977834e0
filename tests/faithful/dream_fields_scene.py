"""Cameras, sections of rays and their Gaussians as Dream Fields' released code has them, in float64.

Units: world units are those of the scene (cube of half-width 1 about the origin, cameras at distance 4); t is
the multiple of the *unnormalised* ray direction, whose component along the camera's axis is 1, so t is a
depth along that axis. Angles in degrees. Every random draw is an argument.
"""

import math

import numpy as np

HALF_WIDTH = 1.0
NEAR, FAR = 4 - math.sqrt(3), 4 + math.sqrt(3)  # of high-quality test renders only
FOCAL_800 = 1111.1111  # pixels at a width of 800 px
FOCAL_MULT_TRAIN, FOCAL_MULT_TEST = 1.2, 1.0
RADIUS = 4.0
MIN_INTERVAL = 1e-3  # shortest way through the cube, in t


def pose_spherical(theta, phi, radius):
    """(4, 4) camera-to-world, theta and phi in degrees, radius in world units.
    phi is negative above the horizon (training -30).  The camera looks along its own
    -z, its y is up; centre = radius * (-sin th cos e, -cos th cos e, sin e), e = -phi."""
    th, ph = math.radians(theta), math.radians(phi)
    ct, st, cp, sp = math.cos(th), math.sin(th), math.cos(ph), math.sin(ph)
    tilt = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    turn = np.array([[ct, 0, -st], [0, 1, 0], [st, 0, ct]])
    up = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    rot = up @ turn @ tilt
    top = np.concatenate([rot, (rot @ np.array([0, 0, float(radius)]))[:, None]], 1)
    return np.concatenate([top, np.array([[0, 0, 0, 1.0]])], 0)


def focal_px(width, focal_mult):
    """Focal length in pixels at `width` px: 1111.1111 * width / 800 * multiplier."""
    return FOCAL_800 * width / 800.0 * focal_mult


def camera_rays(pose, width, focal_mult):
    """Rays of a square image.  Returns origins (W, W, 3), unnormalised directions
    (W, W, 3) (camera z component -1, so length >= 1) and the pixel footprint
    (W, W, 1) = (1 / focal) / sqrt(12), world units per unit of t."""
    f = focal_px(width, focal_mult)
    p = np.arange(width) + 0.5 - 0.5 * width
    x = np.broadcast_to(p[None, :], (width, width)) / f
    y = -np.broadcast_to(p[:, None], (width, width)) / f
    cam = np.stack([x, y, -np.ones_like(x)], -1)
    d = cam @ np.asarray(pose)[:3, :3].T
    o = np.broadcast_to(np.asarray(pose)[:3, 3], d.shape)
    r = np.full(d.shape[:-1] + (1,), 1.0 / f / math.sqrt(12.0))
    return o, d, r


def intersect_cube(origins, dirs, half_width=HALF_WIDTH):
    """Entry and exit t of the cube of `half_width` about 0, (...,) each.  Slab test;
    for rays that miss, entry > exit.  A direction with an exactly zero component
    gives inf or nan as in the release (sign(0) = 0)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        s = np.sign(dirs) * half_width
        return np.max((-s - origins) / dirs, -1), np.min((s - origins) / dirs, -1)


def near_far(origins, dirs, half_width=HALF_WIDTH, intersect=True):
    """(near, far), shape of the rays.  intersect True (training, low-quality tests):
    the cube's entry and max(exit, entry + 1e-3).  False (high-quality tests): the
    constants 4 -+ sqrt(3), in multiples of the unnormalised direction.
    `origins` are the shifted ones (ray origin + scene origin)."""
    if not intersect:
        one = np.ones(origins.shape[:-1])
        return NEAR * one, FAR * one
    near, far = intersect_cube(origins, dirs, half_width)
    return near, np.maximum(far, near + MIN_INTERVAL)


def section_edges(near, far, n, u=None):
    """Edges t, (..., n + 1), of n equal sections between near and far (both (...,)).
    u None: no jitter (tests).  Else u (..., n + 1) uniform in [0, 1): every edge,
    the two ends included, moves by (u - 1/2) * (far - near) / n, independently.
    Edges stay ordered; a section's length is in (0, 2) steps, its mid in the cube."""
    k = np.arange(n + 1) / n
    t = near[..., None] + (far - near)[..., None] * k
    if u is not None:
        t = t + (np.asarray(u) - 0.5) * ((far - near) / n)[..., None]
    return t


def sections_to_gaussians(origins, dirs, footprint, t):
    """Gaussians of the sections.  origins, dirs (..., 3), footprint (..., 1), t
    (..., n + 1) -> mean (..., n, 3), covariance (..., n, 3, 3), full, world units^2.

    Mean at the plain MID of the section (not mip-NeRF's corrected mean).  With
    t_half = half the section, along: t_half^2 / 3 * d d^T (d unnormalised);
    across: (t_mid * footprint)^2 / 12 * (I - d d^T / |d|^2).  As footprint =
    pixel / sqrt(12), across is t_mid^2 pixel^2 / 144, a 12th of mip-NeRF's."""
    mid = 0.5 * (t[..., 1:] + t[..., :-1])
    half = 0.5 * (t[..., 1:] - t[..., :-1])
    mean = origins[..., None, :] + dirs[..., None, :] * mid[..., None]
    outer = dirs[..., :, None] * dirs[..., None, :]
    sq = np.maximum((dirs**2).sum(-1), 1e-10)[..., None, None]
    across = np.eye(3) - outer / sq
    cov = (half**2 / 3)[..., None, None] * outer[..., None, :, :] + ((mid * footprint) ** 2 / 12)[
        ..., None, None
    ] * across[..., None, :, :]
    return mean, cov
