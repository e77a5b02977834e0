"""Comparisons: what is refused before a run starts, what is gathered, and a page that needs nothing else."""

import base64
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers.pages import Page
from helpers.small_runs import write_run
from helpers.small_training import ROOT, environment

from voxjax import compare, evaluate
from voxjax.errors import UserError
from voxjax.evaluation import processes
from voxjax.pictures import outputs
from voxjax.pictures.views import picture_options, view_of
from voxjax.run import CONFIG, load_run

PROMPT = "a red sphere"
NAMES = ("mine-red", "mine-blue", "mine-broken")


def write_configs(folder, runs):
    """A config file whose variants are exactly the configs of finished runs, and one more."""
    path = folder / "configs/mine.py"
    path.parent.mkdir(parents=True)
    places = {name.removeprefix("mine-"): str(workdir / CONFIG) for name, workdir in runs.items()}
    path.write_text(
        "from pathlib import Path\nfrom ml_collections import ConfigDict\n"
        "from voxjax.config.saved import from_json\n"
        f"PLACES = {places!r}\nVARIANTS = (*PLACES, 'broken')\n"
        "def get_config(variant):\n"
        "    text = Path(PLACES[variant if variant in PLACES else 'red']).read_text()\n"
        "    config = ConfigDict(from_json(text).to_dict())\n"
        "    config.seed = 7 if variant == 'broken' else config.seed\n    return config\n"
    )
    return path


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """(folder, exit status, what was started) of a comparison of two finished runs and one that fails."""
    folder = tmp_path_factory.mktemp("compare")
    out = folder / "out 1"
    colours = {"mine-red": (0.9, 0.05, 0.05), "mine-blue": (0.05, 0.05, 0.9)}
    runs = {
        name: write_run(out / name, PROMPT, colour, radius=0.5 + 0.2 * k)
        for k, (name, colour) in enumerate(colours.items())
    }
    for workdir in runs.values():
        run = load_run(workdir)
        outputs.write_pictures(workdir, view_of(run), options=picture_options(run.config))
    summary = {"step": 150, "total_seconds": 83.2, "compile_seconds": 12.0, "programs": 2, "device": "cpu"}
    summary |= {
        "training_seconds": 60.0,
        "picture_seconds": 4.0,
        "steps_per_second": 2.345,
        "device_count": 1,
    }
    summary |= {"peak_memory_bytes": 3 * 2**29, "peak_memory_of": "process"}
    (runs["mine-red"] / "summary.json").write_text(json.dumps(summary))
    started = []

    def start(module, arguments, *, name):
        """Trains nothing, and judges within this process."""
        started.append((module, arguments))
        if module == "voxjax.train":
            return "grid <too> large" if name == "mine-broken" else ""
        evaluate.main(arguments)
        return ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "start", start)
        patch.setattr(processes, "start", start)
        with pytest.raises(SystemExit) as left:
            compare.main(
                [
                    f"--config={write_configs(folder, runs)}:all",
                    f"--prompt={PROMPT}",
                    f"--workdir={out}",
                    "--config.output.preview_width_px=24",
                ]
            )
    return out, left.value.code, started


def test_every_variant_is_started_in_order_and_then_judged(compared):
    out, code, started = compared
    assert [module for module, _ in started] == ["voxjax.train"] * 3 + ["voxjax.evaluate"] * 2
    for (_, arguments), name in zip(started, NAMES, strict=False):
        assert f"--workdir={out / name}" in arguments and f"--config.prompt={PROMPT}" in arguments
        assert "--config.output.preview_width_px=24" in arguments
    assert [a for _, arguments in started for a in arguments if a.startswith("--clip=")] == [
        "--clip=pocket",
        "--clip=pocket-eval",
    ]
    assert code == 1  # one of them failed


def test_the_table_holds_what_the_judges_said(compared):
    out, _, _ = compared
    table = json.loads((out / "compare.json").read_text())
    assert (table["prompt"], table["caption"], table["held_out"]) == (PROMPT, "a red sphere.", "pocket-eval")
    assert table["azimuths_deg"] == [30.0, 120.0, 210.0, 300.0] and table["judges"] == [
        "pocket",
        "pocket-eval",
    ]
    red, blue, broken = table["runs"]
    assert [run["name"] for run in table["runs"]] == list(NAMES)
    for label in ("pocket", "pocket-eval"):
        found = red["similarity"][label]
        assert len(found["views"]) == 4 and found["evaluation_view"] == found["views"][0]
        assert found["mean"] == pytest.approx(np.mean(found["views"]))
        assert found["mean"] > blue["similarity"][label]["mean"] + 0.1  # a blue ball is no red sphere
    assert broken["similarity"] == {} and broken["files"] == {} and broken["error"] == "grid <too> large"
    assert red["error"] is None and red["summary"]["total_seconds"] == 83.2 and blue["summary"] == {}
    assert all((out / file).is_file() for file in red["files"].values()) and len(red["files"]) == 4
    assert table["differences"] == {"seed": dict(zip(NAMES, (0, 0, 7), strict=True))}


