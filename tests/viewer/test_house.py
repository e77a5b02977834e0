"""What the start page starts: processes that are refused, stopped and go on; and the runs it finds."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from helpers.small_runs import write_run

from voxjax.config.loading import load
from voxjax.config.saved import differences
from voxjax.errors import UserError
from voxjax.run import read_config
from voxjax.viewer import jobs
from voxjax.viewer.feed import Feed
from voxjax.viewer.house import House, open_house
from voxjax.viewer.jobs import Job, Trainings

PATIENCE_S = 60


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A module that is started in the place of a command: writes its arguments to a file and waits."""

    def make(name, text):
        folder = tmp_path / "modules"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.py").write_text("import sys, time, os, json\n" + text)
        before = os.environ.get("PYTHONPATH", "")
        if str(folder) not in before:
            monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{before}")
        return name

    return make


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_says_why_it_failed_in_one_line(stand_in):
    fails = "print('loading', file=sys.stderr); print('voxjax: --seed=x: no', file=sys.stderr); sys.exit(2)"
    job = Job(stand_in("fails", fails), [])
    assert job.wait() == "--seed=x: no" and not job.running and not job.stopped
    assert Job(stand_in("works", "print('so much', file=sys.stderr)"), []).wait() == ""
    assert Job(stand_in("silent", "sys.exit(3)"), []).wait() == "exit status 3"
    assert Job("no_such_module_there", []).wait().endswith("No module named no_such_module_there")
    killed = "print('ouch', file=sys.stderr, flush=True); os.kill(os.getpid(), 9)"
    assert Job(stand_in("killed", killed), []).wait() == "killed by SIGKILL; its last words: ouch"


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_job_is_stopped_even_if_it_ignores_ctrl_c(stand_in, tmp_path, monkeypatch, stubborn):
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.5 if stubborn else PATIENCE_S)
    handler = "signal.SIG_IGN" if stubborn else "signal.default_int_handler"
    text = (
        f"import signal; signal.signal(signal.SIGINT, {handler})\n"
        f"open({str(tmp_path / 'ready')!r}, 'w').close()\n"
        f"try:\n    time.sleep({PATIENCE_S})\n"
        f"except KeyboardInterrupt:\n    open({str(tmp_path / 'interrupted')!r}, 'w').close(); raise\n"
    )
    job = Job(stand_in("sleeps", text), [])
    wait_until((tmp_path / "ready").exists)
    assert job.running
    job.stop()
    assert not job.running and job.stopped and job.complaint() == ""
    assert (tmp_path / "interrupted").exists() is not stubborn


@pytest.fixture
def training(stand_in, tmp_path, monkeypatch):
    """Trainings write their arguments beside the stand-in and sleep."""
    text = (
        f"out = {str(tmp_path)!r} + '/arguments'\n"
        "open(out + '.part', 'w').write(json.dumps(sys.argv[1:])); os.replace(out + '.part', out)\n"
        f"time.sleep({PATIENCE_S})\n"
    )
    monkeypatch.setattr(jobs, "TRAIN", stand_in("trains", text))

    def arguments():
        wait_until((tmp_path / "arguments").exists)
        found = json.loads((tmp_path / "arguments").read_text())
        (tmp_path / "arguments").unlink()
        return found

    return arguments


def test_the_form_starts_a_training_in_a_folder_of_its_own(tmp_path, training):
    house = House([], tmp_path / "runs", full_px=256)
    assert house.presets()[0] == "demo:vox_exp"
    assert {"demo:vox_imp", "demo:dream_fields", "vox_exp", "dream_fields"} < set(house.presets())
    feed = house.start_training("demo:vox_imp", "  a red\n sphere ", 3)
    workdir = tmp_path / "runs/demo-vox_imp/a-red-sphere-seed3"
    assert feed.workdir == workdir and house.trainings.of(workdir).running
    assert training() == [
        "--config=demo:vox_imp",
        "--config.prompt=a red sphere",
        "--config.seed=3",
        "--config.checkpoint.every=5",  # 30 pictures on the way
        f"--workdir={workdir}",
    ]
    assert (
        house.start_training("vox_exp", "a red sphere", 0).workdir == tmp_path / "runs/vox_exp/a-red-sphere"
    )
    assert "--config.checkpoint.every=500" in training()
    with pytest.raises(UserError, match="still running"):
        house.start_training("demo:vox_imp", "a red sphere", 3)
    assert sorted(house.close()) == sorted([workdir, tmp_path / "runs/vox_exp/a-red-sphere"])
    assert not house.trainings.of(workdir).running


