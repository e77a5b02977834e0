"""How a sweep settles every ending, on a pool that answers what a test says; record, outlook and lines."""

import json

import pytest

from voxjax.errors import UserError
from voxjax.run_files import CHECKPOINTS, CONFIG, MESH, PICTURES, REPORT, write_list
from voxjax.sweeping import displays, drive
from voxjax.sweeping.found import find_finished, read_root
from voxjax.sweeping.outlook import look_out
from voxjax.sweeping.plan import make_plan
from voxjax.sweeping.record import DONE, FAILED, RECORD, RUNNING, WAITING, Record
from voxjax.sweeping.slots import Slot, choose_slot, cpu_slot, gpu_slot
from voxjax.sweeping.worker import Ending, Fact

SPHERE = "a red sphere"
WELL = ("done", ())


class Pool:
    """Takes the first waiting order each time, and answers with the next ending of its run's list."""

    def __init__(self, answers):
        self.answers = {name: list(endings) for name, endings in answers.items()}
        self.waiting, self.submitted, self.told = [], [], {}

    def submit(self, order, slot):
        self.waiting.append(order)
        self.submitted.append((order.name, order.ticket))

    def wait(self, seconds):
        order = self.waiting.pop(0)
        how, last = self.answers[order.name].pop(0)
        if how == "interrupt":
            raise KeyboardInterrupt
        if callable(last):
            last = last()
        return [(order, Ending(how, "node" if how != "unfit" else "", "2030-01-01T00:00:00+00:00", last))]

    def facts(self):
        return self.told


class Heard(list):
    def show(self, outlook):
        self.outlook = outlook

    def say(self, text):
        self.append(text)

    def close(self):
        pass


@pytest.fixture
def plan():
    return make_plan(["demo"], [SPHERE], seeds=[0, 1, 2], fixed=[("steps", "4")])


@pytest.fixture
def names(plan):
    return [run.name for run in plan.runs]


def write_checkpoint(workdir, step):
    folder = workdir / CHECKPOINTS / str(step)
    folder.mkdir(parents=True)
    (folder / "state").write_text("x" * 100)
    write_list(folder)
    return folder


def sweep(plan, root, answers, finished=(), slot=None):
    record, pool, heard = Record(root, plan, finished), Pool(answers), Heard()
    drive.Drive(plan, record, pool, root, slot or Slot(0, 1), heard).run()
    return record, pool, heard


def test_a_run_that_fails_three_times_is_told_with_its_last_lines_and_the_rest_goes_on(plan, names, tmp_path):
    bad = ("failed", ("two", "voxjax: no such CLIP"))
    answers = {names[0]: [WELL], names[1]: [bad] * 3, names[2]: [bad, bad, WELL]}
    record, pool, heard = sweep(plan, tmp_path, answers)
    assert [record[name].status for name in names] == [DONE, FAILED, DONE]
    assert pool.submitted.count((names[1], 3)) == 1 and (names[1], 4) not in pool.submitted
    assert heard.count(f"{names[1]}: failed (3 of 3 times): no such CLIP") == 1
    written = json.loads((tmp_path / RECORD).read_text())["runs"]
    assert written[names[1]]["last"] == ["two", "voxjax: no such CLIP"]
    assert (written[names[1]]["failures"], written[names[1]]["starts"]) == (3, 3)
    assert written[names[2]]["last"] == [] and written[names[2]]["node"] == "node"
    assert written[names[0]].pop("ended") > "2026"
    assert written[names[0]] == {
        "config": "demo",
        "prompt": SPHERE,
        "settings": {"steps": "4"},
        "seed": 0,
        "steps": 4,
        "status": "done",
        "failures": 0,
        "lost": 0,
        "starts": 1,
        "last": [],
        "node": "node",
        "started": "2030-01-01T00:00:00+00:00",
    }
    assert (heard.outlook.done, heard.outlook.failed, heard.outlook.running) == (2, 1, ())


def test_losses_are_no_failures_while_the_run_gets_further(plan, names, tmp_path):
    """Nine losses in all, never five of them without a new checkpoint between."""
    workdir = tmp_path / names[0]

    def saves(step):
        return lambda: (write_checkpoint(workdir, step), ("NodeDiedError",))[1]

    lost, bad = ("unfit", ("NodeDiedError",)), ("failed", ("x",))
    answers = {
        names[0]: [lost] * 4 + [("unfit", saves(1))] + [lost] * 3 + [("unfit", saves(2)), bad, bad, WELL]
    }
    record, _, heard = sweep(plan, tmp_path, answers, finished=names[1:])
    entry = record[names[0]]
    assert (entry.status, entry.lost, entry.failures) == (DONE, 9, 2)
    assert heard[0] == f"{names[0]}: lost (no fault of its own): NodeDiedError"


