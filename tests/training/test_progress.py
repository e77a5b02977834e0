"""How far, how fast, how long: against a clock that the test turns by hand."""

import pytest

from voxjax.training.displays import Lines
from voxjax.training.progress import EARLY, Progress, clock_words


class Clock:
    """Time that only passes when told."""

    now = 100.0

    def __call__(self):
        return self.now


class Record:
    """A display that keeps what it is shown."""

    def __init__(self):
        self.shown, self.said, self.closed = [], [], 0

    def show(self, step, words, left):
        self.shown.append((step, words, left))

    def say(self, text):
        self.said.append(text)

    def close(self):
        self.closed += 1


def a_run(bar, clock, *, first, last, log=50, step_s=0.5, compile_s=30.0, aside=()):
    """A loop that compiles before its first step; `aside` is the steps after which 7 s of pictures come."""
    waits = []
    for done in range(first + 1, last + 1):
        if done == first + 1:
            clock.now += compile_s
            bar.compiled(first)
        clock.now += step_s
        if bar.wants_wait(done):
            waits.append(done)
            bar.expect(done)
        if done % log == 0 or done == last:
            bar.update(done, loss=0.0, similarity=0.0)
        if done in aside:
            with bar.aside(done):
                clock.now += 7
    return waits


def test_plain_lines_where_there_is_no_terminal(capsys):
    bar = Progress(5, 20, display=Lines(20, seconds_between=0.0))
    bar.update(10, loss=-0.25, similarity=0.125)
    bar.say("a warning")
    bar.update(20, loss=-0.5, similarity=0.25)
    bar.close()
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "step 5/20  compiling"
    assert lines[0].startswith("step 10/20  loss -0.2500  CLIP 0.1250  ") and "steps/s" in lines[0]
    assert lines[1] == "a warning"
    assert lines[2].startswith("step 20/20") and lines[2].endswith("0:00 left")


def test_lines_are_not_too_many(capsys):
    bar = Progress(0, 20, display=Lines(20, seconds_between=1000.0))
    for step in range(1, 21):
        bar.update(step, loss=0.0, similarity=0.0)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["0/20", "1/20", "20/20"]


def test_the_first_line_tells_what_will_happen():
    display = Record()
    Progress(0, 20, opening="a grid, 20 steps", display=display, clock=Clock())
    assert display.said == ["a grid, 20 steps"] and display.shown == [(0, "compiling", "")]


def test_the_expected_time_is_told_once_after_the_first_steps():
    clock, display = Clock(), Record()
    bar = Progress(0, 1000, later="later steps take longer", display=display, clock=clock)
    waits = a_run(bar, clock, first=0, last=120)
    # 980 steps of half a second are left; compiling is no step.
    assert waits == [EARLY]
    assert display.said == ["expected time: 8:10 more, at 2.00 steps/s; later steps take longer"]


def test_another_program_within_the_first_steps_starts_the_measure_anew():
    clock, display = Clock(), Record()
    bar = Progress(0, 1000, display=display, clock=clock)
    assert a_run(bar, clock, first=0, last=10) == []
    assert a_run(bar, clock, first=10, last=40, step_s=0.25) == [10 + EARLY]
    assert display.said == [f"expected time: {clock_words(970 * 0.25)} more, at 4.00 steps/s"]


def test_a_picture_within_the_first_steps_is_no_step():
    clock, display = Clock(), Record()
    bar = Progress(0, 1000, display=display, clock=clock)
    assert a_run(bar, clock, first=0, last=30, aside=[5, 10]) == [EARLY]
    assert "2.00 steps/s" in display.said[0]


@pytest.mark.parametrize("last", [5, EARLY])
def test_a_short_run_waits_for_no_measure(last):
    clock, display = Clock(), Record()
    bar = Progress(0, last, display=display, clock=clock)
    assert a_run(bar, clock, first=0, last=last) == [] and display.said == []


def test_speed_and_time_left_from_the_first_update_on():
    clock, display = Clock(), Record()
    bar = Progress(100, 1000, display=display, clock=clock)
    a_run(bar, clock, first=100, last=300, aside=[150, 250])
    speeds = [words.rsplit("  ", 1)[1] for _, words, _ in display.shown[1:]]
    assert [step for step, _, _ in display.shown] == [100, 150, 200, 250, 300]
    assert speeds == ["2.00 steps/s"] * 4
    # After 200 of its steps two pictures have taken 14 s: 700 more steps will see seven.
    assert display.shown[-1][2] == clock_words(700 * 0.5 + 7 * 7)


def test_an_update_without_a_step_knows_no_time():
    display = Record()
    Progress(5, 20, display=display, clock=Clock()).update(5, loss=0.0, similarity=0.0)
    assert display.shown[-1][2] == ""


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00"), (5.4, "0:05"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_durations(seconds, words):
    assert clock_words(seconds) == words
