"""Scores against loops, and the evaluation of small runs by a judge that knows colours only."""

import json
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.small_runs import write_run

from voxjax import evaluate
from voxjax.errors import UserError
from voxjax.guidance import Guidance
from voxjax.pictures.images import colour_image
from voxjax.pictures.views import view_of
from voxjax.run import load_run

COLOURS = {
    "a red ball.": (1, 0, 0),
    "a green ball.": (0, 1, 0),
    "a blue ball.": (0, 0, 1),
    "a grey ball.": (1, 1, 1),
}


def colour_judge(name, *, prompts, **_):
    """Embeds a picture as the direction of its mean darkness per channel, a caption as its colour."""

    def encode(params, images):
        missing = jnp.mean(1.0 - images, axis=(1, 2))
        direction = jnp.max(missing, axis=-1, keepdims=True) - missing
        return direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)

    texts = jnp.asarray([COLOURS[p] for p in prompts], jnp.float32)
    texts = texts / jnp.linalg.norm(texts, axis=-1, keepdims=True)
    return Guidance(params={}, name=name, image_size=16, embedding_size=3, encode=encode), texts


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Three finished runs, of which the last is blue where its prompt says green, and one unfinished."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "a", "A red ball", (0.9, 0.05, 0.05), seed=3)
    write_run(folder / "b", "a blue ball", (0.05, 0.05, 0.9))
    write_run(folder / "c", " a green ball. ", (0.05, 0.05, 0.9))
    write_run(folder / "d", "a red ball", (0.9, 0.05, 0.05), steps_done=100)
    (folder / "e").mkdir()
    return folder


@pytest.fixture
def captions(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text("A red ball\n\na green ball.\na blue ball,\na grey ball\n")
    return path


def test_table_of_small_runs(runs, captions, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "load_guidance", colour_judge)
    out = tmp_path / "table.json"
    evaluate.main([f"--runs={runs}/*", f"--prompts={captions}", "--clip=colours", f"--out={out}"])
    table = json.loads(out.read_text())
    assert table["n_runs"] == 3 and table["n_captions"] == 4 and table["judge"] == "colours"
    assert table["azimuths_deg"] == [30.0, 120.0, 210.0, 300.0] and table["elevation_deg"] == 45.0
    assert table["r_precision_at_1_per_view"] == pytest.approx(2 / 3)
    assert table["r_precision_at_1_per_object"] == pytest.approx(2 / 3)
    assert table["r_precision_at_1_evaluation_view"] == pytest.approx(2 / 3)
    names = [(row["prompt"], row["nearest"]) for row in table["runs"]]
    assert names == [("a red ball.",) * 2, ("a blue ball.",) * 2, ("a green ball.", "a blue ball.")]
    assert table["runs"][0]["seed"] == 3 and table["runs"][0]["guided_by"] == "pocket"
    assert all(len(row["views"]) == 4 for row in table["runs"])
    # The figures over all are those of the rows.
    views = [view for row in table["runs"] for view in row["views"]]
    assert table["mean_rank"] == pytest.approx(np.mean([view["rank"] for view in views]))
    assert table["mean_cosine"] == pytest.approx(np.mean([view["cosine"] for view in views]))
    # What was not judged is named, in the table and to the eye.
    assert set(table["left_out"]) == {str(runs / "d"), str(runs / "e")}
    printed = capsys.readouterr()
    assert "66.7% per view" in printed.out and "a green ball.  (a blue ball.)" in printed.out
    assert "step 100 of" in printed.err and "no config.json" in printed.err


def test_a_view_of_a_run_shows_its_ball(runs):
    view = view_of(load_run(runs / "a"))(75.0, 20.0, 48)
    image = colour_image(view).astype(float)
    np.testing.assert_allclose(image[24, 24], [0.9 * 255, 0.05 * 255, 0.05 * 255], atol=3)
    np.testing.assert_array_equal(image[0, 0], 255)
    # A ball of radius 0.7 at distance 4 covers the disc of radius f * 0.7 / sqrt(16 - 0.49) pixels.
    disc = np.pi * (48 * 1111.1111 / 800 * 0.7 / np.sqrt(16 - 0.49)) ** 2
    assert np.sum(view.transmittance < 0.5) == pytest.approx(disc, rel=0.08)
    depth = view.depth[24, 24] / (1 - view.transmittance[24, 24])
    assert depth == pytest.approx(3.3, abs=0.08)
    assert int(view.overflow) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--runs={runs}/x*"], "no run there"),
        (["--runs={runs}/d"], "step 100 of"),
        (["--runs={runs}/a", "--azimuths=0"], "from 1 to 360"),
        (["--runs={runs}/a", "--azimuth=2"], "--azimuth=2"),
    ],
)
def test_mistakes_are_named(runs, captions, monkeypatch, arguments, message):
    monkeypatch.setattr(evaluate, "load_guidance", colour_judge)
    filled = [argument.format(runs=runs) for argument in arguments]
    with pytest.raises(UserError, match=message):
        evaluate.main([*filled, f"--prompts={captions}", "--clip=colours"])


def test_a_prompt_that_is_not_a_line_is_refused(runs, tmp_path):
    (tmp_path / "few.txt").write_text("a red ball\na green ball\n")
    with pytest.raises(UserError, match=r"b: its prompt 'a blue ball\.' is not a line of .*few\.txt"):
        evaluate.main([f"--runs={runs}/*", f"--prompts={tmp_path}/few.txt"])


def test_command_ends_with_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "voxjax.evaluate", "--runs=nothing/*", "--prompts=missing.txt"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("voxjax: --prompts=missing.txt") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("out", ["{tmp}/captions.txt/table.json", "{tmp}"])
def test_an_out_that_cannot_be_written_is_refused_before_the_work(runs, captions, tmp_path, monkeypatch, out):
    monkeypatch.setattr(evaluate, "judge_runs", lambda *_: pytest.fail("something was rendered"))
    monkeypatch.setattr(evaluate, "load_guidance", lambda *_, **__: pytest.fail("a model was loaded"))
    out = out.format(tmp=tmp_path)
    with pytest.raises(UserError, match=f"--out={out}: ") as caught:
        evaluate.main([f"--runs={runs}/a", f"--prompts={captions}", f"--out={out}"])
    assert "\n" not in str(caught.value)
