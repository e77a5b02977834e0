"""Retrieval scores against loops."""

import numpy as np
import pytest

from voxjax.evaluation.scores import ranks, retrieval_scores


def test_scores_by_loops():
    rng = np.random.default_rng(0)
    n_runs, n_views, n_captions = 9, 4, 6
    own = rng.integers(0, n_captions, n_runs)
    cosines = rng.uniform(-1, 1, (n_runs, n_views, n_captions))
    # Half of the runs are judged well, so that no score is 0 or 1.
    cosines[np.arange(0, n_runs, 2), :, own[::2]] += 0.8
    right = first = objects = 0
    rank_sum = cosine_sum = 0.0
    for r in range(n_runs):
        mean = [sum(cosines[r, v, c] for v in range(n_views)) / n_views for c in range(n_captions)]
        objects += max(range(n_captions), key=mean.__getitem__) == own[r]
        for v in range(n_views):
            order = sorted(range(n_captions), key=lambda c, r=r, v=v: -cosines[r, v, c])
            rank_sum += order.index(own[r]) + 1
            cosine_sum += cosines[r, v, own[r]]
            right += order[0] == own[r]
            first += v == 0 and order[0] == own[r]
    scores = retrieval_scores(cosines, own)
    assert 0 < right < n_runs * n_views and 0 < objects < n_runs
    assert scores.precision_per_view == pytest.approx(right / (n_runs * n_views))
    assert scores.precision_per_object == pytest.approx(objects / n_runs)
    assert scores.precision_first_view == pytest.approx(first / n_runs)
    assert scores.mean_rank == pytest.approx(rank_sum / (n_runs * n_views))
    assert scores.mean_cosine == pytest.approx(cosine_sum / (n_runs * n_views))


def test_a_blind_judge_scores_nothing():
    blind = np.full((2, 3, 5), 0.25)
    np.testing.assert_array_equal(ranks(blind, np.array([0, 4])), 5)
    assert retrieval_scores(blind, np.array([0, 4])).precision_per_view == 0.0
    blind[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        retrieval_scores(blind, np.array([0, 4]))