def test_prompts_of_one_name_have_folders_of_their_own(tmp_path, training):
    house = House([], tmp_path / "runs", full_px=256)
    first = write_run(tmp_path / "runs/demo-vox_exp/a-red-ball", "a red ball", (0.9, 0.1, 0.1))
    assert house.start_training("demo:vox_exp", "a red ball", 0).workdir == first
    other = house.start_training("demo:vox_exp", "a red: ball", 0).workdir
    # sha256("a red: ball") begins with these digits.
    assert other == first.with_name("a-red-ball-940dbe")
    seeds = [house.start_training("demo:vox_exp", prompt, 1).workdir for prompt in ("!", "?")]
    # Nothing is in the first one yet: it was started a moment ago.
    assert [each.name for each in seeds] == ["unnamed-seed1", "unnamed-8a8de8-seed1"]
    with pytest.raises(UserError, match="still running"):
        house.start_training("demo:vox_exp", "?", 1)
    assert len(house.close()) == 4


@pytest.mark.parametrize(
    ("preset", "prompt", "seed", "words"),
    [
        ("demo:vox_exp", "  ", 0, "the prompt is empty"),
        ("demo:vox_exp", "a red sphere", -1, "seed"),
        ("/tmp/evil.py", "a red sphere", 0, "no such preset"),
        ("../configs/demo.py", "a red sphere", 0, "no such preset"),
    ],
)
def test_what_cannot_be_is_refused_before_a_process_starts(tmp_path, training, preset, prompt, seed, words):
    house = House([], tmp_path / "runs", full_px=256)
    with pytest.raises(UserError, match=words):
        house.start_training(preset, prompt, seed)
    assert house.close() == [] and not (tmp_path / "runs").exists()


def test_a_run_goes_on_with_its_own_config(tmp_path, training):
    workdir = write_run(tmp_path / 'run\'s "own"', "a red ball", (0.9, 0.1, 0.1), steps_done=50)
    house = House([], tmp_path, full_px=256)
    house.trainings.go_on(workdir)
    config, place = training()
    assert place == f"--workdir={workdir}"
    assert differences(load(config.removeprefix("--config=")), read_config(workdir)) == []
    house.close()


def test_runs_that_go_on_at_once_are_told_their_own_configs(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(Trainings, "start", lambda self, workdir, arguments: told.append(arguments))
    trainings = Trainings()
    for name in ("one", "two"):
        trainings.go_on(tmp_path / name)
    one, two = (Path(argument.removeprefix("--config=")).read_text() for (argument,) in told)
    assert str(tmp_path / "one") in one and str(tmp_path / "two") in two
    trainings.close()


def test_runs_are_found_the_latest_first(tmp_path):
    old = write_run(tmp_path / "runs/demo/old", "a red ball", (0.9, 0.1, 0.1))
    new = write_run(tmp_path / "runs/some/where/deeper/new", "a blue ball", (0.1, 0.1, 0.9))
    for path in (old, old / "checkpoints"):
        os.utime(path, (1e9, 1e9))
    (tmp_path / "runs/broken").mkdir()
    (tmp_path / "runs/broken/config.json").write_text("{")
    (tmp_path / "runs/empty").mkdir()
    house = House([], tmp_path / "runs", full_px=256)
    found = house.find_runs()
    assert [feed.workdir for feed in found] == [new, old]
    assert house.find_runs()[0] is found[0]  # opened once for all browsers
    assert House([], tmp_path / "none", full_px=256).find_runs() == []
    house.close()


def test_a_house_of_a_run_that_cannot_be_opened(tmp_path, ball_run):
    house = open_house([str(ball_run)], "runs")
    assert [feed.workdir for feed in house.feeds] == [ball_run] and house.full_px >= 256
    assert isinstance(house.feeds[0], Feed)
    house.close()
    with pytest.raises(UserError, match="not the workdir of a run"):
        open_house([str(tmp_path)], "runs")


def test_processes_of_this_interpreter():
    assert jobs.sys.executable == sys.executable and jobs.TRAIN == "voxjax.train"
