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
from voxjax.evaluation import renders
from voxjax.guidance import Guidance, names
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
        direction = jnp.max(missing, axis=-1, keepdims=True) - missing + 1e-6  # grey has one, too
        return direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)

    texts = jnp.asarray([COLOURS[p] for p in prompts], jnp.float32)
    texts = texts / jnp.linalg.norm(texts, axis=-1, keepdims=True)
    return Guidance(params={}, name=name, image_size=16, embedding_size=3, encode=encode), texts


def envious_judge(name, *, prompts, **_):
    """Takes every caption for the next one of the list."""
    guidance, texts = colour_judge(name, prompts=prompts)
    return guidance, jnp.roll(texts, 1, axis=0)


def judges(name, **options):
    return (envious_judge if name == "envious" else colour_judge)(name, **options)


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
    assert table["left_out"][str(runs / "d")].startswith("not finished: step 100 of")
    assert table["counts"] == {
        "folders": 5,
        "judged": 3,
        "not_a_run": 1,
        "unfinished": 1,
        "unreadable": 0,
        "otherwise_left_out": 0,
        "not_picked": 0,
        "captions": 4,
        "captions_without_run": 1,
    }
    assert table["captions_without_run"] == ["a grey ball."]
    assert "3 of 5 folders judged (1 no run, 1 not finished)" in printed.out
    assert "1 of 4 captions have no run" in printed.out
    assert "66.7% [0.0%, 100.0%] per view" in printed.out and "a green ball.  (a blue ball.)" in printed.out
    assert table["confused"] == [{"prompt": "a green ball.", "nearest": "a blue ball.", "views": 4}]
    assert [row["r_precision_at_1_per_view"] for row in table["per_prompt"]] == [1, 1, 0]
    assert table["per_prompt"][2]["taken_for"] == {"a blue ball.": 4}
    assert table["intervals"]["r_precision_at_1_per_object"] == [0, 1]
    assert table["mark"] == "" and table["guided_runs"] == 0 and table["others"] == []
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
    monkeypatch.setattr(evaluate, "judge_run", lambda *_, **__: pytest.fail("something was rendered"))
    monkeypatch.setattr(evaluate, "load_guidance", lambda *_, **__: pytest.fail("a model was loaded"))
    out = out.format(tmp=tmp_path)
    with pytest.raises(UserError, match=f"--out={out}: ") as caught:
        evaluate.main([f"--runs={runs}/a", f"--prompts={captions}", f"--out={out}"])
    assert "\n" not in str(caught.value)


