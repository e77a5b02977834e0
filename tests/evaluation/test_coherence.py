"""Silhouette coherence: solids score one, what is no solid scores what a carved block of voxels says."""

import numpy as np
import pytest

from voxjax.cameras import focal_px, near_far, orbit_pose
from voxjax.evaluation.coherence import silhouette_coherence

SIZE = 32
NEAR, FAR = near_far(4.0)
FOCAL = focal_px(SIZE)
POSES = np.stack([np.asarray(orbit_pose(a, 45.0, 4.0), np.float64) for a in (30, 120, 210, 300)])


def coherence(masks):
    return silhouette_coherence(masks, POSES, focal=FOCAL, near=NEAR, far=FAR)


def pixel_rays(pose):
    """Origin [3] and directions [size, size, 3] through pixel centres, one at a time."""
    directions = np.empty((SIZE, SIZE, 3))
    for row in range(SIZE):
        for column in range(SIZE):
            x, y = (column + 0.5 - SIZE / 2) / FOCAL, (SIZE / 2 - row - 0.5) / FOCAL
            directions[row, column] = pose[:, :3] @ (np.array([x, y, -1.0]) / np.sqrt(x * x + y * y + 1))
    return pose[:, 3], directions


def ball_masks(centre, radius):
    """Exact silhouettes of a ball: the ray's distance to its centre is below its radius."""
    masks = []
    for pose in POSES:
        origin, directions = pixel_rays(pose)
        to_centre = np.asarray(centre) - origin
        along = directions @ to_centre
        masks.append(to_centre @ to_centre - along**2 < radius**2)
    return np.stack(masks)


def box_masks(half):
    """Exact silhouettes of a box by slabs."""
    masks = []
    for pose in POSES:
        origin, directions = pixel_rays(pose)
        ends = np.stack([(sign * np.asarray(half) - origin) / directions for sign in (-1, 1)])
        masks.append(ends.min(axis=0).max(axis=-1) < ends.max(axis=0).min(axis=-1))
    return np.stack(masks)


def carved(masks, n=90):
    """The same by carving a block of voxels and looking which pixels of each mask still see some."""
    axis = (np.arange(n) + 0.5) / n * 4.0 - 2.0
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    places, kept = [], np.ones(len(points), bool)
    for pose, mask in zip(POSES, masks, strict=True):
        in_camera = (points - pose[:, 3]) @ pose[:, :3]
        column = np.floor(in_camera[:, 0] / -in_camera[:, 2] * FOCAL + SIZE / 2).astype(int)
        row = np.floor(in_camera[:, 1] / in_camera[:, 2] * FOCAL + SIZE / 2).astype(int)
        framed = (column >= 0) & (column < SIZE) & (row >= 0) & (row < SIZE)
        column, row = np.where(framed, column, 0), np.where(framed, row, 0)
        kept &= framed & mask[row, column]
        places.append((row, column))
    shares = []
    for (row, column), mask in zip(places, masks, strict=True):
        seen = np.zeros_like(mask)
        seen[row[kept], column[kept]] = True
        shares.append((seen & mask).sum() / mask.sum())
    return np.array(shares)


@pytest.mark.parametrize("masks", [ball_masks((0.2, -0.1, 0.3), 0.6), box_masks((0.7, 0.25, 0.1))])
def test_a_solid_agrees_with_itself(masks):
    np.testing.assert_allclose(coherence(masks), 1.0)


@pytest.mark.parametrize("odd", [0, 2])
def test_views_of_no_solid_agree_as_far_as_carving_says(odd):
    """One view sees a ball elsewhere: what is left is the lens that both cones share."""
    masks = ball_masks((0.0, 0.0, 0.0), 0.7)
    masks[odd] = ball_masks((0.0, 0.0, 0.75), 0.7)[odd]
    found, wanted = coherence(masks), carved(masks)
    assert 0.1 < wanted[odd] < 0.6 and wanted.mean() < 0.9
    # Masks are grown by a pixel on our side, voxels are coarse on the other.
    np.testing.assert_allclose(found, wanted, atol=0.12)
    assert (found >= wanted - 0.02).all()


def test_nothing_is_no_object():
    masks = ball_masks((0.0, 0.0, 0.0), 0.7)
    masks[1] = False
    np.testing.assert_array_equal(coherence(masks), 0.0)
    with pytest.raises(ValueError, match="v > 1"):
        silhouette_coherence(masks[:1], POSES[:1], focal=FOCAL, near=NEAR, far=FAR)
