"""Several prompts in one step become what each becomes alone; those behind catch up, none stops another."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_training import ROOT, environment, group_of, overrides
from training.test_split import FIELDS

from voxjax import train
from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.rendering import SampleBudget
from voxjax.training import session
from voxjax.training.guides import load_guides
from voxjax.training.member import Member, Stuck
from voxjax.training.parts import Inputs
from voxjax.training.room import Room, room_for_all
from voxjax.training.together import Together

PROMPTS = ("a red sphere", "a blue cube")
PROGRAM = """
import json, shutil, sys
from pathlib import Path
import jax, numpy as np
sys.path.insert(0, "tests")
from helpers.small_training import group_of, train_alone
from voxjax.config.loading import load
from voxjax.train import use_cache
from voxjax.training import session
from voxjax.training.member import Member

pairs, folder, prompts = json.loads(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
pairs.append(("devices", sys.argv[4]))
configs = [load("configs/base.py", [*pairs, ("prompt", prompt)]) for prompt in prompts]
use_cache(configs[0].cache_dir)


def place(kind, config):
    where = folder / kind / config.prompt.replace(" ", "-")
    where.mkdir(parents=True, exist_ok=True)
    return where


def together(kind):
    group = group_of(*(Member(config, place(kind, config)) for config in configs))
    return [state for _, state in group.train()[0]]


def numbers(state):
    leaves = jax.tree.leaves((state.params, state.tracked))
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])


def metrics(kind):
    return [[json.loads(line) for line in (place(kind, c) / "metrics.jsonl").open()] for c in configs]


def distance(states):
    return max(np.abs(numbers(a) - b).max() for a, b in zip(states, alone, strict=True))


