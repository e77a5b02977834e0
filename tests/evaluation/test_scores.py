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
    right = first = objects = among_five = 0
    rank_sum = cosine_sum = 0.0
    for r in range(n_runs):
        mean = [sum(cosines[r, v, c] for v in range(n_views)) / n_views for c in range(n_captions)]
        objects += max(range(n_captions), key=mean.__getitem__) == own[r]
        for v in range(n_views):
            order = sorted(range(n_captions), key=lambda c, r=r, v=v: -cosines[r, v, c])
            rank_sum += order.index(own[r]) + 1
            cosine_sum += cosines[r, v, own[r]]
            right += order[0] == own[r]
            among_five += own[r] in order[:5]
            first += v == 0 and order[0] == own[r]
    scores = retrieval_scores(cosines, own)
    assert 0 < right < n_runs * n_views and 0 < objects < n_runs
    found = {name: each.mean() for name, each in scores.figures().items()}
    assert found["r_precision_at_1_per_view"] == pytest.approx(right / (n_runs * n_views))
    assert found["r_precision_at_1_per_object"] == pytest.approx(objects / n_runs)
    assert found["r_precision_at_1_evaluation_view"] == pytest.approx(first / n_runs)
    assert found["r_precision_at_5_per_view"] == pytest.approx(among_five / (n_runs * n_views))
    assert found["mean_rank"] == pytest.approx(rank_sum / (n_runs * n_views))
    assert found["mean_cosine"] == pytest.approx(cosine_sum / (n_runs * n_views))


def test_by_hand_with_ties():
    """Six captions, two runs, two views; a tie counts against the object."""
    cosines = [
        [[0.3, 0.3, 0.1, 0.0, 0.0, 0.0], [0.5, 0.1, 0.1, 0.1, 0.1, 0.1]],  # own 0: tied (rank 2), then first
        [[0.9, 0.8, 0.7, 0.6, 0.5, 0.5], [0.2, 0.2, 0.2, 0.2, 0.1, 0.2]],  # own 4: tied for fifth is sixth
    ]
    scores = retrieval_scores(np.array(cosines), np.array([0, 4]))
    np.testing.assert_array_equal(scores.view_ranks, [[2, 1], [6, 6]])
    # Means over the views: 0.4 against 0.2 at most; 0.3 against 0.55, 0.5, 0.45, 0.4, 0.35.
    np.testing.assert_array_equal(scores.object_ranks, [1, 6])
    figures = scores.figures()
    np.testing.assert_allclose(figures["r_precision_at_1_evaluation_view"], [0, 0])
    np.testing.assert_allclose(figures["r_precision_at_5_evaluation_view"], [1, 0])
    np.testing.assert_allclose(figures["r_precision_at_1_per_view"], [0.5, 0])
    np.testing.assert_allclose(figures["r_precision_at_1_per_object"], [1, 0])
    np.testing.assert_allclose(figures["r_precision_at_5_per_object"], [1, 0])
    np.testing.assert_allclose(figures["mean_rank"], [1.5, 6])
    np.testing.assert_allclose(figures["mean_cosine_evaluation_view"], [0.3, 0.5])
    # Among five captions every object is one of the first five: no figure.
    assert "r_precision_at_5_per_view" not in retrieval_scores(np.zeros((1, 1, 5)), np.array([0])).figures()


def test_a_blind_judge_scores_nothing():
    blind = np.full((2, 3, 5), 0.25)
    np.testing.assert_array_equal(ranks(blind, np.array([0, 4])), 5)
    assert retrieval_scores(blind, np.array([0, 4])).figures()["r_precision_at_1_per_view"].max() == 0.0
    blind[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        retrieval_scores(blind, np.array([0, 4]))
