"""How far a run has come, from its files; and the bar."""

import json
from html.parser import HTMLParser

import pytest

from voxjax.config.loading import load
from voxjax.config.saved import to_json
from voxjax.notebook.course import Course, Pace, bar, clock, last_lines, read_course


def write_config(folder, steps):
    (folder / "config.json").write_text(to_json(load("demo", [("steps", str(steps))])))


def line(step, **scalars):
    return json.dumps({"step": step, **scalars}) + "\n"


def test_a_run_that_has_not_begun_has_no_course(tmp_path):
    assert read_course(tmp_path) is None and read_course(tmp_path / "none") is None
    write_config(tmp_path, 90)
    assert read_course(tmp_path) == Course(0, 90)


def test_the_last_whole_line_counts(tmp_path):
    write_config(tmp_path, 90)
    file = tmp_path / "metrics.jsonl"
    file.write_text("".join(line(k, clip_similarity=k / 100, filling="x" * 300) for k in range(1, 60)))
    assert read_course(tmp_path) == Course(59, 90, 0.59)
    with file.open("a") as out:
        out.write('{"step": 60, "clip_sim')  # being written
    assert read_course(tmp_path) == Course(59, 90, 0.59)
    file.write_text(line(7, clip_similarity=None))  # a value that was not finite
    assert read_course(tmp_path) == Course(7, 90, None)


def test_last_lines_of_a_long_file_and_of_none(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(b"\xff broken\n" + b"".join(b"line %d\n\n" % k for k in range(5000)))
    lines = last_lines(file)
    assert lines[-2:] == ["line 4998", "line 4999"] and 10 < len(lines) < 1000 and "" not in lines
    assert last_lines(tmp_path / "none") == []


def test_pace_leaves_compiling_out():
    pace = Pace()
    assert pace.seen(0, 0.0) == 0.0
    assert pace.seen(0, 40.0) == 0.0  # compiles
    assert pace.seen(10, 41.0) == 0.0  # the first steps: from here on
    assert pace.seen(30, 51.0) == pytest.approx(2.0)
    assert pace.seen(30, 55.0) == pytest.approx(2.0)  # nothing new
    assert pace.seen(50, 51.0 + 30.0) == pytest.approx(1.0)
    assert pace.seen(0, 90.0) == 0.0  # another run begins


class Texts(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.texts, self.tags = [], []
        self.feed(html)

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def test_the_bar_says_where_the_run_stands():
    seen = Texts(bar("a red cube: demo", Course(30, 150, 0.5), 2.0, ["one", "two"]))
    assert "".join(seen.texts[:2]) == "a red cube: demo · step 30 of 150 · CLIP 0.500 · 2 steps/s · 1:00 left"
    assert seen.texts[2:] == ["one", "two"]
    (progress,) = [attributes for tag, attributes in seen.tags if tag == "progress"]
    assert float(progress["value"]) == 0.2 and progress["max"] == "1" and progress["aria-label"]
    assert "starting" in "".join(Texts(bar("x", None, 0.0, [])).texts)
    last = Course(150, 150, 0.5)
    assert "left" not in bar("x", last, 2.0, []) and "making pictures" in bar("x", last, 2.0, [])
    assert "making pictures" not in bar("x", last, 2.0, [], running=False)
    stopped = bar("x", Course(30, 150), 2.0, [], running=False)
    assert "step 30 of 150" in stopped and "left" not in stopped


def test_nothing_in_the_bar_is_taken_for_html():
    nasty = '<img src=x onerror="alert(1)">'
    seen = Texts(bar(nasty, None, 0.0, [nasty]))
    assert seen.texts.count(nasty) == 2 and "img" not in [tag for tag, _ in seen.tags]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0:00"), (59.7, "1:00"), (3599, "59:59"), (3661, "1:01:01")]
)
def test_clock(seconds, words):
    assert clock(seconds) == words