def test_the_page_holds_every_picture_and_asks_for_nothing(compared):
    out, _, _ = compared
    page = Page((out / "index.html").read_text())
    table = json.loads((out / "compare.json").read_text())
    for kind, tag in [(("turntable", "turntable_depth"), "video"), (("evaluation_view", "preview"), "img")]:
        given = [each["src"] for each in page.all(tag)]
        wanted = [out / run["files"][k] for k in kind for run in table["runs"] if k in run["files"]]
        assert len(given) == len(wanted) == 4
        for source, path in zip(given, wanted, strict=True):
            mime = {".mp4": "video/mp4", ".png": "image/png"}[path.suffix]
            assert source.startswith(f"data:{mime};base64,")
            assert base64.b64decode(source.split(",", 1)[1], validate=True) == path.read_bytes()
    # Nothing comes from anywhere else: every address is data.
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "poster", "data", "action", "background"):
            assert attributes.get(name, "data:").startswith("data:"), (tag, name)
    text = re.sub(r'"data:[^"]*"', "", (out / "index.html").read_text())
    text = text.replace("http-equiv", "")
    assert "//" not in text and "url(" not in text and "@import" not in text and "http" not in text


def test_the_page_reads_well(compared):
    out, _, _ = compared
    page = Page((out / "index.html").read_text())
    assert page.all("html")[0]["lang"] == "en" and "width=device-width" in str(page.all("meta"))
    for video in page.all("video"):
        assert {"autoplay", "muted", "loop", "playsinline"} <= set(video)
    alts = [each["aria-label"] for each in page.all("video")] + [each["alt"] for each in page.all("img")]
    assert len(set(alts)) == len(alts) == 8
    assert all(PROMPT in alt and any(name in alt for name in NAMES) for alt in alts)
    # The failure is told, as text and not as tags; so is each figure.
    assert "mine-broken failed: grid <too> large" in page.text
    for words in (
        "1 min 23 s",
        "12.0 s (programs: 2)",
        "1.50 GiB (process)",
        "2.35",
        "150 of 150",
        "pocket-eval",
    ):
        assert words in page.text
    table = json.loads((out / "compare.json").read_text())
    cosine = table["runs"][1]["similarity"]["pocket-eval"]["evaluation_view"]
    assert f"{cosine:.3f}" in page.text


def test_a_prompt_is_text_and_never_html(compared):
    out, _, _ = compared
    table = json.loads((out / "compare.json").read_text())
    nasty = '<script>alert("x")</script> & "quotes"'
    page = Page(compare.page({**table, "prompt": nasty, "caption": nasty}, out))
    assert len(page.all("script")) == 1 and nasty in page.text and nasty in page.all("img")[0]["alt"]


def test_the_page_leads_to_the_reports_of_the_runs(compared):
    out, _, _ = compared
    table = json.loads((out / "compare.json").read_text())
    assert not Page(compare.page(table, out)).all("a")
    table["runs"][0]["files"]["report"] = "mine #1/report.html"
    assert Page(compare.page(table, out)).all("a") == [{"href": "mine%20%231/report.html"}]


MISTAKES = [
    ([], "--config"),
    (["--config=CONFIGS/demo.py"], "--prompt"),
    (["--config=CONFIGS/none.py", "--prompt=x"], "no such file"),
    (["--config=CONFIGS/vox_exp.py:all", "--prompt=x"], "lists no VARIANTS"),
    (
        ["--config=CONFIGS/demo.py", "--config=CONFIGS/vox_exp.py:tiny", "--prompt=x"],
        "paper, mid, low, ensemble",
    ),
    (["--config=CONFIGS/demo.py", "--prompt=a quokka"], "quokka"),
    (["--config=CONFIGS/demo.py", "--prompt= "], "must be a text"),
    (["--config=CONFIGS/demo.py", f"--prompt={PROMPT}", "--held-out=pocket"], "--held-out=pocket: it guides"),
    (
        ["--config=CONFIGS/demo.py", f"--prompt={PROMPT}", "--held-out=none"],
        "--held-out=none: no CLIP called",
    ),
    (["--config=CONFIGS/demo.py", f"--prompt={PROMPT}", "--config.stepps=1"], "--config.stepps"),
    (["--config=CONFIGS/demo.py", f"--prompt={PROMPT}", "--config.prompt=x"], "--prompt"),
    (["--config=CONFIGS/demo.py", f"--prompt={PROMPT}", "--config.field.name=none"], "vox_exp"),
    (["--config=CONFIGS/demo.py", f"--prompt={PROMPT}", "--heldout=x"], "did you mean --held-out"),
    (["--config=CONFIGS/demo.py"] * 2 + [f"--prompt={PROMPT}"], "same folder"),
    (["--config=CONFIGS/demo.py", f"--prompt={PROMPT}", "--workdir=FILE"], "a file of this name"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_mistakes_are_refused_before_anything_starts(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(compare, "start", lambda *_, **__: pytest.fail("something was started"))
    (tmp_path / "file").write_text("")
    filled = [each.replace("CONFIGS", f"{ROOT}/configs").replace("FILE", "file") for each in arguments]
    with pytest.raises(UserError) as caught:
        compare.main(filled)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_with_another_run_is_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "start", lambda *_, **__: pytest.fail("something was started"))
    write_run(tmp_path / "demo", PROMPT, (1, 0, 0))
    with pytest.raises(UserError, match=r"demo holds a run of another config"):
        compare.main([f"--config={ROOT}/configs/demo.py", f"--prompt={PROMPT}", f"--workdir={tmp_path}"])


def test_a_mistake_is_one_line_and_exit_2(tmp_path):
    command = [sys.executable, "-m", "voxjax.compare", "--config=configs/demo.py", "--prompt=a quokka"]
    done = subprocess.run(
        [*command, f"--workdir={tmp_path / 'x'}"], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stdout == ""
    assert "quokka" in done.stderr and done.stderr.startswith("voxjax: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "x").exists()
