"""Schedules against float64 and against the step numbers of the paper."""

import jax
import numpy as np
import pytest

from voxjax import schedules

PAPER_STEPS = 15_000


@pytest.mark.parametrize("step", [5000, 7000, 9000, 11000, 8000, 13000, 500, 1, 14999, 15000])
def test_fractions_give_the_paper_steps_exactly(step):
    assert schedules.steps_from_fraction(step / PAPER_STEPS, PAPER_STEPS) == step
    assert schedules.steps_from_fraction(float(np.float32(step / PAPER_STEPS)), PAPER_STEPS) == step


def test_fractions_move_with_the_length_of_the_run():
    assert schedules.steps_from_fraction(5000 / PAPER_STEPS, 3000) == 1000
    assert schedules.steps_from_fraction(0.5, 5) == 3
    assert isinstance(schedules.steps_from_fraction(0.3, 7), int)


def test_resolution_doubles_at_the_paper_steps():
    boundaries = (5000, 7000, 9000, 11000)
    final = 140**3
    expected = {0: 16, 4999: 16, 5000: 8, 6999: 8, 7000: 4, 9000: 2, 10999: 2, 11000: 1, 15000: 1}
    for step, divisor in expected.items():
        assert schedules.resolution_at(step, final_voxels=final, boundaries=boundaries) == int(
            final / divisor
        )
    assert schedules.resolution_at(0, final_voxels=80**3, boundaries=()) == 80**3
    with pytest.raises(ValueError, match="ascend"):
        schedules.resolution_at(0, final_voxels=8, boundaries=(7, 5))
    with pytest.raises(ValueError, match="ascend"):
        schedules.resolution_at(0, final_voxels=8, boundaries=(5, 5))


def test_annealing_is_a_straight_line_of_the_logarithm():
    schedule = jax.jit(schedules.exponential_anneal(0.5, 0.1, 500))
    for step in (0, 1, 123, 250, 499, 500, 501, 15000):
        share = min(step / 500, 1.0)
        expected = np.exp(np.log(0.5) * (1 - share) + np.log(0.1) * share)
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-6)
    assert float(schedules.exponential_anneal(0.5, 0.1, 0)(0)) == pytest.approx(0.1)


def test_transmittance_target_runs_from_a_half_to_nine_tenths():
    tau = jax.jit(schedules.transmittance_target())
    assert float(tau(0)) == pytest.approx(0.5, rel=1e-6)
    assert float(tau(250)) == pytest.approx(1 - 0.05**0.5, rel=1e-6)
    assert float(tau(500)) == float(tau(9999)) == pytest.approx(0.9, rel=1e-6)
    scaled = schedules.transmittance_target(opacity_scale=1.2**2 / 1.2)
    assert float(scaled(500)) == pytest.approx(1 - 0.12, rel=1e-6)


def test_learning_rate_falls_by_ten_in_twenty_thousand_steps():
    rate = jax.jit(schedules.exponential_decay(0.1))
    for step in (0, 5000, 20_000, 40_000):
        assert float(rate(step)) == pytest.approx(0.1 * 0.1 ** (step / 20_000), rel=1e-5)


def test_windows_are_half_open():
    gate = jax.jit(schedules.window(5000, 13_000))
    assert [float(gate(s)) for s in (0, 4999, 5000, 12_999, 13_000)] == [0.0, 0.0, 1.0, 1.0, 0.0]
    assert float(schedules.window(5, 5)(5)) == 0.0
    assert float(jax.jit(schedules.constant(0.25))(77)) == 0.25


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.exponential_anneal(0.0, 0.1, 5),
        lambda: schedules.exponential_anneal(0.5, -0.1, 5),
        lambda: schedules.exponential_anneal(0.5, 0.1, -1),
        lambda: schedules.exponential_decay(1.0, every=0),
        lambda: schedules.exponential_decay(1.0, factor=0.0),
    ],
)
def test_what_has_no_logarithm_is_refused(make):
    with pytest.raises(ValueError, match="positive"):
        make()


def test_one_predicate_for_every_cadence():
    assert [step for step in range(1, 11) if schedules.is_due(step, 4, 10)] == [4, 8, 10]
    assert [step for step in range(1, 11) if schedules.is_due(step, 0, 10)] == [10]
    assert [step for step in range(1, 11) if schedules.is_due(step, 5)] == [5, 10]
