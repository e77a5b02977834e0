"""Saving memory changes no number: micro-batches, recomputation, and models outside their window."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_training import ROOT, group_of, overrides

from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.guidance import load_guidance
from voxjax.guidance.memory import bytes_per_image, choose_micro_batch, free_bytes
from voxjax.training import assembly, session
from voxjax.training.guides import load_guides
from voxjax.training.loop import Trainer
from voxjax.training.member import Member
from voxjax.training.parts import Guide
from voxjax.training.room import choose_room
from voxjax.training.step import embed_images, make_step


@dataclasses.dataclass(frozen=True)
class OnlyResize:
    """As much of `Parts` as embedding needs."""

    @staticmethod
    def resize(images, size):
        return images[:, :size, :size]


def pixel_gradient(guidance, images, micro_batch):
    guide = Guide("clip", guidance.encode, guidance.image_size, micro_batch=micro_batch)
    direction = np.random.default_rng(1).normal(size=guidance.embedding_size).astype(np.float32)

    def loss(x):
        return jnp.sum(embed_images(OnlyResize, guide, guidance.params, x) @ direction)

    return jax.jit(jax.value_and_grad(loss))(images)


@pytest.mark.slow
def test_micro_batches_and_recomputation_give_the_same_gradient(tiny_clip):
    plain, _ = load_guidance(tiny_clip)
    images = np.random.default_rng(0).random((6, plain.image_size, plain.image_size, 3)).astype(np.float32)
    value, gradient = pixel_gradient(plain, images, None)
    again, _ = load_guidance(tiny_clip, remat=True)
    for guidance, micro_batch in ((plain, 2), (plain, 1), (again, None), (again, 3)):
        other_value, other_gradient = pixel_gradient(guidance, images, micro_batch)
        np.testing.assert_allclose(other_value, value, rtol=1e-5)
        np.testing.assert_allclose(other_gradient, gradient, atol=1e-5 * float(jnp.abs(gradient).max()))


def test_recomputation_keeps_less(tiny_clip):
    plain, again = (bytes_per_image(load_guidance(tiny_clip, remat=remat)[0]) for remat in (False, True))
    assert 0 < again < 0.6 * plain


def test_the_micro_batch_is_the_largest_divisor_that_fits(tiny_clip):
    guidance, _ = load_guidance(tiny_clip)
    each = bytes_per_image(guidance)
    assert choose_micro_batch(guidance, 12) == 12
    assert choose_micro_batch(guidance, 12, wanted=5) == 4
    assert choose_micro_batch(guidance, 12, wanted=99) == 12
    assert choose_micro_batch(guidance, 12, free=14 * each) == 6  # half of it holds 7
    assert choose_micro_batch(guidance, 12, free=0) == 1


@pytest.fixture(scope="module")
def windowed(tiny_clip):
    """A run of three models, each in a window of its own."""
    pairs = overrides(
        tiny_clip,
        steps=4,
        progressive__boundaries=(),
        progressive__occupancy_every=0.0,
        clip__end=0.5,
        clip2__model=tiny_clip,
        clip2__start=0.25,
        clip2__end=0.5,
        clip__more=(f"{tiny_clip} 0.25 0.5 1",),
        **{f"augment__{name}": False for name in ("diff", "back", "crop")},
    )
    return load(f"{ROOT}/configs/base.py", pairs)


@pytest.mark.slow
def test_a_model_outside_its_window_is_in_no_program_and_on_no_device(windowed, tmp_path):

    group = group_of(Member(windowed, tmp_path))
    trainer = Trainer(group.members, group.guides, group.devices)
    seen = []
    prepare = trainer._prepare

    def spy(step, states):
        prepare(step, states)
        seen.append(
            (step, len(trainer._inputs.clip_params), len(jax.tree.leaves(trainer._inputs.clip_params)))
        )

    trainer._prepare = spy
    trainer.train(session.restore(group.members))
    assert [(step, n) for step, n, _ in seen] == [(0, 1), (1, 2), (2, 1)]
    assert seen[1][2] == 2 * seen[0][2]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    terms = [{name for name in line if name.startswith("loss/clip")} for line in lines]
    assert terms == [{"loss/clip"}, {"loss/clip", "loss/clip2"}, {"loss/clip3"}, {"loss/clip3"}]
    similarity = lines[3]["clip_similarity"]
    assert lines[3]["loss/clip3"] == pytest.approx(-0.25 * similarity, rel=1e-5)


def test_targets_follow_the_view(tiny_clip):
    """With a prompt for each kind of view, an image is compared with that of its own camera."""
    config = load(
        f"{ROOT}/configs/base.py",
        overrides(
            tiny_clip,
            cameras__views_per_step=2,
            cameras__azimuth_deg=(170.0, 190.0),
            progressive__boundaries=(),
            **{f"augment__{name}": False for name in ("diff", "back", "crop")},
        ),
    )
    guides = load_guides([config])[0]
    inputs = guides.inputs(jax.random.key(0), (0,))
    assert inputs.text[0].shape[0] == 1
    inputs = inputs.replace(text=(jnp.repeat(inputs.text[0], 4, axis=0),))
    plan = make_plan(config)
    state = assembly.first_state(config, plan, jax.random.key(0))
    room = choose_room(config, plan, plan.stage_at(0), state.tracked)
    parts = assembly.make_parts(config, plan, plan.stage_at(0), room, guides, (0,))
    step = jax.jit(make_step(parts))
    value = float(step(state, inputs)[1]["clip_similarity"])
    # All cameras stand behind the object: only the third target may matter.
    for row, matters in ((0, False), (1, False), (2, True), (3, False)):
        text = inputs.text[0].at[row].multiply(-1.0)
        other = float(step(state, inputs.replace(text=(text,)))[1]["clip_similarity"])
        assert (other != value) == matters


@pytest.mark.parametrize(
    ("stats", "free"),
    [
        ([{"bytes_limit": 100, "bytes_in_use": 30}, {"bytes_limit": 90, "bytes_in_use": 40}], 50),
        ([{"bytes_limit": 100}], 100),
        ([None], None),
        ([{"bytes_limit": 100}, {}], None),
    ],
)
def test_the_device_that_has_least_decides(stats, free, monkeypatch):
    devices = [SimpleNamespace(memory_stats=lambda each=each: each) for each in stats]
    monkeypatch.setattr(jax, "local_devices", lambda: devices)
    assert free_bytes() == free
