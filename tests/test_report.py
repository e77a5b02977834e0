"""`python -m voxjax.report`: reports and an index in a browser, and what is refused."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.pages import Page
from helpers.small_runs import write_run
from helpers.small_training import ROOT, environment
from PIL import Image

from voxjax import report as command
from voxjax.errors import UserError
from voxjax.evaluation.report import write_mesh
from voxjax.pictures import outputs
from voxjax.pictures.views import picture_options, view_of
from voxjax.run import load_run

PROMPT = """a <script>window.hurt = 1</script>ball<img src=x onerror="window.hurt = 1">"""
LOW, HIGH = (0.1, 0.2, 0.8), (0.8, 0.5, 0.1)


def two_colours(n=19):
    """Of each vertex: orange above 0.4, blue below."""
    colours = np.empty((n, n, n, 3))
    colours[:, :, :12], colours[:, :, 12:] = LOW, HIGH
    return colours


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder of two finished runs, one with pictures and mesh, and of what else lies in such folders."""
    folder = tmp_path_factory.mktemp("all runs")
    ball = write_run(folder / "a ball #1", PROMPT, two_colours(), radius=0.7)
    run = load_run(ball)
    outputs.write_pictures(ball, view_of(run), options=picture_options(run.config))
    assert write_mesh(run) == ""
    for name, similarity in (("a ball #1", 0.25), ("b", 0.75)):
        lines = [{"step": 10 * k, "clip_similarity": similarity, "loss": -k / 10} for k in range(1, 16)]
        if name == "b":
            write_run(folder / "b", "a blue ball", LOW, output__mesh=False)
        (folder / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_run(folder / "c half", "a green ball", (0.1, 0.8, 0.1), steps_done=100)
    (folder / "d broken").mkdir()
    (folder / "d broken/config.json").write_text('{"prompt": "a &')
    (folder / "e empty").mkdir()
    (folder / "e empty/config.json").write_text("{}")
    (folder / "f other").mkdir()
    return folder


def colour_at(picture, x, y):
    """Mean over a small square of a picture, in [0, 1]; x and y as shares of its sides."""
    image = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) / 255
    row, column = (int(share * size) for share, size in zip((y, x), image.shape, strict=False))
    return image[row - 2 : row + 3, column - 2 : column + 3].mean((0, 1))


def watch(page):
    """Addresses that a page asks for, gathered as it does."""
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    return asked


