"""Every field through the same loop: it trains, resumes bit for bit, and makes all pictures."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from helpers.small_training import ROOT, group_of, overrides

from voxjax.checkpoint import Checkpoints, to_state
from voxjax.config.loading import load
from voxjax.config.saved import to_json
from voxjax.factory import make_plan
from voxjax.fields import FIELDS
from voxjax.pictures.outputs import EVALUATION, PREVIEW, TURNTABLE, TURNTABLE_DEPTH, write_pictures
from voxjax.pictures.views import picture_options, view_of
from voxjax.run import CHECKPOINTS, CONFIG, load_run
from voxjax.train import use_cache
from voxjax.training import session
from voxjax.training.loop import Trainer
from voxjax.training.member import Member
from voxjax.training.room import choose_room

STEPS = 4
KINDS = {
    "vox_imp": {
        "field.name": "vox_imp",
        "vox_imp.width": 8,
        "vox_imp.n_frequencies": 2,
        "vox_imp.slab": 300,
        "vox_imp.skip": True,
        "field.box": "frustum",
        # A part of the vertices is below this, so that the test of occupancy empties buckets.
        "progressive.occupancy_threshold": 0.004,
        "progressive.occupancy_every": 1.0,
        "progressive.occupancy_offset": 0.5,
        "progressive.boundaries": (0.75,),
        "optimiser.rate_network": 1e-3,
    },
    "dream_fields": {
        "field.name": "dream_fields",
        "field.half_width": 1.0,
        "dream_fields.width": 8,
        "dream_fields.hidden": 8,
        "dream_fields.n_blocks": 1,
        "dream_fields.n_features": 4,
        "dream_fields.n_samples": 8,
        "dream_fields.n_test_samples": 12,
        "dream_fields.chunk": 700,
        "dream_fields.origin_decay": 0.9,
        "loss.entropy": 0.0,
        "optimiser.warmup": 0.5,
    },
}


def train(config, workdir):
    group = group_of(Member(config, workdir))
    state = session.restore(group.members)[0]
    start = int(state.step)
    if start == 0 and config.field.name == "vox_imp":
        # Large weights make a scene with structure without training.
        networks = {name: jax.tree.map(lambda x: 3 * x, state.params[name]) for name in ("density", "colour")}
        state = dataclasses.replace(state, params={**state.params, **networks})
    return Trainer(group.members, group.guides, group.devices).train([state])[0], start


def test_every_field_that_shares_the_loop_is_here():
    # The tests of the loop itself run on Vox_Exp.
    assert {"vox_exp", *KINDS} == set(FIELDS)


@pytest.fixture(scope="module", params=sorted(KINDS))
def finished(request, tiny_clip, compile_cache, tmp_path_factory):
    """(kind, config, workdir of a whole run with all its checkpoints)."""
    use_cache(str(compile_cache))
    # Without augmentations, which have tests of their own: the step then compiles in half the time.
    plain = {f"augment__{name}": False for name in ("diff", "back", "crop")}
    changes = {name: str(value) for name, value in KINDS[request.param].items()}
    pairs = dict(overrides(tiny_clip, steps=STEPS, checkpoint__keep=STEPS, **plain)) | changes
    config = load(f"{ROOT}/configs/base.py", list(pairs.items()))
    workdir = tmp_path_factory.mktemp("every") / request.param
    workdir.mkdir()
    (workdir / CONFIG).write_text(to_json(config))
    train(config, workdir)
    return request.param, config, workdir


def stored(workdir, step):
    return to_state(Checkpoints(workdir / CHECKPOINTS).restore(step), opt_state=None)


def test_a_resumed_run_ends_bit_for_bit_as_a_whole_one(finished, tmp_path):
    kind, config, workdir = finished
    for step in (1, 3):  # before the test of occupancy, and before the rescaling
        other = tmp_path / str(step)
        shutil.copytree(workdir / CHECKPOINTS / str(step), other / CHECKPOINTS / str(step))
        end, start = train(config, other)
        assert start == step and int(end.step) == STEPS
        wanted = Checkpoints(workdir / CHECKPOINTS).restore(STEPS)
        got = Checkpoints(other / CHECKPOINTS).restore(STEPS)
        assert jax.tree.structure(got) == jax.tree.structure(wanted)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_array_equal(a, b)


def test_training_moves_what_it_should(finished):
    kind, config, workdir = finished
    first, last = stored(workdir, 1), stored(workdir, STEPS)
    moved = jax.tree.map(lambda a, b: bool(np.any(np.asarray(a) != np.asarray(b))), first.params, last.params)
    assert all(jax.tree.leaves(moved)), moved
    assert int(last.skipped) == 0
    if kind == "dream_fields":
        assert np.any(np.asarray(first.tracked["origin"])), "the first step already moves the origin"
        assert np.all(np.asarray(first.tracked["origin"]) != np.asarray(last.tracked["origin"]))
        np.testing.assert_array_equal(first.tracked["basis"], last.tracked["basis"])
        return
    plan = make_plan(config)
    steps = (1, 3, STEPS)  # at the start, behind the test of occupancy, behind the rescaling
    stages = [plan.saved_stage(step) for step in steps]
    tracked = [stored(workdir, step).tracked for step in steps]
    rooms = [choose_room(config, plan, *each) for each in zip(stages, tracked, strict=True)]
    assert stages[0] == stages[1] != stages[2], "there is a rescaling"
    assert not rooms[0].all_on and not rooms[1].all_on, "a test is to come, and was"
    assert rooms[1].vertices < rooms[0].vertices, "the test of occupancy empties a bucket"


def test_the_log_tells_what_the_field_has(finished):
    kind, _, workdir = finished
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert all(line["overflow"] == 0 for line in lines)
    if kind == "vox_imp":
        assert {"loss/kl", "loss/tv", "gradient/density", "gradient/colour", "grid/x"} <= set(lines[0])
        assert 0 < lines[-1]["vertices_evaluated"] < lines[0]["vertices_evaluated"] <= 1
        assert all(line["vertices_overflow"] == 0 for line in lines)
        assert all(line["loss/tv"] > 0 for line in lines)
    else:
        assert "gradient/network" in lines[0] and not {"loss/kl", "loss/tv", "grid/x"} & set(lines[0])
        rates = [line["learning_rate"] for line in lines]
        assert rates[0] < rates[1]


def test_all_pictures_are_made(finished, tmp_path):
    _, _, workdir = finished
    run = load_run(workdir)
    paths = write_pictures(tmp_path, view_of(run), options=picture_options(run.config))
    assert {path.name for path in paths} == {PREVIEW, EVALUATION, TURNTABLE, TURNTABLE_DEPTH}
    view = view_of(run)(30.0, 45.0, 12)
    assert view.colour.shape == (12, 12, 3) and np.isfinite(view.colour).all()
    assert 0 < view.transmittance.min() < 1