alone = [numbers(train_alone(config, place("alone", config))) for config in configs]
apart = {"one": distance(together("one"))}
# The first object was stopped after its first step, the second before it began.
first = place("one", configs[0]) / "checkpoints/1"
shutil.copytree(first, place("late", configs[0]) / "checkpoints/1")
apart["late"] = distance(together("late"))
off = [
    abs(a[k] - b[k]) / (1e-3 + abs(a[k]))
    for one, other in zip(metrics("alone"), metrics("one"), strict=True)
    for a, b in zip(one, other, strict=True)
    for k in a
]
print(json.dumps({
    "apart": apart,
    "off": max(off),
    "steps": [[line["step"] for line in one] for one in metrics("late")],
    "objects": float(np.abs(alone[0] - alone[1]).max()),
}))
"""


@pytest.mark.parametrize(
    ("field", "devices"),
    [("vox_exp", 1), ("vox_imp", 1), ("dream_fields", 1), pytest.param("vox_exp", 2, marks=pytest.mark.slow)],
)
def test_objects_in_one_step_become_what_they_become_alone(
    field, devices, tiny_clip, compile_cache, tmp_path
):
    """Through a rescaling and a test of occupancy; and with one that is behind the other."""
    changes = {"steps": 4, "checkpoint.keep": 4, "progressive.occupancy_every": 0.75, **FIELDS[field]}
    pairs = [*overrides(tiny_clip, compile_cache), *((name, str(value)) for name, value in changes.items())]
    pairs = [pair for pair in pairs if pair[0] != "prompt"]
    arguments = [json.dumps(pairs), str(tmp_path), json.dumps(PROMPTS), str(devices)]
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env=environment(
            XLA_FLAGS=f"--xla_force_host_platform_device_count={devices}", JAX_DISABLE_MOST_OPTIMIZATIONS="1"
        ),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found["objects"] > 1e-3, "the prompts make no difference"
    assert max(found["apart"].values()) < 1e-4, found
    assert found["off"] < 1e-3, found
    assert found["steps"] == [[2, 3, 4], [1, 2, 3, 4]]


def test_a_step_of_one_object_is_left_as_it_is():
    together, step = Together(1), object()
    assert together.map(step) is step and together.stack([step]) is step and together.apart(step) == [step]


def test_objects_share_the_key_and_the_weights_and_have_texts_of_their_own():
    def step(state, inputs):
        return state + inputs.text[0] * inputs.clip_params[0], {"x": jax.random.uniform(inputs.key) + state}

    each = [
        Inputs(jax.random.key(3), (jnp.float32(2),), (jnp.float32(text),), (jnp.zeros(1),)) for text in (5, 7)
    ]
    together = Together(2)
    state, metrics = together.map(step)(
        together.stack([jnp.float32(1), jnp.float32(2)]), together.inputs(each)
    )
    assert [float(one) for one in together.apart(state)] == [11, 16]
    first, second = (one["x"] for one in together.scalars(metrics))
    assert first == pytest.approx(1 + float(jax.random.uniform(jax.random.key(3)))) and second == first + 1


def test_the_room_of_all_holds_that_of_each():
    rooms = [Room(SampleBudget(9, 100), 50, True), Room(SampleBudget(12, 80), 60, False)]
    assert room_for_all(rooms) == Room(SampleBudget(12, 100), 60, False)
    assert room_for_all([Room(), Room()]) == Room()


def test_one_that_is_stuck_stops_no_other(tiny_clip, compile_cache, tmp_path, monkeypatch, capsys):
    plain = {f"augment__{name}": False for name in ("diff", "back", "crop")}
    pairs = overrides(tiny_clip, compile_cache, steps=3, progressive__boundaries=(), **plain)
    members = [
        Member(load(f"{ROOT}/configs/base.py", [*pairs, ("prompt", prompt)]), tmp_path / prompt[-4:])
        for prompt in PROMPTS
    ]
    for member in members:
        member.workdir.mkdir()
    look = Member.refuse_stuck

    def refuse(member, done, scalars):
        look(member, done, scalars)
        if member is members[0] and done == 2:
            raise Stuck(member, f"{member.workdir}: stopped")

    monkeypatch.setattr(Member, "refuse_stuck", refuse)
    left, stuck = group_of(*members).train()
    assert [(member, int(state.step)) for member, state in left] == [(members[1], 3)]
    assert [each.member for each in stuck] == [members[0]]
    assert f"{members[0].workdir}: stopped; the others go on" in capsys.readouterr().err
    lines = [
        json.loads(line)["step"] for line in (members[1].workdir / "metrics.jsonl").read_text().splitlines()
    ]
    assert lines == [1, 2, 3]
    left, stuck = group_of(members[0]).train()
    assert left == [] and [each.member for each in stuck] == [members[0]]


def test_one_of_a_list_that_diverges_is_told_at_the_end(tiny_clip, compile_cache, tmp_path, monkeypatch):
    """Each is a group of its own on a CPU: the others are trained all the same, and the status is no 0."""
    look = Member.refuse_stuck

    def refuse(member, done, scalars):
        look(member, done, scalars)
        if member.config.prompt == "a red sphere":
            raise Stuck(member, f"{member.workdir}: stopped at step {done}")

    monkeypatch.setattr(Member, "refuse_stuck", refuse)
    pairs = [
        *overrides(tiny_clip, compile_cache, steps=2, progressive__boundaries=()),
        ("progressive.occupancy_every", "0"),
    ]
    objects = [
        (load(f"{ROOT}/configs/base.py", [*pairs, ("prompt", prompt)]), tmp_path / prompt.replace(" ", "-"))
        for prompt in ("a red sphere", "a blue cube")
    ]
    with pytest.raises(UserError, match="a-red-sphere: stopped at step 1"):
        train.train(objects)
    assert (tmp_path / "a-blue-cube/eval.png").is_file() and not (tmp_path / "a-red-sphere/eval.png").exists()


def test_the_time_of_other_groups_is_not_that_of_an_object(tmp_path, monkeypatch):
    """Loading counts from where the group's turn comes; what came before was work on others."""
    members = [
        Member(load("demo", [("prompt", prompt), ("cache_dir", "")]), tmp_path / prompt[-4:])
        for prompt in PROMPTS
    ]
    now = [100.0]
    for member in members:
        monkeypatch.setattr(member.timing, "_clock", lambda: now[0])
    for _ in session.groups(members, together=1):
        now[0] += 50.0
    for member, seconds in zip(members, (100.0, 50.0), strict=True):
        member.timing.write(1)
        assert json.loads((member.workdir / "summary.json").read_text())["loading_seconds"] == seconds


def test_prompts_of_different_models_are_different_groups(tmp_path):
    configs = [
        load("demo", [("prompt", prompt), ("cache_dir", "")])
        for prompt in ("a red sphere", "a cactus", "a blue cube")
    ]
    found = list(session.groups([Member(config, tmp_path) for config in configs], together=2))
    assert [[member.config.prompt for member in group.members] for group in found] == [
        ["a red sphere", "a blue cube"],
        ["a cactus"],
    ]
    assert found[0].opening.startswith("2 objects as one, each vox_exp")
    with pytest.raises(UserError, match="guided by pocket and 'a cactus' by picturebook"):
        load_guides(configs[:2])
    configs[2] = load("demo", [("prompt", "a blue zebrafish"), ("clip.model", "pocket")])
    with pytest.raises(UserError, match="zebrafish"):
        next(session.groups([Member(config, tmp_path) for config in (configs[0], configs[2])], together=1))


def test_the_targets_are_those_of_each_prompt():
    configs = [load("demo", [("prompt", prompt), ("clip.model", "pocket")]) for prompt in PROMPTS]
    together = load_guides(configs)
    for config, loaded in zip(configs, together, strict=True):
        alone = load_guides([config])[0]
        np.testing.assert_allclose(loaded.targets[0], alone.targets[0], atol=1e-6)
        assert loaded.params[0] is together[0].params[0]
