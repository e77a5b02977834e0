"""Room for samples: it follows the occupancy and nothing else, and asking for it again costs no compiling."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_training import ROOT, overrides

from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.training.room import choose_room


@pytest.fixture(scope="module")
def room(tiny_clip):
    """(plan, mask -> the room of a step on the final grid)."""
    config = load(f"{ROOT}/configs/base.py", overrides(tiny_clip))
    plan = make_plan(config)
    stage = plan.stage_at(5)

    def of(mask, *, plan=plan):
        occupancy = np.zeros(stage.shape, bool)
        occupancy[mask] = True
        return choose_room(config, plan, stage, {"occupancy": jnp.asarray(occupancy)})

    return plan, of


def test_it_shrinks_with_occupancy_and_depends_on_nothing_else(room):
    _, of = room
    few = np.s_[4:6, 4:6, 4:6]
    whole, part = of(np.s_[:]).samples, of(few).samples
    assert part.capacity * 4 <= whole.capacity and part.per_ray <= whole.per_ray
    assert whole.capacity % part.capacity == 0 or whole.capacity // part.capacity in (2, 4, 8, 16, 32, 64)
    again = of(few)
    assert again.samples == part and not again.all_on and again.vertices is None


def test_a_first_test_that_empties_little_asks_for_no_other_program(room):
    plan, of = room
    assert plan.occupancy_every and of(np.s_[:]) == of(np.s_[1:])
    never = dataclasses.replace(plan, occupancy_every=0)
    assert of(np.s_[:], plan=never).all_on and not of(np.s_[1:], plan=never).all_on


def test_asking_again_compiles_nothing(room):
    _, of = room
    compiled = []

    def listen(name, seconds, **_):
        if name.endswith("backend_compile_duration"):
            compiled.append(seconds)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: x + len(compiled))(1.0)
        assert len(compiled) == 1, "compiling is heard of"
        of(np.s_[2:])
        before = len(compiled)
        of(np.s_[3:])
        assert len(compiled) == before
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
