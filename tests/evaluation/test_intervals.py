"""Bootstrap intervals against a plain loop over resamples, and against what is known of them."""

import numpy as np
import pytest

from voxjax.evaluation import intervals
from voxjax.evaluation.intervals import bootstrap_intervals


def test_against_a_loop_over_whole_prompts():
    """Prompts with one to four runs; every resample is built run by run from the same draws of prompts."""
    data = np.random.default_rng(3)
    prompts = np.repeat([7, 2, 9, 4, 5, 1], [1, 4, 2, 1, 3, 2])
    values = {
        "right": data.integers(0, 2, len(prompts)).astype(float),
        "rank": data.uniform(1, 9, len(prompts)),
    }
    names = sorted(set(prompts.tolist()))
    draws = np.random.default_rng(0).integers(0, len(names), (10_000, len(names)))
    found = bootstrap_intervals(values, prompts)
    for name, each in values.items():
        runs_of = [each[prompts == prompt] for prompt in names]
        means = [np.concatenate([runs_of[k] for k in drawn]).mean() for drawn in draws]
        means.sort()
        # Percentiles by hand: linear between the two order statistics around the place.
        for got, share in zip(found[name], (0.025, 0.975), strict=True):
            place = share * (len(means) - 1)
            low = int(place)
            wanted = means[low] + (place - low) * (means[low + 1] - means[low])
            assert got == pytest.approx(wanted, abs=1e-12)


def test_runs_of_a_prompt_stay_together():
    """Two prompts, one always right and one always wrong: half of all resamples have one of each."""
    right = np.repeat([1.0, 0.0], 50)
    low, high = bootstrap_intervals({"right": right}, np.repeat([0, 1], 50))["right"]
    assert (low, high) == (0.0, 1.0)  # a bootstrap over the hundred runs would say 0.4 to 0.6
    single = bootstrap_intervals({"right": right}, np.arange(100))["right"]
    assert 0.38 < single[0] < 0.43 and 0.57 < single[1] < 0.62


def test_no_interval_of_one_prompt_and_the_same_every_time():
    assert bootstrap_intervals({"x": np.array([0.1, 0.9])}, np.array([3, 3])) == {"x": None}
    given = ({"x": np.array([0.1, 0.9, 0.4])}, np.array([0, 1, 2]))
    assert bootstrap_intervals(*given) == bootstrap_intervals(*given)
    assert "95%" in intervals.METHOD and "10000 resamples, seed 0" in intervals.METHOD
