"""Float64 oracle of the released scene of Pure CLIP guidance: cameras, box, vertices, near-camera mask.

Nothing here is drawn at random: every draw is an argument. A box is (lower [3], upper [3]), world units; a
grid has its outermost vertices on the faces of the box.
"""

import math

import numpy as np

NEAR = 4.0 - math.sqrt(3.0)
FAR = 4.0 + math.sqrt(3.0)
MASKED_RAW = -100.0


def camera_centre(azimuth_deg, elevation_deg=30.0, radius=4.0):
    """Centre [3] of a camera, z up; azimuth counted from +y towards +x, as in the release."""
    a, e = math.radians(azimuth_deg), math.radians(elevation_deg)
    return radius * np.array([math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), math.sin(e)])


def camera_axes(azimuth_deg, elevation_deg=30.0, radius=4.0):
    """(centre, right, up, back), each [3]: the camera looks along -back at the origin, up is upright."""
    centre = camera_centre(azimuth_deg, elevation_deg, radius)
    back = centre / np.linalg.norm(centre)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return centre, right, np.cross(back, right), back


def camera_rays(azimuth_deg, size, elevation_deg=30.0, radius=4.0, focal=None):
    """Origin [3] and directions [size, size, 3] of a square view, *not* of unit length (z part in camera -1).

    Focal length 1111.1111 px at 800 px unless given; pixel centres at +0.5, row 0 on top.
    """
    focal = 1111.1111 / 800.0 * size if focal is None else focal
    centre, right, up, back = camera_axes(azimuth_deg, elevation_deg, radius)
    directions = np.zeros((size, size, 3))
    for row in range(size):
        for column in range(size):
            x = (column + 0.5 - 0.5 * size) / focal
            y = -(row + 0.5 - 0.5 * size) / focal
            directions[row, column] = x * right + y * up - back
    return centre, directions


def training_box(size=224, azimuths_deg=None):
    """Box of the grid: the intersection, over cameras, of each one's box around its near and far points.

    Cameras stand at every tenth of a degree unless their azimuths are given.
    """
    azimuths_deg = np.arange(3600) / 10 if azimuths_deg is None else azimuths_deg
    lower, upper = np.full(3, -np.inf), np.full(3, np.inf)
    edge = sorted({0, size // 2 - 1, size // 2, size - 1})
    focal = 1111.1111 / 800.0 * size
    pixels = [(r, c) for r in edge for c in range(size)] + [(r, c) for c in edge for r in range(size)]
    row, column = np.array(pixels, float).T
    x, y = (column + 0.5 - size / 2) / focal, -(row + 0.5 - size / 2) / focal
    for azimuth in azimuths_deg:
        centre, right, up, back = camera_axes(azimuth)
        d = x[:, None] * right + y[:, None] * up - back
        d /= np.linalg.norm(d, axis=1, keepdims=True)
        points = np.concatenate([centre + d * NEAR, centre + d * FAR])
        lower, upper = np.maximum(lower, points.min(0)), np.minimum(upper, points.max(0))
    return lower, upper


def voxel_size(box, num_voxels):
    """(box volume / number of voxels) ** (1/3), world units."""
    return float(np.prod(box[1] - box[0]) / num_voxels) ** (1.0 / 3.0)


def grid_shape(box, num_voxels):
    """Vertices per axis: each side over the voxel size, cut to an integer."""
    return tuple(int(s) for s in (box[1] - box[0]) / voxel_size(box, num_voxels))


def voxels_at_stage(final_voxels, n_scales, done):
    """Number of voxels after `done` of `n_scales` rescalings: int(final / 2^(n_scales - done))."""
    return int(final_voxels / 2 ** (n_scales - done))


def voxel_ratio(box, num_voxels, final_voxels):
    """Current over final *nominal* voxel size: the cube root, not the distance of vertices."""
    return voxel_size(box, num_voxels) / voxel_size(box, final_voxels)


def vertices(box, shape):
    """Vertex positions [X, Y, Z, 3], faces included."""
    axes = [np.linspace(box[0][i], box[1][i], shape[i]) for i in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def near_camera_mask(points, centres, near=NEAR):
    """Whether points [..., 3] lie within `near` (inclusive) of any of the centres [M, 3]."""
    best = np.full(np.asarray(points).shape[:-1], np.inf)
    for centre in centres:
        best = np.minimum(best, np.sqrt(((points - centre) ** 2).sum(-1)))
    return best <= near


def distance_to_circle(points, elevation_deg=30.0, radius=4.0):
    """Distance of points [..., 3] to the circle of all azimuths at one elevation, in closed form."""
    e = math.radians(elevation_deg)
    rho = np.hypot(points[..., 0], points[..., 1])
    return np.hypot(rho - radius * math.cos(e), points[..., 2] - radius * math.sin(e))


def distance_to_band(points, elevations_deg, radius=4.0):
    """Distance of points to all azimuths at elevations from lowest to highest, in closed form.

    In the meridian plane of a point it is the distance to an arc: |r - radius| where the point's own
    elevation is within, else the distance to the nearer end.
    """
    low, high = elevations_deg
    rho, z = np.hypot(points[..., 0], points[..., 1]), points[..., 2]
    elevation = np.degrees(np.arctan2(z, rho))
    ends = np.minimum(distance_to_circle(points, low, radius), distance_to_circle(points, high, radius))
    return np.where((elevation >= low) & (elevation <= high), np.abs(np.hypot(rho, z) - radius), ends)


def apply_near_camera_mask(raw, mask):
    """Raw density with -100 at masked vertices: once, before the first step, on the *first* grid.

    Later grids inherit it through trilinear upsampling only.
    """
    return np.where(mask, MASKED_RAW, raw)
