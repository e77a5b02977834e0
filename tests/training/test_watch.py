"""Warnings in words, at the right time."""

import pytest

from voxjax.training.watch import SceneWatch


def scalars(transmittance, overflow=0.0):
    return {"transmittance": transmittance, "overflow": overflow}


@pytest.mark.parametrize(
    ("transmittance", "state", "on_grid", "advice"),
    [
        (0.999, "empty", True, "field.alpha_init ten times"),
        (0.001, "full", True, "rate_density"),
        (0.999, "empty", False, "a field with a grid"),
        (0.001, "full", False, "rate_network"),
    ],
)
def test_an_empty_or_full_scene_is_named_once_with_a_remedy(transmittance, state, on_grid, advice):
    watch = SceneWatch(100, on_grid=on_grid)
    steps = list(range(50, 501, 50))
    said = {step: watch.look(step, scalars(transmittance)) for step in steps}
    assert [step for step in steps if said[step]] == [150]
    (text,) = said[150]
    assert f"has been {state} for 100 steps" in text and advice in text
    # After better times the count starts again.
    assert watch.look(550, scalars(0.5)) == []
    assert [bool(watch.look(step, scalars(transmittance))) for step in (600, 650, 700)] == [
        False,
        False,
        True,
    ]


def test_samples_without_room_are_reported_at_once():
    watch = SceneWatch(100)
    (text,) = watch.look(1, scalars(0.5, overflow=12.0))
    assert "12 samples" in text
    assert watch.look(2, scalars(0.5, overflow=12.0)) == []
