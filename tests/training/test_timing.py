"""The clock of a run against a clock that the test turns by hand."""

import json
import subprocess
import sys
from types import SimpleNamespace

import jax
import pytest
from helpers.small_training import ROOT

from voxjax.run_files import read_summary
from voxjax.training import timing
from voxjax.training.timing import Timing, peak_memory


class Clock:
    """Time that only passes when told."""

    now = 1000.0

    def __call__(self):
        return self.now


def a_process(workdir, clock, *, first, last, every=5, picture_at=(), write_at=()):
    """A loop of steps of 2 s, waited for every `every`; compiling takes 30 s, pictures 7 s, a save 1 s."""
    watch = Timing(workdir, clock=clock)
    clock.now += 11  # loading

    def step(seconds):
        clock.now += seconds

    watch.enter("training")
    watch.restart(first)
    program = watch.first_call(lambda: step(30 + 2))
    for done in range(first + 1, last + 1):
        program()
        program = watch.first_call(lambda: step(32)) if done == 12 else lambda: step(2)
        if done % every == 0:
            watch.waited(done)
        if done in picture_at or done in write_at:
            watch.waited(done)
            if done in write_at:
                watch.write(done)
                clock.now += 1
            if done in picture_at:
                with watch.phase("picture"):
                    clock.now += 7
            watch.restart(done)
    return watch


def test_phases_and_speed(tmp_path):
    clock = Clock()
    watch = a_process(tmp_path, clock, first=0, last=20, picture_at=[8])
    assert read_summary(tmp_path) == {}
    watch.write(20)
    found = read_summary(tmp_path)
    # Compiled before step 1 and again before step 13; each first call also holds its step.
    assert found["loading_seconds"] == 11 and found["picture_seconds"] == 7
    assert found["programs"] == 2 and found["compile_seconds"] == 64
    assert found["training_seconds"] == 18 * 2
    assert found["total_seconds"] == clock.now - 1000.0 == 11 + 7 + 64 + 36
    # Windows: (0, 5] and (10, 15] hold a first call, (5, 8], (8, 10] and (15, 20] hold steps alone.
    assert found["steady_steps"] == 3 + 2 + 5 and found["steps_per_second"] == 0.5
    assert found["step"] == 20 and found["starts"] == 1


def test_a_killed_run_keeps_what_it_had_written(tmp_path):
    clock = Clock()
    a_process(tmp_path, clock, first=0, last=9, write_at=[8])
    killed = read_summary(tmp_path)
    # The ninth step and the save itself are lost with the process.
    assert killed["step"] == 8 and killed["total_seconds"] == 11 + 32 + 7 * 2
    a_process(tmp_path, clock, first=8, last=12).write(12)
    found = read_summary(tmp_path)
    assert found["starts"] == 2 and found["programs"] == 2 and found["step"] == 12
    assert found["total_seconds"] == killed["total_seconds"] + 11 + 32 + 3 * 2
    assert found["compile_seconds"] == 64 and found["loading_seconds"] == 22
    assert found["steady_steps"] == 3 and found["steps_per_second"] == 0.5  # only (5, 8] was undisturbed


def test_without_an_undisturbed_step_there_is_no_speed(tmp_path):
    a_process(tmp_path, Clock(), first=0, last=3).write(3)
    assert read_summary(tmp_path)["steps_per_second"] is None


def test_a_program_returns_what_it_returns(tmp_path):
    program = Timing(tmp_path).first_call(lambda a, b: a - b)
    assert program(5, 3) == 2 and program(1, 4) == -3


@pytest.mark.parametrize("text", ["", "{", "[1]", "\udcff"])
def test_a_summary_that_cannot_be_read_counts_as_none(tmp_path, text):
    (tmp_path / timing.SUMMARY).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_summary(tmp_path) == {}


TOUCH = """
def touched(size):
    block = bytearray(size)
    block[::4096] = b"x" * len(block[::4096])
    return block
"""
CHILD = f"""{TOUCH}
from voxjax.training.timing import peak_memory
print(*peak_memory([None, {{}}]))
block = touched(2**27)
del block
print(*peak_memory([None, {{}}]))
"""
PARENT = f"""{TOUCH}
import subprocess, sys
large = touched(2**28)
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


def test_peak_memory_is_that_of_this_process_and_does_not_fall():
    """Of a small process, started by a large one, that grows and shrinks again."""
    done = subprocess.run([sys.executable, "-c", PARENT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (kind, before), (_, after) = (line.split() for line in done.stdout.splitlines())
    # The kernel's counters are exact to a few pages a core.
    assert kind == "process" and int(after) - int(before) > 0.8 * 2**27
    assert int(before) < 2**27


def test_peak_memory_is_that_of_the_fullest_device():
    stats = [{"peak_bytes_in_use": 5}, {"peak_bytes_in_use": 9}, None]
    assert peak_memory(stats) == ("device", 9)


@pytest.mark.parametrize(("before", "kept"), [("device", 900), ("process", 7)])
def test_a_larger_peak_of_an_earlier_process_is_kept(tmp_path, monkeypatch, before, kept):
    device = SimpleNamespace(memory_stats=lambda: {"peak_bytes_in_use": 7}, device_kind="a card")
    monkeypatch.setattr(jax, "local_devices", lambda: [device, device])
    old = {"peak_memory_of": before, "peak_memory_bytes": 900}
    (tmp_path / timing.SUMMARY).write_text(json.dumps(old))
    Timing(tmp_path).write(1)
    found = read_summary(tmp_path)
    assert (found["peak_memory_of"], found["peak_memory_bytes"]) == ("device", kept)
    assert found["device"] == "a card" and found["device_count"] == 2
    assert found["jax_version"] == jax.__version__
