"""Silhouettes: moved cameras against moved points, holes against scipy, fits against known similarities."""

import numpy as np
import pytest
from scipy import ndimage

from voxjax.evaluation import silhouette

SIZE, FOCAL = 40, 55.0


def pose(azimuth_deg, elevation_deg, radius=4.0):
    """A camera on a sphere that looks at the origin, by cross products."""
    a, e = np.deg2rad([azimuth_deg, elevation_deg])
    place = radius * np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    back = place / radius
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back, place], axis=-1)


POSES = np.stack([pose(a, 30.0) for a in range(0, 360, 45)])


def rays(poses):
    """Origins and directions [n, size, size, 3] through the pixel centres."""
    axis = (np.arange(SIZE) + 0.5 - SIZE / 2) / FOCAL
    x, y = np.meshgrid(axis, -axis)
    local = np.stack([x, y, -np.ones_like(x)], axis=-1)
    directions = np.einsum("nij,hwj->nhwi", poses[:, :, :3], local)
    return np.broadcast_to(poses[:, None, None, :, 3], directions.shape), directions


def box_masks(poses, half=(0.5, 0.5, 0.5), *, scale=1.0, yaw_deg=0.0, shift=(0.0, 0.0, 0.0)):
    """A box that is itself turned, scaled and moved: slabs in its own axes."""
    yaw = np.deg2rad(yaw_deg)
    axes = np.array([[np.cos(yaw), np.sin(yaw), 0], [-np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    origins, directions = rays(poses)
    origins, directions = (origins - np.array(shift)) @ axes.T, directions @ axes.T
    bound = scale * np.array(half)
    first, second = (-bound - origins) / directions, (bound - origins) / directions
    return np.minimum(first, second).max(axis=-1) < np.maximum(first, second).min(axis=-1)


def ball_masks(poses, radius=0.6):
    origins, directions = rays(poses)
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    along = (origins * unit).sum(-1)
    return (origins**2).sum(-1) - along**2 < radius**2


def torus_masks(poses, ring=0.6, tube=0.2):
    """Sphere tracing of the distance to a ring in the horizontal plane."""
    origins, directions = rays(poses)
    unit = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    travelled = np.zeros(unit.shape[:-1])
    for _ in range(60):
        p = origins + travelled[..., None] * unit
        distance = np.hypot(np.hypot(p[..., 0], p[..., 1]) - ring, p[..., 2]) - tube
        travelled += distance
    return distance < 1e-3


def test_mask_is_strictly_above_the_threshold():
    np.testing.assert_array_equal(silhouette.mask_of(np.array([0.0, 0.5, 0.51, 1.0])), [0, 0, 1, 1])


def test_mean_iou_by_counting():
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 6, 7)) > 0.4, rng.random((3, 6, 7)) > 0.6
    by_view = []
    for view in range(3):
        both = either = 0
        for row in range(6):
            for column in range(7):
                both += a[view, row, column] and b[view, row, column]
                either += a[view, row, column] or b[view, row, column]
        by_view.append(both / either)
    assert silhouette.mean_iou(a, b) == pytest.approx(sum(by_view) / 3)
    assert silhouette.mean_iou(a, a) == 1.0
    assert silhouette.mean_iou(a & False, b & False) == 0.0
    with pytest.raises(ValueError, match="alike"):
        silhouette.mean_iou(a, b[:2])


def test_moved_cameras_see_what_moved_points_show():
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.5, 0.5, (20, 3))
    scale, yaw_deg, shift = 0.7, 37.0, np.array([0.2, -0.3, 0.1])
    yaw = np.deg2rad(yaw_deg)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])

    def project(poses, where):
        local = np.einsum("nij,nki->nkj", poses[:, :, :3], where[None] - poses[:, None, :, 3])
        return local[..., :2] / -local[..., 2:]

    moved = project(POSES, scale * points @ turn.T + shift)
    unmoved = project(silhouette.moved_poses(POSES, scale, yaw_deg, shift), points)
    np.testing.assert_allclose(moved, unmoved, atol=1e-12)


def test_fit_finds_a_known_similarity():
    half = (0.6, 0.4, 0.3)
    masks = box_masks(POSES, half, scale=0.8, yaw_deg=50.0, shift=(0.15, -0.1, 0.2))
    fit = silhouette.fit_silhouettes(
        masks, POSES, lambda poses: box_masks(poses, half), focal=FOCAL, yaw_period_deg=180.0
    )
    assert fit.iou > 0.95
    assert fit.scale == pytest.approx(0.8, rel=0.04)
    assert abs((fit.yaw_deg - 50.0 + 90.0) % 180.0 - 90.0) < 5.0
    np.testing.assert_allclose(fit.shift, (0.15, -0.1, 0.2), atol=0.04)
    # The figure belongs to the similarity: the box moved by it has just this overlap.
    again = box_masks(POSES, half, scale=fit.scale, yaw_deg=fit.yaw_deg, shift=fit.shift)
    assert silhouette.mean_iou(masks, again) == pytest.approx(fit.iou, abs=2e-3)


def test_a_tower_is_no_ball_whatever_its_size():
    tower = box_masks(POSES, (0.25, 0.25, 0.8))
    ball = silhouette.fit_silhouettes(tower, POSES, ball_masks, focal=FOCAL, yaw_period_deg=0.0)
    same = silhouette.fit_silhouettes(
        tower, POSES, lambda poses: box_masks(poses, (0.25, 0.25, 0.8)), focal=FOCAL, yaw_period_deg=90.0
    )
    assert ball.yaw_deg == 0.0
    assert ball.iou < 0.7 < 0.97 < same.iou


def test_nothing_matches_nothing():
    nothing = np.zeros((8, SIZE, SIZE), bool)
    assert silhouette.fit_silhouettes(nothing, POSES, ball_masks, focal=FOCAL).iou == 0.0


def test_hole_fraction_like_scipy():
    rng = np.random.default_rng(2)
    fractions = []
    for density in (0.45, 0.6, 0.75):
        mask = rng.random((25, 31)) < density
        filled = ndimage.binary_fill_holes(mask)
        expected = (filled & ~mask).sum() / filled.sum()
        fractions.append(expected)
        assert silhouette.hole_fraction(mask) == pytest.approx(expected)
    assert max(fractions) > 0.02
    assert silhouette.hole_fraction(np.zeros((4, 4), bool)) == 0.0


def test_only_the_torus_has_a_hole():
    poses = np.stack([pose(a, e) for e in (30.0, 60.0, 85.0) for a in (0.0, 90.0, 180.0, 270.0)])
    assert silhouette.has_hole(torus_masks(poses))
    assert not silhouette.has_hole(torus_masks(poses, ring=0.3, tube=0.35))
    assert not silhouette.has_hole(ball_masks(poses))
    # From the side alone the hole cannot be seen.
    assert not silhouette.has_hole(torus_masks(np.stack([pose(0.0, 2.0)])))
    # A single stray pixel inside a big outline is a chink, not a hole.
    chink = ball_masks(poses[:1])
    chink[0, SIZE // 2, SIZE // 2] = False
    assert not silhouette.has_hole(chink)
