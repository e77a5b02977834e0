"""`voxjax sweep` as a user meets it: what it prints, refuses and leaves alone. Ray: tests/sweeping."""

import io
import json
import sys

import pytest

from voxjax import sweep
from voxjax.errors import UserError
from voxjax.files import locked
from voxjax.sweeping import check, cluster
from voxjax.sweeping.worker import Ending

SPHERE = "a red sphere"


def arguments(root, *more):
    return ["--config=demo", f"--prompt={SPHERE}", f"--root={root}", "--seeds=0,1", *more]


@pytest.fixture
def unchecked(monkeypatch):
    """Plans are taken without asking the code that trains, which is another process and takes seconds."""
    monkeypatch.setattr(sweep, "refuse_unfit", lambda plan, **_: "a note")


@pytest.fixture
def pool(monkeypatch):
    """In the place of Ray: every run of seed 0 ends well, every other one fails."""

    class Pool:
        local, started = True, 0

        def __init__(self, address):
            Pool.started += 1
            self.orders = []

        def resources(self):
            return {"CPU": 2.0}

        def refuse_blind(self, root):
            assert (root / "sweep.json").exists()

        def submit(self, order, slot):
            self.orders.append(order)

        def wait(self, seconds):
            order = self.orders.pop(0)
            how = "done" if order.name.endswith("seed0") else "failed"
            return [(order, Ending(how, "node", "then", ("voxjax: bad luck",)))]

        def facts(self):
            return {}

        def close(self):
            assert not self.orders

    monkeypatch.setattr(cluster, "Cluster", Pool)
    return Pool


def test_a_dry_run_prints_the_plan_and_leaves_no_trace(tmp_path, capsys):
    """With the real check of the plan."""
    sweep.main(arguments(tmp_path / "new", "--dry-run", "--set", "augment.diff=True,False"))
    assert capsys.readouterr().out.splitlines() == [
        *[f"demo_a-red-sphere_augment.diff={diff}_seed0: to do, 150" for diff in (True, False)],
        *[f"demo_a-red-sphere_augment.diff={diff}_seed1: to do, 150" for diff in (True, False)],
        f"4 runs in {tmp_path / 'new'}, 0 of them finished; 600 steps at most to do",
    ]
    assert not (tmp_path / "new").exists()


def test_the_end_tells_what_failed_and_its_status_does(tmp_path, unchecked, pool, capsys):
    with pytest.raises(SystemExit) as left:
        sweep.main(arguments(tmp_path))
    assert left.value.code == 1
    heard = capsys.readouterr()
    assert heard.out.splitlines() == [
        f"{tmp_path}/demo_a-red-sphere_seed1: failed: bad luck",
        f"2 runs in {tmp_path}: 1 done, 1 failed",
    ]
    assert heard.err.splitlines()[0] == "voxjax: a note"
    assert heard.err.count("failed (3 of 3 times): bad luck") == 1
    sweep.main(["--config=demo", f"--prompt={SPHERE}", f"--root={tmp_path / 'other'}"])
    assert capsys.readouterr().out == f"1 runs in {tmp_path / 'other'}: 1 done, 0 failed\n"


def test_without_anything_to_do_ray_is_not_started(tmp_path, unchecked, pool, monkeypatch, capsys):
    monkeypatch.setattr(sweep, "find_finished", lambda plan, root: {run.name for run in plan.runs})
    sweep.main(arguments(tmp_path))
    assert capsys.readouterr().out == f"2 runs in {tmp_path}: 2 done (2 of them before), 0 failed\n"
    assert pool.started == 0


def test_without_ray_the_error_names_the_extra(tmp_path, unchecked, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'voxjax\[sweep\]'"):
        sweep.main(arguments(tmp_path))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--per-gpu=2", "--cpus=1"], "--per-gpu and --cpus: a run has a share of a GPU or cores"),
        (["--per-gpu=0"], "is not a whole number from 1 to 64"),
        (["--root=s3://bucket/runs"], "--root=s3://bucket/runs: runs are written as files"),
        (["--sets=a=1"], "unknown argument --sets=a=1; did you mean --set?"),
        (["--set", "loss.tv=x"], "--set loss.tv=x: not a number"),
        (["--prompts=/no/file"], "--prompts=/no/file: cannot be read"),
    ],
)
def test_mistakes_are_one_line_before_anything_starts(tmp_path, pool, more, words):
    with pytest.raises(UserError) as error:
        sweep.main(arguments(tmp_path, *more))
    assert words in str(error.value) and "\n" not in str(error.value)
    assert pool.started == 0 and not any(tmp_path.iterdir())


def test_two_sweeps_do_not_share_a_folder(tmp_path, unchecked, pool):
    with locked(tmp_path / ".sweep.lock"), pytest.raises(UserError, match="another sweep works there"):
        sweep.main(arguments(tmp_path))
    assert pool.started == 0


def ask(monkeypatch, prompts, *settings, spec="demo", elsewhere=False):
    configs = [[spec, [list(pair) for pair in settings]]]
    wanted = {"configs": configs, "prompts": prompts, "elsewhere": elsewhere}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(wanted)))
    check.main([])


def test_a_prompt_of_more_tokens_than_the_clip_takes_is_refused(monkeypatch, tiny_clip, capsys):
    here, gone = ("clip.path", str(tiny_clip)), ("clip.model", "owner/repository-that-is-not-here")
    ask(monkeypatch, [SPHERE, "a blue cube"], here)
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="the prompt has [0-9]+ tokens, start and end included"):
        ask(monkeypatch, [SPHERE, "a red sphere on top of " * 20], here)
    # A CLIP that is not here cannot count, but a word is a token at least: 75 and two ends are the most.
    ask(monkeypatch, [" ".join(["word"] * 75)], gone)
    assert capsys.readouterr().out.startswith("owner/repository-that-is-not-here: not on this machine")
    with pytest.raises(UserError, match="the prompt has 76 words, and owner/.*-not-here takes 77"):
        ask(monkeypatch, [SPHERE, " ".join(["word"] * 76)], gone)


def test_files_that_only_the_machines_of_a_cluster_have_stop_nothing(monkeypatch, capsys):
    files = ("clip.path", "/no/folder"), ("prompts.image", "/no/picture.png")
    ask(monkeypatch, [SPHERE], *files, elsewhere=True)
    assert capsys.readouterr().out.startswith("/no/folder: not on this machine")
    with pytest.raises(UserError, match=r"no/picture\.png"):
        ask(monkeypatch, [SPHERE], *files)


def test_prompts_of_different_small_clips_go_together(monkeypatch, capsys):
    """`pocket` knows the sphere and no cactus, `picturebook` the cactus."""
    ask(monkeypatch, [SPHERE, "a cactus"])
    assert capsys.readouterr().out == ""
    with pytest.raises(UserError, match="lacks 'qwertz'"):
        ask(monkeypatch, [SPHERE, "a cactus", "a qwertz"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([("clip.model", "no such")], "no CLIP called 'no such'"),
        ([("field.name", "cloud")], "cloud"),
        ([("prompts.extra", "a bonsai:0.5")], "pocket lacks 'bonsai'"),
        ([("clip.start", "0.5")], "no CLIP guides step 0"),
        (
            [("prompts.image", "/no/picture.png")],
            "/no/picture.png: cannot be read as a picture (No such file",
        ),
        ([("clip.path", "/no/folder")], "no folder /no/folder"),
    ],
)
def test_what_only_training_knows_is_asked_of_it(monkeypatch, settings, words):
    with pytest.raises(UserError) as error:
        ask(monkeypatch, [SPHERE], *settings)
    assert words in str(error.value)
