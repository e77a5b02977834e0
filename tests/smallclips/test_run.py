"""A run of phases on a world of one dimension: schedules, shifted images, and going on exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from voxjax.errors import UserError
from voxjax.smallclips import run, training
from voxjax.smallclips.recipe import Phase

PHASE = Phase(steps=24, learning_rate=0.1, adversarial_radius=1.0, adversarial_from=0.25)
KEY = jax.random.key(3)


@struct.dataclass
class Batch:
    images: jax.Array
    wanted: jax.Array


def draw(key, rng, clutter):
    images = jnp.asarray(rng.random((4, 2, 2, 3)), jnp.float32)
    return Batch(images, clutter + jax.random.uniform(key, (4,)))


def loss(params, images, batch):
    found = jnp.tanh(images.reshape(4, -1) @ params["clip"]["w"]).sum(-1) + params["help"]
    error = jnp.mean((found - batch.wanted) ** 2)
    return error, {"error": error, "accuracy": error}


def task():
    return run.Task(draw, loss, {"help": jnp.zeros(())})


def clip():
    return {"w": jnp.ones((12, 5)) * 0.1}


def run_to(folder, phase=PHASE, **options):
    kept = []
    how = run.Run(folder, keep=lambda ema, progress: kept.append(progress.step), **options)
    return run.run_phase(KEY, 0, phase, task(), clip(), how), kept


class Killed(Exception):
    pass


def test_a_run_that_was_killed_ends_like_one_that_was_not(tmp_path):
    whole, kept = run_to(tmp_path / "whole", keep_every=7)
    assert kept == [8, 16, 24]

    def die(ema, progress):
        if progress.step > 13:
            raise Killed

    with pytest.raises(Killed):
        run.run_phase(KEY, 0, PHASE, task(), clip(), run.Run(tmp_path / "cut", keep=die, keep_every=7))
    resumed, kept = run_to(tmp_path / "cut", keep_every=7)
    assert kept and kept[0] > 14, "it goes on, it does not begin anew"
    np.testing.assert_array_equal(whole["w"], resumed["w"])


def test_a_run_killed_in_its_last_save_is_kept_by_the_next(tmp_path):
    def die(ema, progress):
        raise Killed

    with pytest.raises(Killed):
        run.run_phase(KEY, 0, PHASE, task(), clip(), run.Run(tmp_path, keep=die))
    kept = []
    how = run.Run(tmp_path, keep=lambda ema, progress: kept.append((ema, progress.step)))
    ended = run.run_phase(KEY, 0, PHASE, task(), clip(), how)
    whole, _ = run_to(tmp_path / "whole")
    ((ema, step),) = kept
    assert step == PHASE.steps
    np.testing.assert_array_equal(ema["w"], whole["w"])
    np.testing.assert_array_equal(ended["w"], whole["w"])


def test_a_finished_phase_is_passed_over(tmp_path):
    ended, _ = run_to(tmp_path)
    again, kept = run_to(tmp_path)
    assert kept == [PHASE.steps], "once, as the save before may have been cut off"
    np.testing.assert_array_equal(ended["w"], again["w"])
    how = run.Run(tmp_path, keep=lambda ema, progress: None)
    second = run.run_phase(KEY, 1, PHASE, task(), ended, how)
    assert not np.array_equal(second["w"], ended["w"])
    left_behind, kept = run_to(tmp_path)  # the snapshot is of the second phase now
    assert not kept


def test_a_snapshot_of_another_size_is_refused(tmp_path):
    run_to(tmp_path)
    how = run.Run(tmp_path, keep=lambda ema, progress: None)
    with pytest.raises(UserError, match="another recipe"):
        run.run_phase(KEY, 0, PHASE, task(), {"w": jnp.ones((12, 6))}, how)
    (tmp_path / run.SNAPSHOT).write_bytes(b"nothing")
    with pytest.raises(UserError, match="no snapshot"):
        run_to(tmp_path)


def test_minutes_stretch_the_schedules(tmp_path):
    """As many updates as fit, whatever the phase says, and the whole of every schedule."""
    rates = run.Run(tmp_path, keep=lambda *_: None, minutes=0.5)
    progress = run.Progress(step=1000, seconds=15.0)
    assert rates.share_done(PHASE, progress) == pytest.approx(0.5)
    _, kept = run_to(tmp_path, minutes=0.02)
    assert kept[-1] != PHASE.steps


def test_schedules_at_their_corners():
    phase = Phase(steps=100, learning_rate=1.0, adversarial_radius=2.0, adversarial_from=0.25)
    assert run.radius_at(phase, 25) == 0.0 and run.radius_at(phase, 35) == pytest.approx(1.0)
    assert run.radius_at(phase, 60) == 2.0
    assert run.clutter_at(phase, 0) == 0.0 and run.clutter_at(phase, 18) == 1.0
    assert run.clutter_at(Phase(steps=100, learning_rate=1.0, clutter=0.3), 0) == 0.3
    rate = training.make_rate(phase)
    assert float(rate(0)) == 0.0 and float(rate(4)) == 1.0 and float(rate(100)) == pytest.approx(0.02)


def test_images_are_shifted_up_the_loss_and_no_further_than_asked():
    key = jax.random.key(0)
    images = jnp.full((8, 4, 4, 3), 0.5)
    slope = jax.random.normal(jax.random.key(1), images.shape)
    moved = training.shift_images(key, images, slope, jnp.float32(0.3), share=0.8) - images
    distances = jnp.sqrt(jnp.sum(moved**2, axis=(1, 2, 3)))
    assert float(distances.max()) <= 0.3 + 1e-5
    assert float(distances.max()) > 0.05, "some image moves"
    assert (jnp.sum(moved * slope, axis=(1, 2, 3)) >= 0).all()
    still = training.shift_images(key, images, slope, jnp.float32(0.3), share=0.0)
    np.testing.assert_array_equal(still, images)


def test_an_update_is_the_mean_gradient_step_of_its_optimiser():
    """The rate scales the step: at rate 0 nothing moves but the optimiser's memory."""
    optimiser = training.make_optimiser()
    update = training.make_update(loss, optimiser)
    batch = draw(jax.random.key(0), np.random.default_rng(0), 0.0)
    state, gradient, parts = update(
        training.begin(clip(), task().helpers, optimiser), batch.images, batch, 0.0
    )
    np.testing.assert_array_equal(state.params["clip"]["w"], clip()["w"])
    wanted = jax.grad(lambda images: loss({"clip": clip(), **task().helpers}, images, batch)[0])(batch.images)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5)
    moved, _, later = update(state, batch.images, batch, 0.05)
    assert later["error"] == parts["error"]
    _, _, last = update(moved, batch.images, batch, 0.0)
    assert last["error"] < parts["error"]
