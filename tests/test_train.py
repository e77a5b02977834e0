"""`python -m voxjax.train` as a user meets it: good and bad input, in processes of its own."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time

import flax
import jax
import pytest
from helpers.small_training import ROOT, command, environment, overrides, run

import voxjax
from voxjax import train
from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.run import read_config
from voxjax.run_files import read_summary
from voxjax.training import loop


@pytest.fixture(scope="module")
def finished(tiny_clip, compile_cache, tmp_path_factory):
    """(workdir of a finished run, its settings, what the process printed)."""
    workdir = tmp_path_factory.mktemp("cli") / "new/folder"
    ends = {"output__preview_every": 4, "output__mesh": True, "output__report": True}
    # Dense enough for a surface after six steps.
    pairs = overrides(tiny_clip, compile_cache, field__alpha_init=0.3, **ends)
    process = run(command(workdir, pairs))
    assert process.returncode == 0, process.stderr
    return workdir, pairs, process


def test_a_run_leaves_everything_in_its_workdir(finished):
    workdir, pairs, process = finished
    names = ["preview.png", "eval.png", "turntable.mp4", "turntable_depth.mp4", "mesh.glb", "report.html"]
    for name in names:
        assert (workdir / name).stat().st_size > 100
        assert str(workdir / name) in process.stdout
    assert json.loads((workdir / "config.json").read_text())["prompt"] == "a red sphere"
    assert sorted(int(p.name) for p in (workdir / "checkpoints").iterdir()) == [4, 5, 6]
    assert list(workdir.glob("events.out.tfevents.*"))
    assert "step 6/6" in process.stderr and "steps/s" in process.stderr and "CLIP" in process.stderr
    assert process.stdout.split() == [str(workdir / name) for name in names]
    assert "Traceback" not in process.stderr and "warning" not in process.stderr.lower()


def test_metrics_hold_every_scalar_of_every_step(finished):
    lines = [json.loads(line) for line in (finished[0] / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    terms = {f"loss/{name}" for name in ("clip", "transmittance", "kl", "entropy", "tv")}
    others = {"loss", "clip_similarity", "transmittance", "tau", "learning_rate", "overflow", "skipped"}
    others |= {"gradient/density", "gradient/colour", "grid/x", "grid/y", "grid/z"}
    assert all(set(line) >= terms | others for line in lines)
    assert lines[2]["grid/x"] < lines[3]["grid/x"]  # the grid grows before the fourth step
    assert all(line["overflow"] == 0 and line["skipped"] == 0 for line in lines)


def test_the_summary_tells_time_and_memory(finished):
    found = json.loads((finished[0] / "summary.json").read_text())
    assert found["step"] == 6 and found["starts"] == 1
    assert found["programs"] >= 2  # one before the grid grows and one after
    parts = [found[f"{name}_seconds"] for name in ("loading", "compile", "training", "picture")]
    assert min(parts) > 0 and sum(parts) == pytest.approx(found["total_seconds"])
    assert 0 < found["steady_seconds"] < found["training_seconds"] and found["steps_per_second"] > 0
    assert found["peak_memory_of"] == "process" and found["peak_memory_bytes"] > 2**26
    assert found["device"] == "cpu"
    wanted = {"voxjax": voxjax.__version__, "jax": jax.__version__, "flax": flax.__version__}
    wanted["python"] = platform.python_version()
    assert {name: found[f"{name}_version"] for name in wanted} == wanted


def test_a_finished_run_says_so_and_exits_0(finished):
    workdir, pairs, _ = finished
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    process = run(command(workdir, pairs))
    assert process.returncode == 0 and "finished already, 6 steps" in process.stdout
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()} == before


def test_an_older_run_gets_the_mesh_and_the_report_that_it_lacks(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(loop, "show_warnings", lambda: None)
    workdir = shutil.copytree(finished[0], tmp_path / "run")
    for name in ("mesh.glb", "report.html"):
        (workdir / name).unlink()
    stamps = {path: path.stat().st_mtime_ns for path in workdir.iterdir() if path.is_file()}
    seconds = read_summary(workdir)
    made = train.train([(read_config(workdir), workdir)])
    assert capsys.readouterr().out.split() == [str(path) for path in made] and len(made) == 6
    assert all(path.is_file() for path in made)
    again = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert {path.name for path in again} <= {"summary.json", ".lock"}
    spent = {
        key: value - seconds[key] for key, value in read_summary(workdir).items() if key.endswith("_seconds")
    }
    assert spent["picture_seconds"] > 0 and spent["training_seconds"] == spent["compile_seconds"] == 0


def test_a_workdir_of_another_config_is_refused(finished):
    workdir, pairs, _ = finished
    process = run(command(workdir, [*pairs, ("loss.kl", "0.3")]))
    assert process.returncode == 2
    assert "holds a run of another config (loss.kl: 0.2 -> 0.3)" in process.stderr
    assert len(process.stderr.splitlines()) == 1


def test_bad_input_is_one_line_and_exit_2(tmp_path, tiny_clip):
    """One process for the exit code and the stream; the other messages are `main`'s own."""
    process = run(command(tmp_path / "x", [*overrides(tiny_clip), ("stepps", "3")]))
    assert process.returncode == 2 and process.stdout == ""
    assert process.stderr == "voxjax: --config.stepps=3: no such key; did you mean --config.steps?\n"
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--config"),
        (["--config=configs/none.py"], "no such file"),
        (["--config=configs/vox_exp.py"], "--config.prompt=''"),
        (["--config=configs/vox_exp.py:tiny", "--config.prompt=x"], "paper, mid, low, ensemble"),
        (["--config=configs/demo.py", "--workdri=x"], "did you mean --workdir"),
        (["--config=configs/demo.py", "--together=2", "--workdir=W"], "give several with --prompts"),
        (
            ["--config=configs/demo.py", "--prompts=none.txt", "--workdir=W"],
            "--prompts=none.txt: cannot be read",
        ),
        (["--config=configs/demo.py", "--prompts=LIST", "--config.prompt=a cat"], "give one of them"),
        (["--config=configs/demo.py", "--prompts=LIST", "--workdir=W"], "would share the folder"),
        (["--config=configs/demo.py", "--prompts=ODD", "--workdir=W"], "zebrafish"),
        (["--config=configs/demo.py", "--config.steps=ten"], "not a whole number"),
        (["--config=configs/demo.py", "--config.field.name=vox_best", "--workdir=W"], "vox_exp"),
        (["--config=configs/demo.py", "--config.clip.model=no-such-clip", "--workdir=W"], "no-such-clip"),
        (
            [
                "--config=configs/demo.py",
                "--config.clip.model=CLIP",
                "--config.prompt=a zebra",
                "--workdir=W",
            ],
            "zebra",
        ),
        (["--config=configs/demo.py", "--config.devices=99", "--workdir=W"], "99 devices"),
        (["--config=configs/demo.py", "--workdir=F"], "a file of this name"),
        (["--config=configs/demo.py", "--workdir=runs/[1]"], "a path with ["),
    ],
)
def test_mistakes_of_every_kind(arguments, words, tmp_path, tiny_clip, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "file").write_text("")
    (tmp_path / "list").write_text("a red sphere\na red sphere!\n")
    (tmp_path / "odd").write_text("a red sphere\na zebrafish\n")
    places = {"=W": f"={tmp_path / 'w'}", "=F": f"={tmp_path / 'file'}", "=CLIP": f"={tiny_clip}"}
    places |= {"=LIST": f"={tmp_path / 'list'}", "=ODD": f"={tmp_path / 'odd'}"}
    for short, long in places.items():
        arguments = [each.replace(short, long) if each.endswith(short) else each for each in arguments]
    with pytest.raises(UserError) as caught:
        train.main([*arguments, "--config.cache_dir="] if arguments else [])
    assert words in str(caught.value) and "\n" not in str(caught.value)
    # What cannot be trained does not occupy the folder.
    assert not (tmp_path / "w").exists() or not any((tmp_path / "w").iterdir())