def test_a_run_that_takes_every_worker_down_is_given_up(plan, names, tmp_path):
    lost = ("unfit", ("OutOfMemoryError: too much",))
    record, pool, _ = sweep(plan, tmp_path, {names[0]: [lost] * 9}, finished=names[1:])
    assert (record[names[0]].status, record[names[0]].lost) == (FAILED, drive.LOSSES)
    assert len(pool.submitted) == drive.LOSSES and record[names[0]].last == lost[1]


def test_only_what_is_missing_is_done_and_an_interrupt_leaves_the_record_true(plan, names, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sweep(plan, tmp_path, {names[0]: [WELL], names[1]: [("interrupt", ())]})
    written = json.loads((tmp_path / RECORD).read_text())["runs"]
    assert [written[name]["status"] for name in names] == [DONE, WAITING, WAITING]
    # The record alone is no proof: of the first run no file is there.
    record, pool, _ = sweep(plan, tmp_path, {name: [WELL] for name in names}, finished=[names[2]])
    assert pool.submitted == [(names[0], 2), (names[1], 1)]
    assert record.names(DONE) == names and record[names[0]].starts == 2


def test_runs_of_an_earlier_plan_stay_in_the_record(plan, names, tmp_path):
    sweep(plan, tmp_path, {name: [WELL] for name in names})
    other = make_plan(["demo"], ["a blue cube"])
    sweep(other, tmp_path, {other.runs[0].name: [WELL]})
    assert json.loads((tmp_path / RECORD).read_text())["runs"].keys() == {*names, other.runs[0].name}


@pytest.mark.parametrize("text", ["{", "[]", '{"runs": {"a": 1}}', '{"runs": []}'])
def test_a_record_that_is_none_is_refused_and_left(plan, tmp_path, text):
    (tmp_path / RECORD).write_text(text)
    with pytest.raises(UserError, match=r"sweep.json: not the record of a sweep; move it away"):
        Record(tmp_path, plan, ())
    assert (tmp_path / RECORD).read_text() == text


def test_what_workers_tell_makes_speed_and_time_left(plan, names, tmp_path):
    record = Record(tmp_path, plan, ())
    record[names[0]].status = DONE
    record[names[1]].status = RUNNING
    facts = {names[1]: Fact(1, "n", "", step=3, speed=0.5)}
    # 1 of 4 steps left of the one that runs, 2 of the one that waits with 2 saved: 3 steps at 0.5 a second.
    outlook = look_out(plan, record, facts, {names[2]: 2})
    assert (outlook.total, outlook.done, outlook.speed, outlook.left_s) == (3, 1, 0.5, 6.0)
    assert displays.words(outlook) == "1/3 done, 1 running, 0.50 steps/s, 0:06 left"
    record[names[2]].status = RUNNING
    facts[names[2]] = Fact(1, "n", "", step=0, speed=10.0)
    # 5 steps at 10.5 a second would be half a second, but the first has 1 step at 0.5 to go.
    assert look_out(plan, record, facts, {}).left_s == 2.0
    record[names[2]].status = FAILED
    assert look_out(plan, record, {}, {}).left_s is None
    assert displays.words(look_out(plan, record, {}, {})) == "1/3 done, 1 running, 1 failed"


def test_news_of_an_earlier_start_is_no_news(plan, names, tmp_path):
    record, pool, heard = (
        Record(tmp_path, plan, names[1:]),
        Pool({names[0]: [("failed", ("x",)), WELL]}),
        Heard(),
    )
    pool.told = {names[0]: Fact(1, "old node", "then", step=3), "another sweep's": Fact(1, "n", "t")}
    seen = []
    heard.show = lambda outlook: seen.append([run.node for run in outlook.running])
    drive.Drive(plan, record, pool, tmp_path, Slot(0, 1), heard).run()
    assert seen == [[], []] and record[names[0]].node == "node"


def test_the_table_shows_what_runs(plan, names, tmp_path):
    from rich.console import Console

    record = Record(tmp_path, plan, ())
    for name in names:
        record[name].status, record[name].node = RUNNING, "host[1]-ab"
    outlook = look_out(plan, record, {names[0]: Fact(1, "n", "", step=2, speed=4.0)}, {})
    console = Console(width=100, record=True, force_terminal=True)
    shown = displays.Table(console=console)
    shown.show(outlook)
    shown.say("[bold]a line")
    shown.close()
    text = console.export_text()
    assert "0/3 done, 3 running, 4.00 steps/s, 0:02 left" in text and "[bold]a line" in text
    row = next(line for line in text.splitlines() if names[0] in line)
    assert row.split() == [names[0], "2/4", "4.00", "0:00", "host[1]-ab"]


def test_lines_come_at_times_and_only_when_something_changed(plan, names, tmp_path, capsys):
    record, clock = Record(tmp_path, plan, ()), [0.0]
    lines = displays.Lines(seconds_between=30.0, clock=lambda: clock[0])
    for at, done in [(0, 0), (10, 1), (29, 1), (30, 1), (70, 1), (71, 2)]:
        clock[0] = at
        for name in names[:done]:
            record[name].status = DONE
        lines.show(look_out(plan, record, {}, {}))
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{n}/3 done, 0 running" for n in (0, 1, 2)]


def make_finished(workdir, config):
    from voxjax.config.saved import to_json

    folder = write_checkpoint(workdir, config.steps)
    (workdir / CONFIG).write_text(to_json(config))
    for name in (*PICTURES, MESH, REPORT):
        (workdir / name).touch()
    return folder


def test_a_finished_run_is_known_by_its_own_files(plan, names, tmp_path):
    folders = [make_finished(tmp_path / run.name, plan.config_of(run)) for run in plan.runs]
    assert find_finished(plan, tmp_path) == set(names)
    (folders[0] / "state").write_text("x")  # cut short
    (tmp_path / names[1] / "turntable.mp4").unlink()
    (tmp_path / names[2] / MESH).unlink()
    assert find_finished(plan, tmp_path) == set()
    # An object without a surface has no mesh, and its summary says so.
    (tmp_path / names[2] / "summary.json").write_text('{"no_mesh": "it is empty"}')
    assert find_finished(plan, tmp_path) == {names[2]}


def test_a_folder_with_another_config_is_refused(plan, names, tmp_path):
    make_finished(tmp_path / names[1], plan.config_of(plan.runs[1]))
    other = make_plan(["demo"], [SPHERE], seeds=[0, 1], fixed=[("steps", "5")])
    with pytest.raises(UserError, match=r"another config \(steps: 4 -> 5\); give another --root, or delete"):
        find_finished(other, tmp_path)


@pytest.mark.parametrize("url", ["s3://bucket/runs", "gs://b", "memory://x"])
def test_an_url_is_no_root(url):
    with pytest.raises(UserError, match=f"--root={url}: runs are written as files of a folder"):
        read_root(url)


def test_roots_that_cannot_hold_runs_are_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="a file of this name exists"):
        read_root(str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"cannot lie in a path with \["):
        read_root(str(tmp_path / "[a]"))
    assert read_root(str(tmp_path / "new")) == tmp_path / "new" and not (tmp_path / "new").exists()


