"""Fields side by side: the tables, their order on the sheet, and the prompts that the launcher chooses."""

import json
import subprocess

import numpy as np
import pytest
from helpers.small_runs import write_run
from helpers.small_training import ROOT
from PIL import Image

from launch import pocket_report, processes, things
from launch import primitives as launcher
from launch.processes import Job, read_lines, refuse_unfit, refuse_unranked, train_all
from voxjax.errors import UserError
from voxjax.evaluation import gallery, primitives


def table_of(workdirs, judge="pocket-eval"):
    """A table as `voxjax.evaluate` writes it; the judge takes everything for a red sphere."""
    rows = []
    for workdir, prompt, seed in workdirs:
        rank = 1 if prompt == "a red sphere." else 5
        views = [
            {"azimuth_deg": a, "rank": rank, "cosine": 0.5, "nearest": "a red sphere."} for a in (30, 210)
        ]
        rows.append({"workdir": str(workdir), "prompt": prompt, "seed": seed, "guided_by": "pocket"})
        rows[-1] |= {"rank": rank, "nearest": "a red sphere.", "views": views}
    return {"judge": judge, "n_captions": 80, "elevation_deg": 45.0, "azimuths_deg": [30, 210], "runs": rows}


def figures(prompt, seed=0):
    return {"prompt": prompt, "seed": seed, "views_right": 3, "n_views": 4, "iou": 0.5}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The gallery of two fields, each with a red and a blue ball; the second table turns their order."""
    folder = tmp_path_factory.mktemp("gallery")
    red, blue = ("a red sphere.", (0.9, 0.05, 0.05)), ("a blue sphere.", (0.05, 0.05, 0.9))
    for field, order in {"one": (red, blue), "two": (blue, red)}.items():
        runs = []
        for prompt, colour in order:
            workdir = folder / field / prompt.split()[1]
            write_run(workdir, prompt, colour, radius=0.7)
            runs.append((workdir, prompt, 0))
        (folder / f"{field}.json").write_text(json.dumps(table_of(runs)))
    tables = [f"--table={field}={folder / field}.json" for field in ("one", "two")]
    gallery.main([*tables, f"--out={folder / 'out'}", "--title=Two fields"])
    return folder / "out"


def test_figures_of_each_field(written):
    found = json.loads((written / "gallery.json").read_text())
    for field in ("one", "two"):
        rows = found["runs"][field]
        assert [row["prompt"] for row in rows] == ["a red sphere", "a blue sphere"]
        assert [row["views_right"] for row in rows] == [2, 0]
        assert min(row["iou"] for row in rows) > 0.85  # a ball is what a ball should be
        total = found["totals"][field]["all"]
        assert total["r_precision_per_view"] == total["r_precision_per_object"] == 0.5
    text = (written / "gallery.md").read_text()
    assert text.startswith("# Two fields\n") and "](contact_sheet.png)" in text
    assert "\n| one | 2 | 50.0% | 50.0% | 50.0% | " in text and "\n## two\n" in text


def test_the_sheet_has_a_column_for_each_object_and_a_row_for_each_field(written):
    image = np.asarray(Image.open(written / "contact_sheet.png")).astype(int)
    red = (image[..., 0] - image[..., 2]) > 100
    blue = (image[..., 2] - image[..., 0]) > 100
    width = image.shape[1]
    assert 270 < width < 300
    for colour, left in ((red, True), (blue, False)):
        rows, columns = np.nonzero(colour)
        assert (columns < width / 2).all() == left and (columns >= width / 2).all() != left
        filled = colour.any(axis=1).astype(int)
        assert np.sum(np.diff(np.concatenate([[0], filled])) == 1) == 2  # one ball below the other
        assert len(rows) > 1000


def test_few_objects_stand_in_columns_and_many_in_rows():
    def fields(n):
        run = [(figures(f"object {k}"), np.full((1, 1, 3), k, np.uint8)) for k in range(n)]
        return {"one": run, "two": run}

    pictures, labels, columns = gallery.sheet(fields(3))
    assert columns == 3 and [p[0, 0, 0] for p in pictures] == [0, 1, 2, 0, 1, 2]
    assert labels[4] == "object 1\ntwo: 3/4, IoU 0.50"
    pictures, labels, columns = gallery.sheet(fields(11))
    assert columns == 2 and [p[0, 0, 0] for p in pictures[:4]] == [0, 0, 1, 1] and len(pictures) == 22
    seeds = {"one": [(figures("x", seed), np.zeros((1, 1, 3), np.uint8)) for seed in (0, 1)]}
    assert gallery.sheet(seeds)[1][1].startswith("x, seed 1\n")


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (["one"], "write NAME=FILE"),
        (["=a.json"], "write NAME=FILE"),
        (["one=a.json", "one=a.json"], "each name once"),
        (["one=none.json"], "cannot read it"),
        (["one=a.json", "two=b.json"], "not those of one"),
        (["one=c.json"], "each once"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tables, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, seeds in {"a": [0, 1], "b": [0, 2], "c": [1, 1]}.items():
        runs = [(tmp_path / "x", "a red sphere.", seed) for seed in seeds]
        (tmp_path / f"{name}.json").write_text(json.dumps(table_of(runs)))
    with pytest.raises(UserError, match=words):
        gallery.main([*(f"--table={each}" for each in tables), "--out=out"])
    assert not (tmp_path / "out").exists()


def test_the_launcher_takes_one_prompt_of_each_shape():
    chosen = launcher.one_per_shape(read_lines(launcher.PROMPTS))
    assert len(chosen) == 8 and len({primitives.shape_and_colour(prompt) for prompt in chosen}) == 8
    assert len({primitives.shape_and_colour(prompt)[0] for prompt in chosen}) == 8
    assert launcher.one_per_shape(["a b", "c b", "a d"]) == ["a b", "a d"]
    assert set(chosen) <= set(read_lines(launcher.CAPTIONS))


def test_a_run_that_fails_stops_the_launcher(tmp_path, capfd):
    bad = Job(tmp_path / "x", "configs/none.py", "a red sphere", 0)
    with pytest.raises(SystemExit) as caught:
        train_all([bad], side_by_side=2)
    # The line of the run, and its status.
    heard = capfd.readouterr().err
    assert caught.value.code == 2 and heard.startswith("voxjax: ") and "no such file" in heard
    assert heard.count("\n") == 1


def test_a_prompt_that_cannot_be_ranked_stops_the_launcher_before_the_first_run(capsys):
    refuse_unranked(["A red sphere."], ["a red sphere"])
    with pytest.raises(SystemExit) as left:
        refuse_unranked(["a red sphere", "a bonsai"], ["a red sphere"])
    assert left.value.code == 2 and "'a bonsai'" in capsys.readouterr().err


@pytest.mark.parametrize("module", [launcher, things, pocket_report])
@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("--jobs=0", "argument --jobs: '0' is not a whole number of at least 1"),
        ("--seeds=one", "argument --seeds: 'one' is not a whole number"),
        ("--prompts=none.txt", "argument --prompts: none.txt: cannot be read"),
        ("--prompts=empty.txt", "argument --prompts: empty.txt: nothing in it"),
    ],
)
def test_mistakes_are_named_before_anything_is_started(module, mistake, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    monkeypatch.setattr(processes, "call", None)
    monkeypatch.setattr("sys.argv", ["launcher", mistake])
    with pytest.raises(SystemExit) as left:
        module.main()
    assert left.value.code == 2 and words in capsys.readouterr().err.splitlines()[-1]


def test_what_could_not_be_trained_is_one_line_before_the_first_run(tmp_path, capfd):
    configs, runs = ["configs/demo.py:vox_exp", "configs/demo.py:vox_imp"], tmp_path / "runs"
    refuse_unfit(configs, ["a red sphere", "a cactus"], runs=runs, more=["--force", "--config.steps=9"])
    with pytest.raises(SystemExit) as left:
        refuse_unfit(configs, ["a red sphere"], runs=runs, more=["--config.stepps=9"])
    heard = capfd.readouterr()
    assert left.value.code == 2 and heard.out == ""
    assert heard.err == "voxjax: --config.stepps=9: no such key; did you mean --config.steps?\n"
    assert not runs.exists()


@pytest.mark.parametrize(
    ("module", "first"),
    [(launcher, "a purple sphere"), (things, "a table"), (pocket_report, "a yellow cone")],
)
def test_launchers_have_all_of_it_looked_at_first(module, first, tmp_path, monkeypatch):
    """By a process that refuses."""
    commands = []

    def refuse(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, 2, "", "a warning\nvoxjax: no\n")

    monkeypatch.setattr(processes.subprocess, "run", refuse)
    monkeypatch.chdir(ROOT)
    places = [f"--runs={tmp_path / 'runs'}", f"--out={tmp_path / 'out'}"]
    monkeypatch.setattr("sys.argv", ["launcher", *places, "--config.steps=9"])
    with pytest.raises(SystemExit) as left:
        module.main()
    (command,) = commands
    assert left.value.code == 2 and command[2:4] == ["voxjax.sweep", "--dry-run"]
    assert f"--prompt={first}" in command and command[-1] == "--config.steps=9"
    assert not any(tmp_path.iterdir())


def test_lines_are_read_as_captions_are_compared(tmp_path):
    (tmp_path / "prompts.txt").write_text(" a  red sphere\n\na red\u00a0sphere\na cat\n", encoding="utf-8")
    assert read_lines(tmp_path / "prompts.txt") == ["a red sphere", "a cat"]