def test_a_list_of_prompts_has_a_whole_run_each(tiny_clip, compile_cache, tmp_path):
    """One line trains them; afterwards each folder is that of a run alone."""
    (tmp_path / "list.txt").write_text("a red sphere\n\na blue cube\n")
    one_grid = {"progressive__boundaries": (), "progressive__occupancy_every": 0.0, "output__report": True}
    pairs = [pair for pair in overrides(tiny_clip, compile_cache, steps=2, **one_grid) if pair[0] != "prompt"]
    line = [*command(tmp_path / "runs", pairs), f"--prompts={tmp_path / 'list.txt'}", "--together=2"]
    process = run(line)
    assert process.returncode == 0, process.stderr
    assert "2 objects as one" in process.stderr
    for prompt in ("a red sphere", "a blue cube"):
        folder = tmp_path / "runs" / prompt.replace(" ", "-")
        assert json.loads((folder / "config.json").read_text())["prompt"] == prompt
        assert f"{folder / 'turntable.mp4'}" in process.stdout and (folder / "report.html").exists()
        assert [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()] == [
            1,
            2,
        ]
    alone = run(command(folder, [*pairs, ("prompt", "a blue cube")]))
    assert alone.returncode == 0 and "finished already" in alone.stdout
    (folder / "eval.png").unlink()
    again = run(line)
    assert again.returncode == 0 and "finished already" in again.stdout and (folder / "eval.png").exists()