def test_slots_say_the_same_to_ray_and_to_jax():
    assert gpu_slot(1) == Slot(1.0, 0, {})
    assert gpu_slot(4) == Slot(0.25, 0, {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.22"})
    assert gpu_slot(3).environment == {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.30"}
    slot = cpu_slot(2)
    assert (slot.gpus, slot.cpus) == (0, 2)
    assert slot.environment["JAX_PLATFORMS"] == "cpu" and slot.environment["NPROC"] == "2"
    assert "intra_op_parallelism_threads=2" in slot.environment["XLA_FLAGS"]
    here = {"CPU": 8.0, "GPU": 2.0}
    assert choose_slot(None, None, here, may_grow=False) == gpu_slot(1)
    assert choose_slot(None, 4, here, may_grow=False) == cpu_slot(4)
    assert choose_slot(None, None, {"CPU": 8.0}, may_grow=True) == cpu_slot(1)
    assert choose_slot(2, None, {"CPU": 8.0}, may_grow=True) == gpu_slot(2)
    with pytest.raises(UserError, match="--per-gpu=2: Ray finds no GPU here"):
        choose_slot(2, None, {"CPU": 8.0}, may_grow=False)
    with pytest.raises(UserError, match="--cpus=9: this machine has 8 cores"):
        choose_slot(None, 9, here, may_grow=False)
