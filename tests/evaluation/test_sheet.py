"""The sheet of a table: every run is on it, with what it is and what it is taken for."""

import json

import numpy as np
import pytest
from PIL import Image

from voxjax.errors import UserError
from voxjax.evaluation import sheet

COLOURS = [(220, 30, 30), (30, 160, 60)]


@pytest.fixture
def table(tmp_path):
    rows = []
    for i, colour in enumerate(COLOURS):
        folder = tmp_path / str(i)
        folder.mkdir()
        Image.new("RGB", (64, 64), colour).save(folder / "eval.png")
        rows.append({"workdir": str(folder), "prompt": "a cat", "seed": i, "rank": 1 + i, "nearest": "a dog"})
    file = tmp_path / "table.json"
    file.write_text(json.dumps({"runs": rows}))
    return file


def test_every_run_is_on_the_sheet(table, tmp_path):
    out = tmp_path / "sheet.png"
    sheet.main([f"--table={table}", f"--out={out}", "--title=Two"])
    pixels = np.asarray(Image.open(out).convert("RGB")).reshape(-1, 3)
    for colour in COLOURS:
        assert np.sum(np.all(pixels == colour, axis=-1)) > 100 * 100


def test_labels_say_what_it_is_taken_for():
    row = {"prompt": "a cat.", "seed": 3, "rank": 1, "nearest": "a cat."}  # as tables have them
    assert sheet.label_of(row, with_seed=False) == "a cat\nrank 1"
    assert (
        sheet.label_of({**row, "rank": 4, "nearest": "a dog"}, with_seed=True)
        == "a cat, seed 3\nrank 4: a dog"
    )


def test_tables_of_the_same_prompts_stand_together(table, tmp_path):
    rows = json.loads(table.read_text())["runs"]
    other = [{**row, "rank": 7} for row in reversed(rows)]
    order, columns = sheet.arranged({"one": rows, "two": other})
    assert [(name, row["seed"], row["rank"]) for name, row in order] == [
        ("one", 0, 1),
        ("one", 1, 2),
        ("two", 0, 7),
        ("two", 1, 7),
    ]
    assert columns == 2, "a row for each table"
    many = [{**rows[0], "seed": seed} for seed in range(11)]
    order, columns = sheet.arranged({"one": many, "two": many, "three": many})
    assert [(name, row["seed"]) for name, row in order[:4]] == [
        ("one", 0),
        ("two", 0),
        ("three", 0),
        ("one", 1),
    ]
    assert columns == 9, "three prompts in a row, three tables of each"
    with pytest.raises(UserError, match="--table=two: its prompts and seeds are not those of one"):
        sheet.arranged({"one": rows, "two": rows[:1]})
    twins = [*rows, {**rows[0], "workdir": "another"}]
    assert [row for _, row in sheet.arranged({"one": twins})[0]] == twins, "of one table none is left out"
    second = tmp_path / "second.json"
    second.write_text(json.dumps({"runs": other}))
    out = tmp_path / "both.png"
    sheet.main([f"--table={table}", f"--table={second}", f"--out={out}"])
    with Image.open(out) as opened:
        assert opened.height > 2 * 128
    with pytest.raises(UserError, match="each needs a name of its own"):
        sheet.main([f"--table={table}", f"--table={table}", f"--out={out}"])


def test_a_missing_picture_is_named(table, tmp_path):
    (tmp_path / "1" / "eval.png").unlink()
    with pytest.raises(UserError, match="eval.png"):
        sheet.main([f"--table={table}", f"--out={tmp_path / 'sheet.png'}"])