def test_two_processes_do_not_train_in_one_folder(tmp_path, tiny_clip):
    config = load(f"{ROOT}/configs/base.py", overrides(tiny_clip))
    second = train.claim(tmp_path, config)
    with train.claim(tmp_path, config), pytest.raises(UserError, match="another process"), second:
        pass
    with train.claim(tmp_path, config):
        pass


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, tiny_clip):
    config = load(f"{ROOT}/configs/base.py", overrides(tiny_clip))
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give another folder"), train.claim(tmp_path / "file/below", config):
        pass


def test_a_run_whose_checkpoints_are_all_damaged(finished, tmp_path):
    """Looking at it is one line; training it begins anew, and says so."""
    workdir = shutil.copytree(finished[0], tmp_path / "run")
    for file in (workdir / "checkpoints").rglob("files.json"):
        file.unlink()
    process = run(command(workdir, finished[1]))
    assert process.returncode == 0
    assert "step 6 is damaged (files.json is missing or cannot be read)" in process.stderr
    assert "training begins anew" in process.stderr and (workdir / "checkpoints" / "6").is_dir()
    # Damaged or not, what was there is for its owner to throw away.
    assert (workdir / "damaged-1" / "6").is_dir() and str(workdir / "damaged-1") in process.stderr
    for file in (workdir / "checkpoints").rglob("files.json"):
        file.unlink()
    process = run([sys.executable, "-m", "voxjax.render", f"--workdir={workdir}"])
    assert process.returncode == 2 and process.stderr.count("\n") == 1, process.stderr
    for words in ("step 6", "is damaged", "start its training again"):
        assert words in process.stderr


def test_a_kill_while_videos_are_written_leaves_nothing_behind(finished, tmp_path):
    workdir = shutil.copytree(finished[0], tmp_path / "run")
    config = json.loads((workdir / "config.json").read_text())
    config["output"]["turntable_frames"] = 600
    (workdir / "config.json").write_text(json.dumps(config))
    (workdir / "turntable.mp4").unlink()
    line = command(workdir, [*finished[1], ("output.turntable_frames", "600")])
    with subprocess.Popen(line, cwd=ROOT, env=environment(), stderr=subprocess.DEVNULL) as process:
        while not list(workdir.glob(".turntable*.part.mp4")) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert list(workdir.glob(".*.part.*"))
    process = run(line)
    assert process.returncode == 0 and (workdir / "turntable.mp4").is_file()
    assert not list(workdir.glob(".*.part.*"))


def test_a_run_that_diverges_stops_and_keeps_its_last_good_checkpoint(tiny_clip, compile_cache, tmp_path):
    pairs = overrides(
        tiny_clip,
        compile_cache,
        steps=40,
        progressive__boundaries=(),
        checkpoint__every=2,
        log__every=7,
        optimiser__rate_density=3e38,
        optimiser__max_bad_steps=5,
    )
    process = run(command(tmp_path / "x", pairs))
    assert process.returncode == 2
    last = process.stderr.splitlines()[-1]
    assert "5 steps in a row" in last and "rate_density" in last and "checkpoint of step" in last
    kept = sorted(int(p.name) for p in (tmp_path / "x/checkpoints").iterdir())
    assert kept and max(kept) < 10 and not (tmp_path / "x/turntable.mp4").exists()


def test_the_compilation_cache_follows_the_key(monkeypatch, tmp_path):

    seen = {}
    monkeypatch.setattr(jax.config, "update", seen.__setitem__)
    train.use_cache("")
    assert not seen
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    train.use_cache("auto")
    assert seen["jax_compilation_cache_dir"] == os.path.join(tmp_path, "voxjax")
