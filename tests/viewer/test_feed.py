"""A run that grows while it is looked at: checkpoints come, go and break, and nothing is ever written."""

import json
import shutil
from unittest.mock import MagicMock

import jax.numpy as jnp
import pytest
from helpers.small_runs import write_run

from voxjax.checkpoint import Checkpoints
from voxjax.errors import UserError
from voxjax.run import CHECKPOINTS, METRICS, load_run
from voxjax.viewer.feed import Feed, Progress, names_of
from voxjax.viewer.session import Session


def save_step(workdir, step, *, keep=3):
    """What the training process does at a checkpoint."""
    state = load_run(workdir).state
    checkpoints = Checkpoints(workdir / CHECKPOINTS, keep=keep)
    checkpoints.save(state.replace(step=jnp.int32(step), opt_state={"moment": jnp.zeros(2)}))
    checkpoints.close()


def damage(workdir, step):
    for path in sorted((workdir / CHECKPOINTS / str(step)).rglob("*")):
        if path.is_file() and path.name != "files.json" and path.stat().st_size > 100:
            path.write_bytes(path.read_bytes()[:-1] + b"?")
            return
    raise AssertionError("nothing to damage")


@pytest.fixture
def workdir(tmp_path):
    return write_run(tmp_path / "run", "a red ball", (0.9, 0.1, 0.1), steps_done=50)


def line(step, similarity):
    return json.dumps({"step": step, "clip_similarity": similarity, "loss": 1.0}) + "\n"


def test_new_checkpoints_are_found(workdir):
    feed = Feed(workdir)
    first = feed.newest()
    assert feed.steps() == [50] and first.run.step == 50 and feed.prompt == "a red ball"
    assert feed.newest() is first  # not read twice
    save_step(workdir, 100)
    assert feed.steps() == [50, 100] and feed.newest().run.step == 100
    assert feed.open(50) is first
    assert feed.open_latest().run.step == 100


def test_the_newest_that_can_be_read_is_shown(workdir):
    save_step(workdir, 100)
    damage(workdir, 100)
    feed = Feed(workdir)
    assert feed.newest().run.step == 50
    with pytest.raises(UserError, match="the checkpoint of step 100 cannot be read"):
        feed.open(100)
    damage(workdir, 50)
    with pytest.raises(UserError, match="cannot be read"):
        Feed(workdir).newest()
    with pytest.raises(UserError, match="damaged"):
        Feed(workdir).open_latest()


def test_a_checkpoint_that_was_forgotten_is_an_error_in_words(workdir):
    feed = Feed(workdir)
    save_step(workdir, 100, keep=1)
    assert feed.steps() == [100]
    with pytest.raises(UserError, match="step 50 cannot be read"):
        feed.open(50)


def test_a_folder_without_a_run_is_waited_for(tmp_path):
    feed = Feed(tmp_path / "to-come")
    assert feed.config is None and feed.prompt == "to-come" and feed.steps() == []
    assert feed.newest() is None and feed.progress() == Progress(0, 0, None, ())
    assert not feed.progress().finished
    write_run(tmp_path / "to-come", "a blue ball", (0.1, 0.1, 0.9))
    assert feed.prompt == "a blue ball" and feed.newest().run.step == 150
    assert feed.progress().finished


def test_progress_follows_the_metrics(workdir):
    feed, file = Feed(workdir), workdir / METRICS
    assert feed.progress() == Progress(50, 150, None, ())
    file.write_text(line(50, 0.25))
    assert feed.progress() == Progress(50, 150, 0.25, ((50, 0.25),))
    with file.open("a") as more:
        more.write(line(60, 0.5) + line(70, 0.75)[:9])  # the process is in the middle of a line
        more.flush()
        assert feed.progress().history == ((50, 0.25), (60, 0.5))
        more.write(line(70, 0.75)[9:] + "no json\n" + '{"step": 80}\n')
    assert feed.progress() == Progress(70, 150, 0.75, ((50, 0.25), (60, 0.5), (70, 0.75)))
    # A run that goes on from step 50 cuts the file back by replacing it.
    cut = workdir / "new"
    cut.write_text(line(50, 0.25) + line(60, 0.3))
    cut.replace(file)
    assert feed.progress() == Progress(60, 150, 0.3, ((50, 0.25), (60, 0.3)))


def test_another_run_in_the_same_folder_is_another_run(workdir):
    (workdir / METRICS).write_text(line(50, 0.25))
    feed, session = Feed(workdir), Session(MagicMock(), MagicMock(full_px=64))
    session.feeds, session.shown, session.steps = (feed,), [None], [[]]
    session._chosen, session._notes = [None], [""]
    session._load()
    before = feed.newest()
    assert session.shown == [before] and feed.progress().similarity == 0.25
    damage(workdir, 50)
    feed.forget()
    with pytest.raises(UserError, match="cannot be read"):
        feed.newest()
    shutil.rmtree(workdir)
    assert feed.newest() is None and feed.prompt == "a red ball"  # what is shown stays until then
    write_run(workdir, "a blue ball", (0.1, 0.1, 0.9), steps_done=50, steps=120)
    assert feed.prompt == "a blue ball" and feed.progress() == Progress(50, 120, None, ())
    after = feed.newest()
    assert after is not before and after.run.prompt == feed.open_latest().run.prompt == "a blue ball"
    session._load()
    assert session.shown == [after]
    session.close()


def test_looking_writes_nothing(workdir):
    def state():
        return {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}

    before = state()
    feed = Feed(workdir)
    feed.open_latest()
    feed.newest()
    feed.progress()
    assert state() == before


def test_runs_side_by_side_can_be_told_apart(tmp_path):
    one = Feed(write_run(tmp_path / "a/first", "a red ball", (0.9, 0.1, 0.1)))
    two = Feed(write_run(tmp_path / "b/second", "a red ball", (0.9, 0.1, 0.1)))
    three = Feed(write_run(tmp_path / "c/third", "a blue ball", (0.1, 0.1, 0.9)))
    assert names_of([one, three]) == ("a red ball", "a blue ball")
    assert names_of([one, two, three]) == (
        "a red ball · vox_exp · first",
        "a red ball · vox_exp · second",
        "a blue ball",
    )
