"""Sizes and tiles of pictures, and several runs under one camera."""

import dataclasses

import numpy as np
import pytest
from helpers.small_runs import write_run

from voxjax.cameras import orbit_pose
from voxjax.viewer.camera import FOV, Camera, tile_camera
from voxjax.viewer.drawing import MOVING_PX, View, draw, frame_size, layout, quick_size, sizes_at_rest
from voxjax.viewer.exhibit import Cut
from voxjax.viewer.feed import Feed
from voxjax.viewer.looks import Look
from voxjax.viewer.screen import same


def view_of(*exhibits, aspect=1.5, **changes):
    camera = Camera(np.asarray(orbit_pose(90.0, 20.0, 4.0)), FOV, aspect)
    return View(exhibits, tuple(f"run {i}" for i in range(len(exhibits))), camera, **changes)


@pytest.mark.parametrize(("full", "quick"), [(256, 512), (256, 128), (512, 64), (2048, 96), (768, 128)])
def test_pictures_at_rest_grow_up_to_the_size_that_was_asked_for(full, quick):
    sizes = sizes_at_rest(full, quick)
    assert sizes[-1] == full
    assert all(later >= 2 * earlier for earlier, later in zip(sizes, sizes[1:], strict=False))
    assert all(size > 1.5 * quick for size in sizes[:-1])


def test_the_size_of_quick_pictures_follows_what_they_cost():
    goal = 0.05
    assert quick_size(0.05, 128, goal_s=goal, largest_px=512) == 128
    assert quick_size(0.001, 128, goal_s=goal, largest_px=512) == 160  # one place at a time
    assert quick_size(0.2, 128, goal_s=goal, largest_px=512) == 64  # a quarter of the pixels
    assert quick_size(100.0, 64, goal_s=goal, largest_px=512) == MOVING_PX[0]
    assert quick_size(0.001, 512, goal_s=goal, largest_px=512) == 512
    assert quick_size(0.001, 256, goal_s=goal, largest_px=256) == 256  # never above the picture at rest
    assert list(MOVING_PX) == sorted(set(MOVING_PX))


def test_frames_have_the_shape_of_the_window():
    assert frame_size(120, 1.5) == (120, 80) and frame_size(120, 0.5) == (60, 120)
    assert frame_size(10, 100.0) == (10, 1)


@pytest.mark.parametrize(
    ("n", "aspect", "expected"),
    [
        (2, 1.5, (2, 1)),
        (2, 0.5, (1, 2)),
        (3, 1.8, (3, 1)),
        (4, 1.2, (2, 2)),
        (4, 3.5, (4, 1)),
    ],
)
def test_tiles_are_nearly_square(n, aspect, expected):
    assert layout(n, aspect) == expected


def test_one_run_fills_the_window(ball):
    picture = draw(view_of(ball), 60, quick=True)
    assert picture.image.shape == (40, 60, 3) and picture.depth.shape == (40, 60) and picture.quick
    assert picture.depth.min() < 4.5 < 100.0 < picture.depth.max()


def test_several_runs_stand_side_by_side_under_one_camera(ball, tmp_path):
    other = Feed(write_run(tmp_path / "other", "a green ball", (0.1, 0.8, 0.1), radius=0.5)).open_latest()
    view = view_of(ball, other, aspect=2.0)
    picture = draw(view, 900)
    assert picture.image.shape == (450, 900, 3) and picture.depth is None
    camera = tile_camera(view.camera, 1.0)
    for exhibit, left in ((ball, 0), (other, 450)):
        alone = draw(dataclasses.replace(view, exhibits=(exhibit,), camera=camera), 450).image
        # Names and hairlines lie at the borders.
        inside = (slice(60, 450), slice(left + 5, left + 445))
        np.testing.assert_array_equal(picture.image[inside], alone[60:450, 5:445])
    names = picture.image[:50]
    assert names[:, :450].min() < 90 and names[:, 450:].min() < 90


def test_small_pictures_of_tiles_keep_readable_names(ball):
    picture = draw(view_of(ball, ball), 64, quick=True)
    assert max(picture.image.shape) >= 890
    assert (picture.image[:60].max(axis=-1) < 90).sum() > 40


def test_views_are_the_same_by_what_they_show(ball):
    view = view_of(ball)
    assert same(view, dataclasses.replace(view, camera=dataclasses.replace(view.camera)))
    for change in (
        {"look": Look("depth")},
        {"cut": Cut(0.5)},
        {"full_px": 700},
        {"exhibits": (ball, ball)},
        {"camera": dataclasses.replace(view.camera, aspect=1.0)},
    ):
        assert not same(view, dataclasses.replace(view, **change))
