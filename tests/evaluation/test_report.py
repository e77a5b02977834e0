"""The report of a run: what is read, where the curves run, and a page that holds it all as text."""

import base64
import json
import re
import shlex
import shutil
from html import unescape

import numpy as np
import pytest
from helpers.pages import Page
from helpers.small_runs import write_run
from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.evaluation import report_curves, report_mesh
from voxjax.evaluation.report import make_outputs, write_report
from voxjax.evaluation.report_data import collect, similarity_of
from voxjax.evaluation.report_schedule import schedule_of
from voxjax.run import load_run, read_config
from voxjax.run_config import wanted_files
from voxjax.run_files import read_summary
from voxjax.training.timing import Timing

NASTY = """<script>window.hurt = 1</script><img src=x onerror="window.hurt = 1"> & "it's" </title>"""


def config_of(spec, **changes):
    pairs = [
        (name.replace("__", "."), str(value)) for name, value in {"prompt": "a red cube", **changes}.items()
    ]
    return load(f"{ROOT}/configs/{spec}", pairs)


def test_windows_are_the_papers_step_numbers():
    """Pure CLIP guidance: KL to 8k, TV from 5k to 13k, annealing 500 steps, the grid doubles four times."""
    found = schedule_of(config_of("vox_exp.py:ensemble"))
    spans = {span.name: (span.start, span.end) for span in found.spans}
    assert spans == {
        "CLIP ViT-B/32": (0, 15000),
        "CLIP ViT-L/14": (5000, 15000),
        "Opacity annealing": (0, 500),
        "Sphere prior (KL)": (0, 8000),
        "Total variation (TV)": (5000, 13000),
    }
    assert found.rescalings.steps == (5000, 7000, 9000, 11000)
    assert found.tests.steps[:3] == (500, 1500, 2500) and found.tests.steps[-1] == 14500
    sizes = found.rescalings.note.removeprefix("vertices: ").split(" → ")
    counts = np.array([np.prod([int(n) for n in size.split("×")]) for size in sizes])
    np.testing.assert_allclose(counts, 140**3 / 2.0 ** np.arange(4, -1, -1), rtol=0.03)


def test_only_what_acts_is_a_window():
    dream = schedule_of(config_of("dream_fields.py:lq"))
    assert [span.kind for span in dream.spans] == ["guide", "opacity", "field", "rate"]
    assert dream.rescalings.steps == dream.tests.steps == ()
    plain = schedule_of(config_of("vox_exp.py", loss__kl=0.0, loss__tv=0.0, loss__transmittance=0.0))
    assert [span.kind for span in plain.spans] == ["guide"]
    # Released step numbers in a run that ends before them: nothing beyond the end.
    short = schedule_of(config_of("vox_exp.py", steps=6000, schedule_steps=15000))
    assert {span.kind: span.end for span in short.spans} == {
        "guide": 6000,
        "opacity": 500,
        "kl": 6000,
        "tv": 6000,
    }
    assert short.rescalings.steps == (5000,)


def test_similarity_is_the_mean_of_the_last_tenth():
    told = [{"step": 10 * k, "clip_similarity": float(k)} for k in range(1, 21)]
    assert similarity_of(told) == pytest.approx((19 + 20) / 2)  # steps 190 and 200 of 200
    assert similarity_of([*told[:-1], {"step": 200, "clip_similarity": None}]) == 19
    assert similarity_of([]) is None and similarity_of([{"step": 1}]) is None


def test_curves_run_where_the_values_are():
    """Each point of a path against its step and value, computed apart."""
    steps, values = [10, 40, 100], [1.0, 3.0, 2.0]
    told = [{"step": s, "loss": v} for s, v in zip(steps, values, strict=True)]
    told.insert(1, {"step": 20, "loss": None})
    drawn = report_curves.figure(told, schedule_of(config_of("demo.py", steps=100)))
    (path,) = re.findall(r'<path d="M([^"]*)"', drawn)
    points = np.array([point.split(",") for point in path.split("L")], float)
    np.testing.assert_allclose(points[:, 0], np.array(steps) / 100 * 1000, atol=0.05)
    np.testing.assert_allclose(points[:, 1], [94, 6, 50], atol=0.05)  # 6 of 100 units are margin
    assert "<title>Loss over the steps</title>" in drawn and "smallest 1, largest 3." in drawn


def test_very_many_values_become_means_that_a_screen_can_show():
    values = np.random.default_rng(0).normal(size=12000)
    told = [{"step": k + 1, "loss": float(v)} for k, v in enumerate(values)]
    points = np.array(report_curves.points_of(told, "loss"))
    assert len(points) == 400
    np.testing.assert_allclose(points[:, 1], values.reshape(400, 30).mean(1))
    np.testing.assert_allclose(points[:, 0], np.arange(1, 12001).reshape(400, 30).mean(1))


