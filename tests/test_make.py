"""`voxjax make` as a user meets it: what it says, what it starts, where it ends, and that it goes on."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.small_training import ROOT, environment, overrides, run

from voxjax import make
from voxjax.errors import UserError
from voxjax.making import machine, runs
from voxjax.making.options import GIB, Machine

SPHERE = "a red sphere"


@pytest.fixture
def started(monkeypatch, tmp_path):
    """In an empty folder: the runs that were started, none of which trains; each leaves two files."""
    monkeypatch.chdir(tmp_path)
    calls = []

    def train(config, workdir, settings, *, force=False):
        calls.append((config, workdir.as_posix(), dict(settings), force))
        workdir.mkdir(parents=True, exist_ok=True)
        for name in ("config.json", "turntable.mp4", "mesh.glb"):
            (workdir / name).write_text("")
        return 0

    monkeypatch.setattr(runs, "train", train)
    return calls


def on(monkeypatch, *cached, online=False, accelerator=False, gib=16):
    """Makes this a machine of the given kind."""
    here = Machine("a card" if accelerator else "cpu", accelerator, gib * GIB, 2, frozenset(cached))
    monkeypatch.setattr(machine, "look", lambda: here)
    monkeypatch.setattr(machine, "hub_answers", lambda: online)


def test_a_config_of_the_users_goes_where_training_alone_would_put_it(started, capsys):
    make.main([SPHERE, f"--config={ROOT}/configs/demo.py", "--config.steps=7", "--force"])
    (call,) = started
    settings = {"steps": "7", "prompt": SPHERE}
    assert call == (f"{ROOT}/configs/demo.py", "runs/demo/a-red-sphere", settings, True)
    heard = capsys.readouterr()
    assert heard.out.splitlines() == [
        "runs/demo/a-red-sphere/turntable.mp4",
        "runs/demo/a-red-sphere/mesh.glb",
    ]
    first, last = heard.err.splitlines()
    assert first == (
        f"{SPHERE}: {ROOT}/configs/demo.py, as --config says, under pocket, which ships and knows every word "
        "of it; its first steps tell how long it takes"
    )
    assert last.startswith(f"{SPHERE}: done after 0:0")


def test_without_one_the_machine_decides_and_a_line_says_why(started, monkeypatch, capsys):
    on(monkeypatch, "ViT-B/32", accelerator=True, gib=6)
    make.main(["a bonsai tree"])
    assert started == [("vox_exp:low", "runs/make/a-bonsai-tree", {"prompt": "a bonsai tree"}, False)]
    assert capsys.readouterr().err.splitlines()[0] == (
        "a bonsai tree: vox_exp:low under ViT-B/32 (in the cache), as a card has 6.0 GiB free; "
        "about 30 minutes, reckoned and never measured on such a device"
    )


def test_quality_and_network_reach_the_choice(started, monkeypatch):
    on(monkeypatch, online=True)
    make.main(["a bonsai tree", "--quality=draft", "--workdir=here"])
    assert started == [("small:draft", "here", {"prompt": "a bonsai tree"}, False)]


def test_what_is_begun_goes_on_as_it_was_chosen(started, monkeypatch):
    on(monkeypatch, "ViT-B/32", accelerator=True, gib=6)
    make.main(["a bonsai tree"])
    on(monkeypatch)  # the card is taken, the cache was emptied
    make.main(["a bonsai tree"])
    assert started[0] == started[1]
    with pytest.raises(UserError, match="nothing here can make"):
        make.main(["a bonsai tree", "--quality=best"])


@pytest.mark.parametrize("more", [["--quality=best"], ["--seeds=2"], ["--seeds=2", "--quality=best"]])
def test_a_refused_call_leaves_what_a_begun_run_goes_on_with(more, started, monkeypatch, tmp_path):
    on(monkeypatch, "ViT-B/32", accelerator=True, gib=6)
    make.main(["a bonsai tree", "--workdir=here"])
    record = (tmp_path / "here" / "make.json").read_text()
    on(monkeypatch, "ViT-B/32", "ViT-B/16", "ViT-L/14", accelerator=True, gib=80)
    monkeypatch.setattr(runs, "train", lambda *_, **__: 2)  # as it is the run of another config
    with pytest.raises((SystemExit, UserError)):
        make.main(["a bonsai tree", "--workdir=here", *more])
    assert (tmp_path / "here" / "make.json").read_text() == record


def test_a_run_that_make_did_not_begin_gets_no_record(started, monkeypatch, tmp_path):
    on(monkeypatch)
    make.main([SPHERE, "--config=demo", "--workdir=here"])
    with pytest.raises(UserError, match="holds a single run"):
        make.main([SPHERE, "--workdir=here", "--seeds=2"])
    assert not (tmp_path / "here" / "make.json").exists()


def test_a_run_that_fails_gives_its_status_and_leaves_nothing(started, monkeypatch, tmp_path, capsys):
    on(monkeypatch)
    monkeypatch.setattr(runs, "train", lambda *_, **__: 2)
    with pytest.raises(SystemExit) as left:
        make.main([SPHERE])
    assert left.value.code == 2 and capsys.readouterr().out == ""
    assert not (tmp_path / "runs" / "make" / "a-red-sphere").exists()


def test_several_seeds_have_a_folder_of_their_own(started, monkeypatch, capsys):
    from voxjax.making import seeds

    judged = []
    monkeypatch.setattr(seeds, "train", runs.train)
    monkeypatch.setattr(
        seeds, "judge_seeds", lambda *given: judged.append(given[3]) or ({0: 0.1, 1: 0.3, 2: 0.2}, "somebody")
    )
    make.main([SPHERE, "--config=demo", "--seeds=3"])
    folders = [workdir for _, workdir, _, _ in started]
    assert folders == [f"runs/demo/a-red-sphere-seeds/seeds/{seed}" for seed in range(3)]
    assert [settings["seed"] for _, _, settings, _ in started] == ["0", "1", "2"] and judged == [[0, 1, 2]]
    heard = capsys.readouterr()
    assert "kept seed 1 (seed 0 0.100, seed 1 0.300, seed 2 0.200: mean cosine under somebody)" in heard.err
    assert "for each of 3 seeds" in heard.err
    assert "runs/demo/a-red-sphere-seeds/turntable.mp4" in heard.out.splitlines()


MISTAKES = [
    ([], "required"),
    ([SPHERE, "--quality=superb"], "superb"),
    ([SPHERE, "--quality=best", "--config=demo"], "--quality=best chooses a config, and --config names one"),
    ([SPHERE, "--seeds=0"], "not a whole number from 1 to 64"),
    ([SPHERE, "--config=demo", "--config.prompt=x"], "the prompt is given bare"),
    ([SPHERE, "--config=demo", "--config.seed=3", "--seeds=2"], "they are 0 to 1"),
    ([SPHERE, "--config=demoo"], "no config of this name"),
    ([SPHERE, "--config=demo", "--config.stepps=3"], "did you mean --config.steps"),
    ([SPHERE, "--config=demo", "--worksdir=x"], "did you mean --workdir"),
    (["", "--config=demo"], "must be a text"),
    ([SPHERE, "--config=demo", "--workdir=file"], "--workdir=file"),
    (["a", "bonsai", "tree"], "unknown argument bonsai"),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_mistakes_are_one_line_and_start_nothing(arguments, words, started, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as caught:
        make.main(arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not started and [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_makefile_hands_its_variables_over(tmp_path):
    """`make demo` with a shell in the place of Python: prompt and config arrive whole."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".runtime").write_text("")
    prompt, config = """a "red" `sphere`; it's 100%""", "configs/demo.py:vox_imp"
    done = subprocess.run(
        ["make", "--silent", "demo", f"VENV={tmp_path}", f"PROMPT={prompt}", f"CONFIG={config}"],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    given = ["-m", "voxjax.make", "--config=configs/demo.py:vox_imp", "--", prompt]
    assert done.stdout.splitlines() == given
    assert make._parser().parse_known_args(["--config=x", "--", "--a prompt"])[0].prompt == "--a prompt"


@pytest.fixture(scope="module")
def line(tiny_clip, compile_cache):
    """Arguments of a run of seconds."""
    one_program = {"progressive__boundaries": (), "progressive__occupancy_every": 0.0}
    pairs = overrides(tiny_clip, compile_cache, steps=40, checkpoint__every=5, **one_program)
    settings = [f"--config.{key}={value}" for key, value in pairs if key != "prompt"]
    return [sys.executable, "-m", "voxjax.make", SPHERE, "--config=configs/base.py", *settings]


def test_a_run_that_is_stopped_goes_on(line, tmp_path):
    workdir = tmp_path / "run"
    first = subprocess.Popen(
        [*line, f"--workdir={workdir}"], cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True
    )
    while not list(workdir.glob("checkpoints/[0-9]*/files.json")) and first.poll() is None:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGTERM)
    words = first.communicate(timeout=60)[1]
    assert first.returncode == 130 and "interrupted" in words and not (workdir / "eval.png").exists()
    again = run([*line, f"--workdir={workdir}"])
    assert again.returncode == 0, again.stderr
    assert "going on from step" in again.stderr and "step 40/40" in again.stderr
    # What the run itself says about where it is comes through, and stdout holds paths alone.
    assert "base.py, as --config says" in again.stderr.splitlines()[0] and "expected memory" in again.stderr
    printed = again.stdout.splitlines()
    assert str(workdir / "turntable.mp4") in printed and all(os.path.isfile(path) for path in printed)
    done = run([*line, f"--workdir={workdir}"])
    assert done.returncode == 0 and done.stdout == again.stdout
