"""Crumbs away from the object, counted on scenes whose parts are known."""

import numpy as np
import pytest
from helpers.small_runs import write_run

from voxjax.evaluation.floaters import floaters, solid_points
from voxjax.run import load_run


def test_parts_are_joined_by_faces_and_the_largest_is_the_object():
    solid = np.zeros((6, 6, 6), bool)
    assert floaters(solid) == (0, 0.0)
    solid[1:3, 1:3, 1:3] = True
    assert floaters(solid) == (0, 0.0)
    solid[3, 3, 3] = True  # touches at a corner only
    solid[5, 0, 0] = solid[5, 1, 0] = True
    assert floaters(solid) == (2, pytest.approx(3 / 11))


def test_a_ball_is_one_part_of_its_size(tmp_path):
    run = load_run(write_run(tmp_path / "run", "a red ball", (0.9, 0.05, 0.05), radius=0.7))
    solid = solid_points(run, side=32)
    assert floaters(solid) == (0, 0.0)
    volume = solid.sum() * (2.4 / 32) ** 3
    assert volume == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=0.08)