def test_a_term_nobody_knows_by_name_has_its_curve():
    told = [{"step": 1, "loss": 1.0, "loss/clip2": 2.0, "loss/<new>": 3.0, "gradient/density": 4.0}]
    assert [curve.metric for curve in report_curves.curves_of(told)] == ["loss", "loss/<new>", "loss/clip2"]
    drawn = report_curves.figure(told, schedule_of(config_of("demo.py")))
    assert "<new>" not in drawn and "&lt;new&gt; term" in drawn


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """(workdir of a finished run whose prompt is HTML, its page)."""
    workdir = write_run(tmp_path_factory.mktemp("report") / "run 1", NASTY, (0.9, 0.1, 0.1), cache_dir="<u>")
    lines = [{"step": 10 * k, "clip_similarity": 0.5 + k / 100, "loss": -k / 10} for k in range(1, 16)]
    # The last line was cut off by a kill.
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 1')
    run, timing = load_run(workdir), Timing(workdir)
    with timing.phase("picture"):
        made = make_outputs(run, timing, anew=True)
    assert made == wanted_files(run.config, workdir) and len(made) == 6
    return workdir, Page((workdir / "report.html").read_text())


def test_the_page_holds_all_that_it_shows(reported):
    workdir, page = reported
    sources = [each["src"] for tag in ("img", "video") for each in page.all(tag)]
    names = ["eval.png", "preview.png", "turntable.mp4", "turntable_depth.mp4"]
    held = [base64.b64decode(source.split(",", 1)[1], validate=True) for source in sources]
    assert sorted(held) == sorted((workdir / name).read_bytes() for name in names)
    (frame,) = page.all("iframe")
    assert frame["sandbox"] == "allow-scripts" and "src" not in frame and "srcdoc" not in frame
    # three.js is there once, and the mesh as it lies in the folder.
    assert frame["data-page"].count("Copyright 2010-2022 Three.js Authors") == 1
    assert base64.b64encode((workdir / "mesh.glb").read_bytes()).decode() in frame["data-page"]
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "data", "action", "background"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)


def test_whatever_the_run_says_is_text(reported):
    workdir, page = reported
    assert len(page.all("script")) == 1 and "</title>" not in str(page.all("title"))
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert page.text.count(NASTY) == 2  # heading and the window's title
    assert all(NASTY in each["alt"] for each in page.all("img"))
    assert "<u>" in page.text and not page.all("u")  # the value of a key


def test_the_page_tells_the_figures(reported):
    workdir, page = reported
    for words in ("0.645", "150 of 150", "Vox_Exp", "pocket", "voxjax", "0.12", "1 × cpu", "pictures, mesh"):
        assert words in page.text, words  # 0.645 is the mean of steps 140 and 150
    vertices, faces = report_mesh.counts(workdir / "mesh.glb")
    assert f"{faces:,} faces" in page.text and f"{vertices:,} vertices" in page.text
    assert faces == 2 * vertices - 4  # Euler, for a ball
    assert "step_size_voxels" in page.text and "n_frequencies" not in page.text
    report = collect(workdir)
    assert report.command in page.text and report.changed["field.side"] == (140, 20)
    assert report.similarity == pytest.approx(0.645) and report.finished and not report.lost
    assert read_summary(workdir)["picture_seconds"] > 0 and "no_mesh" not in read_summary(workdir)


def test_the_prompt_survives_a_shell(reported):
    (code,) = re.findall(r"<pre><code>(.*?)</code>", (reported[0] / "report.html").read_text(), re.S)
    words = shlex.split(unescape(code))
    assert words[:2] == ["voxjax", "train"] and f"--config.prompt={NASTY}" in words
    assert words[-1] == "--workdir=runs/run 1-again"


def test_only_what_is_missing_is_made(reported, tmp_path):
    workdir = shutil.copytree(reported[0], tmp_path / "run")
    for name in ("mesh.glb", "report.html"):
        (workdir / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in workdir.iterdir() if path.suffix in (".png", ".mp4")}
    # What is no mesh is told, before a page shows nothing in its place.
    (workdir / "mesh.glb").write_bytes(b"glTF" + bytes(40))
    with pytest.raises(UserError, match="mesh.glb: not a mesh in binary glTF; delete it"):
        write_report(workdir)
    (workdir / "mesh.glb").unlink()
    made = make_outputs(load_run(workdir), Timing(workdir), anew=False)
    assert {path.name for path in made} >= {"mesh.glb", "report.html"} and len(before) == 4
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_empty_surface_is_a_warning_and_the_report_says_so(tmp_path, capsys):
    workdir = write_run(tmp_path / "run", "a red ball", (0.9, 0.1, 0.1), radius=-3.0)
    run, config = load_run(workdir), read_config(workdir)
    made = make_outputs(run, Timing(workdir), anew=True)
    assert [path.name for path in made][-1] == "report.html" and not (workdir / "mesh.glb").exists()
    warning = capsys.readouterr().err
    assert (
        warning.startswith(f"warning: {workdir}: no mesh.glb: the surface is empty")
        and warning.count("\n") == 1
    )
    page = Page((workdir / "report.html").read_text())
    assert not page.all("iframe") and "the surface is empty: " in page.text
    assert "the largest opacity of a voxel" in page.text
    # It is remembered: nobody tries again, and the report can be written again.
    assert all(path.exists() for path in wanted_files(config, workdir)) and len(made) == 5
    assert "the surface is empty" in Page(write_report(workdir).read_text()).text


def test_a_run_in_progress_can_be_reported(tmp_path):
    workdir = write_run(tmp_path / "run", "a red ball", (0.9, 0.1, 0.1), steps_done=50)
    page = Page(write_report(workdir).read_text())
    for words in ("Not finished: step 50 of 150", "no metrics.jsonl", "no summary.json", "no mesh.glb"):
        assert words in page.text
    with pytest.raises(UserError, match="not the workdir of a run"):
        write_report(tmp_path)
