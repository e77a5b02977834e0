"""Float64 oracle of the released perspective, crop and resize: *one* draw a step for the whole batch."""

import math

import numpy as np
from faithful.pure_clip_diffaug import resize_bilinear


def perspective_corners(width, height, fractions, distortion=0.6):
    """End corners [tl, tr, br, bl] as (x, y) integers from 8 numbers in [0, 1).

    Offsets are uniform integers 0 .. int(distortion * (side // 2)), inwards, from 0 or side - 1.
    """
    mx, my = int(distortion * (width // 2)), int(distortion * (height // 2))
    o = [int(f * ((mx if i % 2 == 0 else my) + 1)) for i, f in enumerate(np.ravel(fractions))]
    w, h = width - 1, height - 1
    return [(o[0], o[1]), (w - mx + o[2], o[3]), (w - mx + o[4], h - my + o[5]), (o[6], h - my + o[7])]


def perspective_coefficients(width, height, end):
    """a .. h of x_in = (a x + b y + c) / (g x + h y + 1), and y_in likewise: end corners to image corners."""
    start = [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)]
    matrix, right = np.zeros((8, 8)), np.zeros(8)
    for i, ((x, y), (u, v)) in enumerate(zip(end, start, strict=True)):
        matrix[2 * i] = [x, y, 1, 0, 0, 0, -u * x, -u * y]
        matrix[2 * i + 1] = [0, 0, 0, x, y, 1, -v * x, -v * y]
        right[2 * i], right[2 * i + 1] = u, v
    return np.linalg.solve(matrix, right)


def perspective(image, end, mask_twice=True, half_pixel=True):
    """Warps [h, w, c] so that its corners land on `end`; bilinear, zero fill.

    Fine print of torchvision 0.12: the map, fitted to corner *indices*, is evaluated at index + 0.5 and 0.5
    is taken off the result (`half_pixel`); and the sampled image is multiplied once more by its sampled
    coverage (`mask_twice`).
    """
    height, width = image.shape[:2]
    a, b, c, d, e, f, g, h = perspective_coefficients(width, height, end)
    shift = 0.5 if half_pixel else 0.0
    out = np.zeros(image.shape)
    for r in range(height):
        for q in range(width):
            x, y = q + shift, r + shift
            scale = g * x + h * y + 1.0
            u, v = (a * x + b * y + c) / scale - shift, (d * x + e * y + f) / scale - shift
            i, j = math.floor(v), math.floor(u)
            total, cover = 0.0, 0.0
            for di in (0, 1):
                for dj in (0, 1):
                    if 0 <= i + di < height and 0 <= j + dj < width:
                        w = (v - i if di else 1 - v + i) * (u - j if dj else 1 - u + j)
                        total = total + w * image[i + di, j + dj]
                        cover += w
            out[r, q] = total * (cover if mask_twice else 1.0)
    return out


def crop_resize(image, top, left, clip_size, margin=16):
    """Crop of size - margin at (top, left), integers 0 .. margin; then enlarged to `clip_size`."""
    height, width = image.shape[:2]
    cropped = image[top : top + height - margin, left : left + width - margin]
    return resize_bilinear(cropped, (clip_size, clip_size))
