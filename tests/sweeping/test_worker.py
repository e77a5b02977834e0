"""One run in a process of its own: watched, tied to whoever watches it, its words kept."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.small_training import ROOT

from voxjax.files import locked
from voxjax.sweeping import worker
from voxjax.sweeping.plan import make_plan
from voxjax.sweeping.record import RECORD
from voxjax.sweeping.worker import Order, last_step, work

STAND_IN = "helpers.stand_in_train"
PATIENCE_S = 60


@pytest.fixture
def order(tmp_path, monkeypatch):
    """Orders of a run of 4 steps that saves every other one, by its seed."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "tests"))))
    (tmp_path / RECORD).touch()

    def make(seed=0, **environment):
        fixed = [("steps", "4"), ("checkpoint.every", "2")]
        (run,) = make_plan(["demo"], ["a red sphere"], seeds=[seed], fixed=fixed).runs
        return Order(run.name, 1, str(tmp_path), STAND_IN, tuple(run.arguments(tmp_path)), environment)

    return make


def steps_of(order):
    with open(os.path.join(order.root, order.name, "steps.log")) as file:
        return [line.split() for line in file]


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_trains_and_tells(order, monkeypatch):
    monkeypatch.setattr(worker, "_TELL_EVERY_S", 0.05)
    told, slow = [], order(STAND_IN_STEP_S="0.3")
    ending = work(slow, "here", told.append)
    assert (ending.how, ending.node, ending.last) == ("done", "here", ())
    assert [fact.step for fact in told] == sorted({fact.step for fact in told}) and told[0].step == 0
    assert told[-1].step >= 2 and 0 < told[-1].speed <= 4  # a step takes 0.3 s at least
    assert [word for word, *_ in steps_of(slow)] == ["begin", *["step"] * 4, "end"]
    assert work(slow, "here", told.append).how == "done"
    assert steps_of(slow)[6][:2] == ["begin", "4"], "started again it goes on from what is saved"


def test_what_an_earlier_process_wrote_is_neither_progress_nor_speed(order, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "_TELL_EVERY_S", 0.05)
    told, slow = [], order(STAND_IN_STEP_S="0.3")
    (tmp_path / slow.name).mkdir()
    (tmp_path / slow.name / "metrics.jsonl").write_text('{"step": 90}\n')
    assert work(slow, "here", told.append).how == "done"
    steps = [fact.step for fact in told]
    assert steps == sorted(steps) and 2 <= steps[-1] <= 4
    assert 0 < told[-1].speed <= 4 and max(fact.speed for fact in told) <= 4


def test_a_failure_is_told_in_its_own_last_lines(order):
    bad = order(13)
    ending = work(bad, "here", lambda fact: None)
    assert ending.how == "failed"
    assert ending.last == ("about to fail", "voxjax: no good comes of thirteen")
    log = (worker.Path(bad.root) / bad.name / worker.LOG).read_text().splitlines()
    assert log[0].startswith("== ") and log[1:] == list(ending.last)
    killed = work(order(14), "here", lambda fact: None)
    assert killed.how == "failed" and killed.last[-1] == "killed by SIGKILL"
    assert work(order(14), "here", lambda fact: None).how == "done"
    assert [line[:2] for line in steps_of(order(14)) if line[0] == "begin"] == [
        ["begin", "0"],
        ["begin", "2"],
    ]


def test_a_node_without_the_folder_is_unfit(order, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "_BLIND_S", 0.0)
    (tmp_path / RECORD).unlink()
    ending = work(order(), "there", lambda fact: None)
    assert ending.how == "unfit" and ending.last[0].startswith(f"there does not see {tmp_path}: mount")
    assert not (tmp_path / order().name).exists()


def test_it_waits_for_who_trains_there_and_does_not_join_in(order, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "_LOCK_WAIT_S", 0.2)
    workdir = tmp_path / order().name
    workdir.mkdir()
    with locked(workdir / ".lock"):
        ending = work(order(), "here", lambda fact: None)
    assert ending.how == "unfit" and ending.last == (f"another process is training in {workdir}",)
    assert work(order(), "here", lambda fact: None).how == "done"


def test_training_dies_with_its_worker(order, tmp_path):
    slow = order(STAND_IN_STEP_S="600")
    program = (
        "from voxjax.sweeping.worker import Order, work\n"
        f"order = Order(*{(slow.name, 1, slow.root, slow.module, slow.arguments)!r}, {slow.environment!r})\n"
        "work(order, 'here', lambda fact: None)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    log = tmp_path / slow.name / "steps.log"
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"))
    child = int(steps_of(slow)[0][2])
    os.kill(child, 0)
    parent.kill()  # SIGKILL: it cannot tidy up
    parent.wait()

    def gone():
        try:
            with open(f"/proc/{child}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        except OSError:
            return True

    wait_until(gone)
    assert work(order(), "here", lambda fact: None).how == "done", "and the folder is free at once"


def test_a_worker_that_is_interrupted_takes_its_training_with_it(order, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_TELL_EVERY_S", 0.05)
    slow = order(STAND_IN_STEP_S="0.2")

    def interrupts(fact):
        if fact.step:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        work(slow, "here", interrupts)
    with pytest.raises(ProcessLookupError):
        os.kill(int(steps_of(slow)[0][2]), 0)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("", 0),
        ('{"step": 1}\n{"step": 2}\n', 2),
        ('{"step": 1}\n{"step": 2', 1),
        ("x" * 70000 + '\n{"step": 7}\nnonsense\n', 7),
        ("nonsense\n", 0),
    ],
)
def test_the_last_step_is_that_of_the_last_whole_line(tmp_path, text, step):
    assert last_step(tmp_path / "none") == 0
    (tmp_path / "metrics.jsonl").write_text(text)
    assert last_step(tmp_path / "metrics.jsonl") == step
