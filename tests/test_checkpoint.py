"""Checkpoints: what comes back is what went in, and a damaged one costs one checkpoint, not the run."""

import errno
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from voxjax import run_files
from voxjax.checkpoint import Checkpoints, to_state
from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.structs import TrainState
from voxjax.training.member import Member
from voxjax.training.optimiser import OptimiserOptions, make_optimiser


def make_state(step, shape=(3, 4, 5)):
    """A state in which every entry of every array is different."""
    rng = np.random.default_rng(step)

    def fill(leaf):
        values = rng.standard_normal(leaf.shape)
        return jnp.asarray(values * 100 if leaf.dtype == jnp.int32 else values, leaf.dtype)

    params = {"grid": jnp.zeros((*shape, 4)), "density_shift": jnp.zeros(())}
    opt_state = make_optimiser(OptimiserOptions()).init(params)
    params, opt_state = jax.tree.map(fill, (params, opt_state))
    return TrainState(
        step=jnp.int32(step),
        params=params,
        opt_state=opt_state,
        tracked={"occupancy": jnp.asarray(rng.random(shape) > 0.5)},
        skipped=jnp.int32(step + 1),
        skipped_in_row=jnp.int32(step + 2),
    )


def template(shape=(2, 2, 2)):
    """An optimiser state of the right structure and the wrong size."""
    params = {"grid": jnp.zeros((*shape, 4)), "density_shift": jnp.zeros(())}
    return make_optimiser(OptimiserOptions()).init(params)


def assert_same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


@pytest.fixture
def saved(tmp_path):
    """Four saves, three kept; the grid grows on the way."""
    checkpoints = Checkpoints(tmp_path / "run/checkpoints", keep=3)
    states = {
        step: make_state(step, shape) for step, shape in [(1, (2, 2, 3)), (2, (2, 2, 3)), (5, (3, 4, 5))]
    }
    states[9] = make_state(9)
    for state in states.values():
        checkpoints.save(state)
    checkpoints.close()
    return tmp_path / "run/checkpoints", states


def test_the_last_few_come_back_whole(saved):
    folder, states = saved
    checkpoints = Checkpoints(folder, keep=3)
    assert checkpoints.steps() == [2, 5, 9]
    for step in checkpoints.steps():
        assert_same(to_state(checkpoints.restore(step), opt_state=template()), states[step])
    assert_same(to_state(checkpoints.restore_latest(), opt_state=template()), states[9])
    assert to_state(checkpoints.restore_latest(), opt_state=None).opt_state is None


def test_no_checkpoint_is_none(tmp_path):
    assert Checkpoints(tmp_path / "nothing").restore_latest() is None
    assert not (tmp_path / "nothing").exists()


def data_files(folder):
    files = list((folder / "state").rglob("d/*"))
    assert files
    return files


def truncate(folder):
    for file in data_files(folder):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_bytes(folder):
    """Every byte of the array data, one bit each: beyond any luck of hitting padding."""
    for file in data_files(folder):
        file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))


def empty(folder):
    for file in list(folder.rglob("*")):
        if file.is_file():
            file.unlink()


def lose_list(folder):
    (folder / "files.json").unlink()


@pytest.mark.parametrize("damage", [truncate, flip_bytes, empty, lose_list])
def test_a_damaged_checkpoint_is_skipped_with_a_warning(saved, damage):
    folder, states = saved
    damage(folder / "9")
    checkpoints = Checkpoints(folder, keep=3)
    with pytest.warns(UserWarning, match="checkpoint 9 is damaged"):
        tree = checkpoints.restore_latest()
    assert_same(to_state(tree, opt_state=template()), states[5])
    # The resumed run writes step 9 anew.
    checkpoints.discard_after(5)
    assert checkpoints.steps() == [2, 5]
    checkpoints.save(states[9])
    assert_same(to_state(checkpoints.restore_latest(), opt_state=template()), states[9])
    checkpoints.close()


def test_all_damaged_is_one_error_that_names_the_latest(saved):
    folder, _ = saved
    for step in (2, 5, 9):
        empty(folder / str(step))
    message = r"checkpoint of step 9 is damaged \(files.json is missing.*\) and so are the 2 before it"
    with pytest.raises(ValueError, match=message):
        Checkpoints(folder).restore_latest()


@pytest.mark.parametrize("keep", [1, 3])
def test_a_kill_before_the_list_is_whole_leaves_the_checkpoint_before(tmp_path, monkeypatch, keep):
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=keep)
    for step in (1, 2, 3):
        checkpoints.save(make_state(step))

    def kill(folder):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_files, "write_list", kill)
        checkpoints.save(make_state(4))
    again = Checkpoints(tmp_path / "checkpoints", keep=keep)
    with pytest.warns(UserWarning, match="checkpoint 4 is damaged"):
        assert_same(to_state(again.restore_latest(), opt_state=template()), make_state(3))
    again.discard_after(3)
    again.save(make_state(4))
    assert again.steps() == [2, 3, 4][-keep:]
    again.close()


def test_a_checkpoint_that_somebody_put_there_ends_no_training(saved):
    folder, _ = saved
    checkpoints = Checkpoints(folder, keep=2)
    checkpoints.save(make_state(10))
    shutil.copytree(folder / "10", folder / "3")
    checkpoints.save(make_state(11))
    checkpoints.save(make_state(12))
    assert {11, 12} <= set(checkpoints.steps()) and 9 not in checkpoints.steps()
    checkpoints.close()


def test_what_cannot_be_read_now_is_not_damaged(saved, monkeypatch):
    """A disk that does not answer must not cost a run: nothing is skipped, and nothing removed."""
    folder, _ = saved

    def stale(path, *_, **__):
        raise OSError(errno.ESTALE, "Stale file handle")

    for name in ("read_text", "read_bytes"):
        with monkeypatch.context() as patch, pytest.raises(OSError, match="Stale"):
            patch.setattr(Path, name, stale)
            Checkpoints(folder).restore_latest()
    member = Member(load("demo", [("prompt", "a red sphere"), ("steps", "9")]), folder.parent)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", stale)
        for look in (lambda: member.restore(None), member.is_finished):
            with pytest.raises(UserError, match=r"cannot be read now .*nothing is lost"):
                look()
    assert Checkpoints(folder).steps() == [2, 5, 9]


def test_without_checkpoints_there_is_none(tmp_path):
    assert Checkpoints(tmp_path).restore_latest() is None


def test_what_a_kill_left_is_no_checkpoint(saved):
    folder, states = saved
    (folder / "9").rename(folder / "9.orbax-checkpoint-tmp-123")
    checkpoints = Checkpoints(folder, keep=3)
    assert checkpoints.steps() == [2, 5]
    # Looking leaves it alone: it may be another process's save in progress. Saving clears it away.
    assert_same(to_state(checkpoints.restore_latest(), opt_state=template()), states[5])
    assert (folder / "9.orbax-checkpoint-tmp-123").exists()
    checkpoints.save(states[9])
    checkpoints.close()
    assert sorted(p.name for p in folder.iterdir()) == ["2", "5", "9"]


def test_saving_twice_is_saving_once(saved):
    folder, states = saved
    before = (folder / "9/files.json").stat().st_mtime_ns
    checkpoints = Checkpoints(folder, keep=3)
    checkpoints.save(states[9])
    checkpoints.close()
    assert (folder / "9/files.json").stat().st_mtime_ns == before
