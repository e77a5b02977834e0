"""An item from its runs to its page, with training that only writes what a trained run leaves behind."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.pages import Page
from helpers.small_runs import ball_params
from helpers.small_training import ROOT
from PIL import Image

from voxjax import evaluate, reproduce
from voxjax.checkpoint import Checkpoints
from voxjax.config.loading import load
from voxjax.config.saved import to_json
from voxjax.errors import UserError
from voxjax.factory import make_plan
from voxjax.pictures import outputs
from voxjax.pictures.views import picture_options, view_of
from voxjax.reproduction import catalogue, figures, judging, runs
from voxjax.reproduction.items import COURSE, GRADIENTS, SIDE_BY_SIDE, Item, Plan, Variant
from voxjax.run import CHECKPOINTS, CONFIG, kept_steps, load_run
from voxjax.structs import TrainState

SMALL = (
    ("field.side", "12"),
    ("field.learn_shift", "False"),
    ("steps", "40"),
    ("output.eval_width_px", "40"),
    ("output.turntable_frames", "2"),
    ("log.field_gradients", "True"),
)
VARIANTS = (Variant("good", "demo"), Variant("wrong", "demo", (("loss.kl", "0.0"),)))
PLAN = Plan(VARIANTS, ("a red sphere", "a blue sphere"), ("pocket-eval", "pocket"), settings=SMALL)
COLOURS = {"red": (0.9, 0.05, 0.05), "blue": (0.05, 0.05, 0.9)}


def begin(patch):
    """Puts a table of two variants among the items, and in place of processes something that writes balls.

    Returns:
      A list that gets what is started: training in the other colour for the variant `wrong`, and evaluation.
    """
    entries = []

    def start(module, arguments, *, name, threads=None):
        entries.append((module, arguments))
        if module == "voxjax.evaluate":
            evaluate.main(arguments)
            return ""
        flags = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
        given = [
            (key.removeprefix("config."), value) for key, value in flags.items() if key.startswith("config.")
        ]
        if "wrong" in name and "blue" in flags["config.prompt"]:
            return "no memory"
        write(flags["workdir"], load(flags["config"], given), "wrong" in name)
        return ""

    patch.setattr(runs, "start", start)
    patch.setattr(judging, "start", start)
    item = Item(
        "thing", "A thing", "Is it?", {"demo": PLAN, "paper": PLAN}, (SIDE_BY_SIDE, GRADIENTS, COURSE)
    )
    patch.setitem(catalogue.ITEMS, "thing", item)
    return entries


@pytest.fixture
def started(monkeypatch):
    return begin(monkeypatch)


def write(workdir, config, wrong):
    """A run with two checkpoints, its evaluation view, its gradients and its summary."""
    folder = Path(workdir)
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(to_json(config))
    colour = COLOURS["blue" if ("red" in config.prompt) == wrong else "red"]
    shape = make_plan(config).saved_stage(config.steps).shape
    checkpoints, zero = Checkpoints(folder / CHECKPOINTS), np.int32(0)
    for step, radius in ((20, 0.4), (40, 0.7)):
        grid = ball_params(colour, radius=radius, shape=shape)
        tracked = {"occupancy": np.ones(shape, bool)}
        checkpoints.save(TrainState(np.int32(step), grid, tracked, {}, zero, zero))
    checkpoints.close()
    run = load_run(folder)
    outputs.write_evaluation_view(folder / "eval.png", view_of(run), options=picture_options(config))
    lines = [
        {
            "step": step,
            "gradient/mean_density": 1e-3 * step * (2 if wrong else 1),
            "gradient/mean_colour": 1e-5,
        }
        for step in (10, 20, 30, 40)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = {
        "total_seconds": 12.0,
        "steps_per_second": 2.0,
        "peak_memory_bytes": 2**30,
        "peak_memory_of": "process",
    }
    (folder / "summary.json").write_text(json.dumps({**told, "device": "cpu", "device_count": 1}))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(root, what was started, what was printed) after the first call, in which one run fails."""
    root, printed = tmp_path_factory.mktemp("made"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        entries = begin(patch)
        with pytest.raises(SystemExit) as left:
            reproduce.main(["--item=thing", "--scale=demo", f"--root={root}", "--jobs=1"])
    assert left.value.code == 1
    return root, entries, printed.getvalue()


def test_an_item_ends_in_tables_pictures_and_one_page(made):
    root, started, printed = made
    folder = root / "demo" / "thing"
    assert [module for module, _ in started] == ["voxjax.train"] * 4 + ["voxjax.evaluate"]
    result = json.loads((folder / "table.json").read_text())
    good, wrong = result["variants"]
    assert (good["runs"], good["finished"], wrong["runs"], wrong["finished"]) == (2, 2, 2, 1)
    for judge, mark in (("pocket-eval", ""), ("pocket", "same model: overfit")):
        assert good["judges"][judge]["n_runs"] == 2 and good["judges"][judge]["mark"] == mark
        assert good["judges"][judge]["r_precision_at_1_per_object"] == 1.0
        assert wrong["judges"][judge]["r_precision_at_1_per_object"] == 0.0  # blue where it should be red
        assert 0 <= good["judges"][judge]["untextured_r_precision_at_1"] <= 1
    assert good["coherence"] > 0.99 and result["n_captions"] == 80
    assert good["cost"]["total_seconds"] == 12.0 and good["published"] is None
    # The figures are those of the table that `voxjax evaluate` wrote.
    judged = json.loads((folder / "judged.json").read_text())
    rows = [row for row in judged["runs"] if "/good/" in row["workdir"]]
    cosines = [view["cosine"] for row in rows for view in row["views"]]
    assert good["judges"]["pocket-eval"]["mean_cosine"] == pytest.approx(np.mean(cosines))
    assert list(result["failed"].values()) == ["no memory"]
    text = (folder / "table.md").read_text()
    assert text in printed and "| good | 2 of 2 | pocket-eval | 100%" in text
    assert "| wrong | 1 of 2 | pocket-eval | 0% |" in text and "no memory" in text and "| 12.0 s |" in text
    assert text.count("|  |  | pocket (same model: overfit) |") == 2
    page = Page((folder / "index.html").read_text())
    assert len(page.all("img")) == 3 and all(img["src"].startswith("data:") for img in page.all("img"))
    for name in ("side_by_side", "gradients", "course"):
        assert np.asarray(Image.open(folder / f"{name}.png")).std() > 5


def test_a_second_call_trains_only_what_failed(made, started, tmp_path, monkeypatch):
    monkeypatch.setattr(judging, "start", lambda module, *_, **__: started.append((module, ())) or "no judge")
    root = tmp_path / "again"
    shutil.copytree(made[0], root)
    before = {path: path.stat().st_mtime_ns for path in (root / "demo" / "runs").rglob("*.json")}
    with pytest.raises(SystemExit):
        reproduce.main(["--item=thing", "--scale=demo", f"--root={root}", "--jobs=2"])
    assert [module for module, _ in started] == ["voxjax.train", "voxjax.evaluate"]
    assert any(argument == "--config.prompt=a blue sphere" for argument in started[0][1])
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    # Without a judge there is a page all the same, and it says so.
    text = (root / "demo" / "thing" / "table.md").read_text()
    assert "judging failed: no judge" in text and "| good | 2 of 2 | 12.0 s |" in text
    # Other settings are other runs: refused before anything starts, and nothing is written over.
    started.clear()
    with pytest.raises(UserError, match="holds a run of another config"):
        reproduce.main(["--item=thing", "--scale=demo", f"--root={root}", "--config.loss.tv=0.5"])
    assert started == []


def test_gradients_are_means_over_the_runs_of_a_variant(made):
    root, _, _ = made
    jobs = runs.jobs_of(PLAN, PLAN.prompts, seeds=1, root=root / "demo", overrides=())
    curves = figures.mean_gradients([job for job in jobs if job.done])
    good, wrong = curves["density"]
    np.testing.assert_allclose(good.x, [10, 20, 30, 40])
    np.testing.assert_allclose(good.y, [0.01, 0.02, 0.03, 0.04])
    np.testing.assert_allclose(wrong.y, [0.02, 0.04, 0.06, 0.08])


def test_the_course_shows_every_checkpoint_above_the_windows(made):
    root, _, _ = made
    (job, *_) = runs.jobs_of(PLAN, PLAN.prompts, seeds=1, root=root / "demo", overrides=())
    assert kept_steps(job.workdir) == [20, 40]
    image = figures.course([job]).astype(int)
    red = (image[..., 0] - image[..., 2]) > 100
    columns = red.any(axis=0).astype(int)
    assert np.sum(np.diff(np.concatenate([[0], columns])) == 1) == 2  # two balls, the second larger
    left = image.shape[1] - 2 * 128
    assert red[:, left : left + 128].sum() < red[:, left + 128 :].sum()
    violet = np.all(np.abs(image - np.array([128, 72, 192])) < 10, axis=-1)
    where = np.nonzero(violet.any(axis=0))[0]
    # KL is on until 0.35 of 40 steps: step 14, of which 20 is the middle of the first picture.
    assert where.min() == pytest.approx(left, abs=2)
    assert where.max() == pytest.approx(left + 14 / 20 * 64, abs=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--item=tabel1"], "--item=tabel1: no such item; they are table1"),
        ([], "--item: missing"),
        (["--item=table1"], "needs --prompts=FILE"),
        (["--item=thing", "--jobs=0"], "from 1 to 256"),
        (["--item=thing", "--scale=demo", "--config.stepps=3"], "did you mean --config.steps"),
        (["--item=thing", "--prompts=none.txt"], "cannot be read"),
    ],
)
def test_mistakes_are_named_before_anything_starts(started, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        reproduce.main([*arguments, f"--root={tmp_path}"])
    assert started == [] and list(tmp_path.iterdir()) == []


def test_prompts_that_would_share_a_folder_are_refused(started, tmp_path):
    captions = tmp_path / "captions.txt"
    captions.write_text("a red, sphere\na red sphere\n")
    with pytest.raises(UserError, match="would share the folder"):
        reproduce.main(["--item=thing", "--scale=demo", f"--prompts={captions}", f"--root={tmp_path}/out"])
    assert started == []


@pytest.mark.parametrize(
    ("caption", "more", "words"),
    [
        # Its guide takes it, where "auto" chooses one; those who judge do not.
        ("a cactus", (), "pocket, which guides or judges here: this CLIP does not know 'cactus'"),
        (
            "a red cube",
            ("--config.clip.negatives=('a cactus',)", "--config.clip.model=pocket-eval"),
            "'cactus'",
        ),
    ],
)
def test_a_text_that_a_clip_cannot_read_is_refused_before_the_first_run(
    started, tmp_path, caption, more, words
):
    captions = tmp_path / "captions.txt"
    captions.write_text(f"a red sphere\n{caption}\n")
    arguments = [
        "--item=thing",
        "--scale=demo",
        f"--prompts={captions}",
        "--limit=1",
        f"--root={tmp_path}/out",
    ]
    with pytest.raises(UserError, match=words):
        reproduce.main([*arguments, *more])
    assert started == [] and not (tmp_path / "out").exists()


def test_the_list_names_every_item(capsys):
    reproduce.main(["--list"])
    printed = capsys.readouterr().out
    assert all(f"{name} " in printed for name in catalogue.ITEMS)


def test_the_captions_of_the_demo_are_those_of_the_small_clips():
    lines = (ROOT / "launch/pocket_captions.txt").read_text().splitlines()
    wanted = {line.strip() + "." for line in lines if line.strip()}
    assert set(judging.captions_of(["a red sphere"], "demo", False)) == wanted
    assert judging.captions_of(["A bonsai"], "demo", True) == ["a bonsai."]