def test_several_judges_in_one_table_and_a_second_renders_nothing(
    runs, captions, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(evaluate, "load_guidance", judges)
    drawn = []
    monkeypatch.setattr(renders, "view_of", lambda run, **_: drawn.append(run) or view_of(run))
    given = [f"--runs={runs}/*", f"--prompts={captions}"]
    out, text = tmp_path / "table.json", tmp_path / "table.md"
    evaluate.main([*given, "--clip=colours", "--clip=envious", f"--out={out}", f"--out={text}"])
    drawn.clear()
    evaluate.main([*given, "--clip=envious"])
    assert drawn == []
    table = json.loads(out.read_text())
    (other,) = table["others"]
    assert (table["judge"], other["judge"]) == ("colours", "envious")
    # Red is taken for the caption behind it, green; the blue balls for grey.
    assert [row["nearest"] for row in other["runs"]] == ["a green ball.", "a grey ball.", "a grey ball."]
    assert other["r_precision_at_1_per_view"] == 0 and table["r_precision_at_1_per_view"] > 0.6
    printed = capsys.readouterr().out
    for written in (printed, text.read_text()):
        assert "colours" in written and "envious" in written and "1 of 4 captions have no run" in written
    assert "| colours | 66.7% [0.0%, 100.0%] | - |" in text.read_text()
    assert "| a green ball. | a blue ball. | 4 |" in text.read_text() and "- a grey ball." in text.read_text()


def test_a_judge_that_guided_is_marked_everywhere(runs, captions, tmp_path, monkeypatch, capsys):
    def judge(name, *, prompts, **_):
        return colour_judge(name, prompts=prompts)

    monkeypatch.setattr(evaluate, "load_guidance", judge)
    # By its name, and by the folder that the name stands for.
    folder = str(names.locate("pocket"))
    out, text = tmp_path / "table.json", tmp_path / "table.md"
    given = [f"--runs={runs}/*", f"--prompts={captions}", f"--out={out}", f"--out={text}"]
    evaluate.main([*given, "--clip=pocket", f"--clip={folder}", "--clip=pocket-eval"])
    table = json.loads(out.read_text())
    marks = [table["mark"], *(other["mark"] for other in table["others"])]
    assert marks == ["same model: overfit"] * 2 + [""] and table["guided_runs"] == 3
    assert [row["judge_guided"] for row in table["runs"]] == [True] * 3
    printed = capsys.readouterr()
    assert "judge pocket (same model: overfit, guided 3 of 3 runs)" in printed.out
    assert "judge pocket-eval: " in printed.out and "same model: overfit: pocket guided" in printed.err
    assert "| pocket (same model: overfit, guided 3 of 3 runs) |" in text.read_text()


def test_geometry_does_not_see_colours(runs, captions, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "load_guidance", colour_judge)
    out = tmp_path / "table.json"
    given = [f"--runs={runs}/*", f"--prompts={captions}", f"--out={out}", "--geometry"]
    evaluate.main([*given, "--clip=colours"])
    table = json.loads(out.read_text())
    # The judge knows colours only, and what has none is a grey ball.
    assert {row["untextured_nearest"] for row in table["runs"]} == {"a grey ball."}
    assert table["r_precision_at_1_per_view"] == pytest.approx(2 / 3)
    assert table["silhouette_coherence"] == pytest.approx(1.0, abs=0.01)
    assert all(row["silhouette_coherence"] > 0.98 for row in table["runs"])
    assert table["untextured"]["r_precision_at_1_per_view"] == 0
    assert "silhouette coherence 1.000" in capsys.readouterr().out


def test_unreadable_runs_are_counted(runs, captions, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "load_guidance", colour_judge)
    write_run(tmp_path / "bad" / "a", "a red ball", (0.9, 0.05, 0.05))
    write_run(tmp_path / "bad" / "b", "a blue ball", (0.05, 0.05, 0.9))
    for file in (tmp_path / "bad" / "a" / "checkpoints").rglob("*"):
        if file.is_file() and file.stat().st_size > 1000:
            file.write_bytes(b"damaged")
    (tmp_path / "bad" / "b" / "config.json").write_text("{")
    out = tmp_path / "table.json"
    evaluate.main(
        [f"--runs={runs}/a", f"--runs={tmp_path}/bad/*", f"--prompts={captions}", "--clip=x", f"--out={out}"]
    )
    table = json.loads(out.read_text())
    assert table["counts"]["unreadable"] == 2 and table["counts"]["judged"] == table["n_runs"] == 1
    assert all(why.startswith("cannot be read: ") for why in table["left_out"].values())
    assert table["intervals"]["mean_rank"] is None  # of one prompt there is none


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """Two seeds of red, the second of which is blue; three of blue, the third red; and one green."""
    folder = tmp_path_factory.mktemp("seeds")
    red, blue, green = (0.9, 0.05, 0.05), (0.05, 0.05, 0.9), (0.05, 0.9, 0.05)
    for prompt, made in {"red": (red, blue), "blue": (red, blue, red), "green": (green,)}.items():
        for seed, colour in enumerate(made):
            write_run(folder / f"{prompt}-{seed}", f"a {prompt} ball", colour, seed=seed)
    return folder


def test_best_of_two_is_picked_by_one_judge_and_scored_by_another(seeds, captions, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "load_guidance", judges)
    out, text = tmp_path / "table.json", tmp_path / "table.md"
    given = [f"--runs={seeds}/*", f"--prompts={captions}", f"--out={out}", f"--out={text}", "--best-of=2"]
    evaluate.main([*given, "--pick=colours", "--clip=envious"])
    table = json.loads(out.read_text())
    assert table["judge"] == "envious" and table["others"] == []
    picks = {pick["prompt"]: pick["seed"] for pick in table["best_of"]["picks"]}
    assert picks == {"a red ball.": 0, "a blue ball.": 1}
    assert {row["prompt"]: row["seed"] for row in table["runs"]} == picks
    assert table["counts"]["folders"] == 6 and table["counts"]["judged"] == 2
    assert table["counts"]["otherwise_left_out"] == 2 and table["counts"]["not_picked"] == 2
    assert "its prompt has 1 finished seeds" in table["left_out"][str(seeds / "green-0")]
    # All four seeds under the judge who scores, beside the two picks.
    assert table["best_of"]["all_seeds"]["envious"]["r_precision_at_1_per_view"] == pytest.approx(0.0)
    assert "best of 2 seeds, picked by colours" in text.read_text()
    evaluate.main([*given, "--pick=envious", "--clip=colours"])
    table = json.loads(out.read_text())
    assert table["best_of"]["all_seeds"]["colours"]["r_precision_at_1_per_view"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--best-of=2"], "needs --pick=CLIP"),
        (["--pick=a"], "needs --pick=CLIP"),
        (["--best-of=2", "--pick=a", "--clip=a"], "--pick=a: who picks"),
        (["--clip=a", "--clip=a"], "--clip=a: it is given twice"),
        (["--best-of=9", "--pick=a"], "--best-of=9: no prompt has so many"),
        (["--best-of=2", "--pick=a", "--runs={runs}/a", "--runs={seeds}/red-*"], "are both seed 3"),
    ],
)
def test_mistakes_of_judges_are_named(runs, seeds, captions, monkeypatch, arguments, message):
    monkeypatch.setattr(evaluate, "load_guidance", colour_judge)
    given = [argument.format(runs=runs, seeds=seeds) for argument in arguments]
    if not any(argument.startswith("--runs") for argument in given):
        given.append(f"--runs={seeds}/red-*")
    if "both seed" in message:
        write_run(seeds / "red-copy", "a red ball", (0.9, 0.05, 0.05), seed=3)
    with pytest.raises(UserError, match=message):
        evaluate.main([*given, f"--prompts={captions}"])
