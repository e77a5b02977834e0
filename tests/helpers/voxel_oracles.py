"""Slow float64 answers to what the voxel fields and the renderer compute: plain loops, one sample at a time.

They share no code with the package: positions, weights and the order of things are written down again.
"""

from __future__ import annotations

import math

import numpy as np


def trilinear(values, position, lower, upper):
    """Interpolates values [x, y, z, c] at one position [3]; outside, the nearest face counts."""
    values = np.asarray(values, np.float64)
    shape = values.shape[:3]
    total = np.zeros(values.shape[3])
    cell, fraction = [], []
    for axis in range(3):
        u = (position[axis] - lower[axis]) / (upper[axis] - lower[axis]) * (shape[axis] - 1)
        u = min(max(u, 0.0), shape[axis] - 1.0)
        base = min(int(math.floor(u)), shape[axis] - 2)
        cell.append(base)
        fraction.append(u - base)
    for dx in (0, 1):
        for dy in (0, 1):
            for dz in (0, 1):
                weight = 1.0
                for f, d in zip(fraction, (dx, dy, dz), strict=True):
                    weight *= f if d else 1.0 - f
                total += weight * values[cell[0] + dx, cell[1] + dy, cell[2] + dz]
    return total


def nearest_is_on(occupancy, position, lower, upper):
    """Whether the vertex nearest to one position is on, by comparing the distances along each axis."""
    index = []
    for axis, n in enumerate(occupancy.shape):
        vertices = np.linspace(lower[axis], upper[axis], n)
        index.append(int(np.argmin(np.abs(vertices - position[axis]))))
    return bool(occupancy[tuple(index)])


def softplus(x):
    """log(1 + exp(x)) of one number."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def sigmoid(x):
    """1 / (1 + exp(-x)), elementwise."""
    return 1.0 / (1.0 + np.exp(-np.asarray(x, np.float64)))


def clip_ray(origin, direction, lower, upper, near, far):
    """(enter, exit) of one ray and a box within [near, far], or None for a miss."""
    enter, leave = near, far
    for axis in range(3):
        if direction[axis] == 0.0:
            if not lower[axis] <= origin[axis] <= upper[axis]:
                return None
            continue
        a = (lower[axis] - origin[axis]) / direction[axis]
        b = (upper[axis] - origin[axis]) / direction[axis]
        enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
    return (enter, leave) if leave > enter else None


def distances_in_box(origin, direction, lower, upper, near, far, step_size):
    """Sample distances on one ray: half a step after the entry, then every step, before the exit."""
    hit = clip_ray(origin, direction, lower, upper, near, far)
    distances = []
    if hit is not None:
        t = hit[0] + 0.5 * step_size
        while t < hit[1]:
            distances.append(t)
            t += step_size
    return distances


def composite(extinction, colour, distance, threshold=1e-7):
    """(colour [3], transmittance, depth) of one ray's samples, front to back."""
    light, total, depth = 1.0, np.zeros(3), 0.0
    for x, c, t in zip(extinction, colour, distance, strict=True):
        alpha = -math.expm1(-x)
        if alpha <= threshold:
            continue
        weight = light * alpha
        light *= 1.0 - alpha
        if weight > threshold:
            total = total + weight * np.asarray(c, np.float64)
            depth += weight * t
    return total, light, depth


def render(values, shift, occupancy, rays, lower, upper, *, near, far, step_size, interval, n_first=None):
    """Renders a voxel grid ray by ray.

    Args: as the renderer's; rays is a list of (origin [3], direction [3]); with `n_first`, only that many
    samples are used in all, counted through the first samples of all rays, then the second, and so on.
    Returns (colour [rays, 3], transmittance [rays], depth [rays], number of samples).
    """
    per_ray = [distances_in_box(o, d, lower, upper, near, far, step_size) for o, d in rays]
    order = [
        (i, r)
        for i in range(max(map(len, per_ray), default=0))
        for r in range(len(rays))
        if i < len(per_ray[r])
    ]
    chosen = set(order if n_first is None else order[:n_first])
    pictures = []
    for r, (origin, direction) in enumerate(rays):
        extinction, colour, distance = [], [], []
        for i, t in enumerate(per_ray[r]):
            if (i, r) not in chosen:
                continue
            position = np.asarray(origin, np.float64) + t * np.asarray(direction, np.float64)
            raw = trilinear(values, position, lower, upper)
            on = nearest_is_on(occupancy, position, lower, upper)
            extinction.append(softplus(raw[0] + shift) * interval if on else 0.0)
            colour.append(sigmoid(raw[1:]))
            distance.append(t)
        pictures.append(composite(extinction, colour, distance))
    columns = [np.array(column) for column in zip(*pictures, strict=True)]
    return columns[0], columns[1], columns[2], len(order)