def test_a_report_in_a_browser(runs, page, capsys):
    """Offline, without a script of the prompt: mesh upright and in its colours, curves, phone and dark."""
    workdir = runs / "a ball #1"
    command.main([f"--workdir={workdir}"])
    assert capsys.readouterr().out == f"{workdir / 'report.html'}\n"
    asked = watch(page)
    page.context.set_offline(True)
    page.goto((workdir / "report.html").as_uri())
    assert page.locator("h1").inner_text() == PROMPT and page.title() == PROMPT
    # The mesh, drawn in the middle of its frame: orange above and blue below, as the field has them.
    frame = page.frame_locator("iframe")
    frame.locator("body[data-shown='1'] canvas").wait_for(timeout=20_000)
    drawn = page.locator("iframe").screenshot()
    np.testing.assert_allclose(colour_at(drawn, 0.5, 0.2), HIGH, atol=0.03)
    np.testing.assert_allclose(colour_at(drawn, 0.5, 0.8), LOW, atol=0.03)
    np.testing.assert_allclose(colour_at(drawn, 0.5, 0.01), 1.0, atol=0.01)
    # It turns: a drag downwards shows its top, where the side was.
    box = page.locator("iframe").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + box["height"] * 0.4, steps=4)
    page.mouse.up()
    np.testing.assert_allclose(colour_at(page.locator("iframe").screenshot(), 0.5, 0.8), HIGH, atol=0.03)
    # Shade is asked for.
    frame.locator("input").check()
    assert np.abs(colour_at(page.locator("iframe").screenshot(), 0.5, 0.5) - HIGH).max() > 0.03
    plot = page.locator(".plot").first
    plot.scroll_into_view_if_needed()
    place = plot.bounding_box()
    page.mouse.move(place["x"] + place["width"] / 3, place["y"] + 5)
    assert page.locator(".step").inner_text() == "step 50"
    assert page.locator(".lane b").nth(1).inner_text() == "-0.500"
    assert page.evaluate("window.hurt") is None and page.errors == []
    elsewhere = [url for url in asked if not url.startswith(("data:", "blob:", "about:"))]
    assert elsewhere == [(workdir / "report.html").as_uri()]
    for scheme, paper in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 23, 26)")):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == paper
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_an_index_of_many_runs(runs, page, capsys):
    out = runs.parent / "pages/all of them.html"
    command.main([f"--runs={runs}/*", f"--out={out}"])
    said = capsys.readouterr()
    counts = "6 folders: 2 finished, 1 not finished, 2 that cannot be read, 1 without a config"
    assert said.out.splitlines()[-2:] == [counts, str(out)]
    # The report that was missing was made, and what is not shown is told.
    assert (runs / "b/report.html").is_file() and not (runs / "c half/report.html").exists()
    assert f"{runs / 'c half'}: not finished: step 100 of 150" in said.err and "d broken" in said.err
    shown = Page(out.read_text())
    assert counts in shown.text and PROMPT in shown.text and "no config.json" in shown.text
    links = [each["href"] for each in shown.all("a")]
    there = f"../{runs.name}".replace(" ", "%20")
    assert links == [f"{there}/a%20ball%20%231/report.html", f"{there}/b/report.html"]
    assert all(each["src"].startswith("data:image/jpeg;base64,") for each in shown.all("img"))
    # In a browser: sorted by similarity, and a link that leads to the report.
    page.goto(out.as_uri())
    assert [each.inner_text() for each in page.locator(".cards b").all()] == ["0.250", "0.750"]
    page.locator("select").select_option("similarity")
    assert [each.inner_text() for each in page.locator(".cards b").all()] == ["0.750", "0.250"]
    page.locator(".cards a").last.click()
    page.wait_for_url("**/report.html")
    assert page.title() == PROMPT and page.evaluate("window.hurt") is None and page.errors == []
    # Written again: what it found, it leaves.
    before = os.stat(runs / "b/report.html").st_mtime_ns
    command.main([f"--runs={runs}/*", f"--out={out}"])
    assert os.stat(runs / "b/report.html").st_mtime_ns == before


def test_a_run_that_gets_no_report_does_not_end_the_index(tmp_path, monkeypatch, capsys):
    """One in a folder of somebody else's; names of folders may have letters of any script."""
    for name in ("a", "красный-шар"):
        write_run(tmp_path / name, "a blue ball", LOW, output__mesh=False)
    real = command.write_report

    def write(workdir):
        if workdir.name == "a":
            raise PermissionError(13, "Permission denied")
        return real(workdir)

    monkeypatch.setattr(command, "write_report", write)
    out = tmp_path / "index.html"
    command.main([f"--runs={tmp_path}/*", f"--out={out}"])
    said = capsys.readouterr()
    assert f"{tmp_path / 'a'}: no report: [Errno 13] Permission denied" in said.err
    assert "2 folders: 2 finished" in said.out
    assert [each["href"] for each in Page(out.read_text()).all("a")] == [
        "%D0%BA%D1%80%D0%B0%D1%81%D0%BD%D1%8B%D0%B9-%D1%88%D0%B0%D1%80/report.html"
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --workdir"),
        (["--workdir=F/b", "--runs=F/*"], "either --workdir"),
        (["--workdir=F/f other"], "not the workdir of a run"),
        (["--workdir=F/d broken"], "not a config"),
        (["--workdir=F/b", "--out=F/b"], "a folder of this name exists"),
        (["--runs=F/none*"], "no run there"),
        (["--runs=F/b", "--out=F/page.html"], "another page of this name"),
        (["--run=F/b"], "--run=F/b"),
    ],
)
def test_mistakes_are_named(runs, arguments, words):
    (runs / "page.html").write_text("<p>mine")
    given = [each.replace("=F/", f"={runs}/") for each in arguments]
    with pytest.raises(UserError) as caught:
        command.main(given)
    assert words.replace("=F/", f"={runs}/") in str(caught.value) and "\n" not in str(caught.value)
    assert (runs / "page.html").read_text() == "<p>mine"


def test_a_mistake_is_one_line_and_exit_2(tmp_path):
    line = [sys.executable, "-m", "voxjax.report", f"--workdir={tmp_path}"]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("voxjax: ") and done.stderr.count("\n") == 1
