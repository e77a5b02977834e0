"""Jobs beside the kernel, here small scripts: watched, found again, interrupted, and their failures told."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest
from helpers.small_training import environment

from voxjax.config.loading import load
from voxjax.config.saved import to_json
from voxjax.notebook import live
from voxjax.notebook.live import Job, find_running, follow
from voxjax.notebook.words import CellError

SCRIPT = """
import json, os, pathlib, sys, time
options = dict(each[2:].split("=", 1) for each in sys.argv[1:])
workdir = pathlib.Path(options["workdir"])
with (workdir / "starts").open("a") as starts:
    starts.write("once\\n")
print("voxjax: warning: it is only a test", flush=True)
print("forced:", os.environ.get("FORCE_COLOR"), flush=True)
try:
    for step in range(1, 4):
        (workdir / "preview.png").write_bytes(b"picture %d" % step)
        with (workdir / "metrics.jsonl").open("a") as metrics:
            metrics.write(json.dumps({"step": step, "clip_similarity": step / 10}) + "\\n")
        time.sleep(float(options["pause"]))
        print("step", step, "done", flush=True)
except KeyboardInterrupt:
    if options["stubborn"] == "1":
        time.sleep(60)
    (workdir / "interrupted").write_text("")
    sys.exit(130)
if options["words"]:
    print(options["words"])
    sys.exit(2)
"""


@pytest.fixture
def shown(monkeypatch):
    """What was put into the cell's places, in order."""
    seen = []
    monkeypatch.setattr(live.Spot, "show", lambda self, html: seen.append(html))
    return seen


@pytest.fixture
def make_job(monkeypatch, tmp_path):
    """Makes jobs that write into `tmp_path`."""
    (tmp_path / "small_job.py").write_text(SCRIPT)
    (tmp_path / "config.json").write_text(to_json(load("demo", [("steps", "3")])))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def make(*, pause=0.05, words="", stubborn=0):
        options = {"workdir": tmp_path, "pause": pause, "words": words, "stubborn": stubborn}
        arguments = tuple(f"--{name}={value}" for name, value in options.items())
        return Job("a job", "small_job", arguments, (tmp_path,), tmp_path / "logs" / "job.log")

    return make


def starts(folder):
    return len((folder / "starts").read_text().splitlines())


# An interrupt may come between the opening of a file and its `with`: Python then closes it with a warning.
interruptible = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def interrupt_once(condition):
    """Sends Ctrl-C to the main thread, as a kernel gets it, once the condition holds."""

    def wait():
        while not condition():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_a_job_is_watched_to_its_end(make_job, shown, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as kernels do
    job = make_job(pause=0.3)
    follow(job, seconds=0.05)
    assert "forced: None" in job.log.read_text()
    bars = [html for html in shown if "<progress" in html]
    assert any("step 1 of 3" in each for each in bars) and "step 3 of 3 · CLIP 0.300" in bars[-1]
    assert "it is only a test" in bars[-1] and "step 3 done" in bars[-1]
    pictures = [html for html in shown if "<img" in html]
    # Each once, and none again; a busy machine may miss one of the three.
    assert 2 <= len(pictures) == len(set(pictures)) <= 3
    assert starts(tmp_path) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("voxjax: no such word", "no such word"),
        ("Traceback ...\nValueError: deep inside", "status 2; all it said is in {log}, at its end\n"),
    ],
)
def test_a_failure_is_told_with_the_last_words(make_job, shown, words, told):
    job = make_job(words=words)
    with pytest.raises(CellError) as caught:
        follow(job, seconds=0.05)
    assert told.format(log=job.log) in str(caught.value)
    assert str(caught.value).endswith(words.splitlines()[-1].removeprefix("voxjax: "))


@interruptible
def test_an_interrupt_ends_the_process_as_ctrl_c_would(make_job, shown, tmp_path):
    job = make_job(pause=20)
    thread = interrupt_once((tmp_path / "preview.png").exists)
    with pytest.raises(CellError, match="run this cell again to go on"):
        follow(job, seconds=0.05)
    thread.join()
    assert (tmp_path / "interrupted").exists() and find_running(job) is None


def test_an_interrupt_while_the_process_starts_ends_it_too(make_job, shown, tmp_path, monkeypatch):
    started = []

    def interrupted(*arguments, **options):
        started.append(subprocess.Popen(*arguments, **options))
        while not (tmp_path / "preview.png").exists():
            time.sleep(0.02)
        raise KeyboardInterrupt

    monkeypatch.setattr(live.psutil, "Popen", interrupted)
    job = make_job(pause=20)
    with pytest.raises(CellError, match="run this cell again"):
        follow(job, seconds=0.05)
    with started[0]:
        assert (tmp_path / "interrupted").exists() and find_running(job) is None


@interruptible
def test_a_stubborn_process_is_ended_by_force(make_job, shown, tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_PATIENCE_S", 0.3)
    job = make_job(pause=20, stubborn=1)
    thread = interrupt_once((tmp_path / "preview.png").exists)
    with pytest.raises(CellError):
        follow(job, seconds=0.05)
    thread.join()
    assert not (tmp_path / "interrupted").exists() and find_running(job) is None


def test_what_an_earlier_call_left_running_is_waited_for(make_job, shown, tmp_path):
    job = make_job(pause=0.3)
    command = [sys.executable, "-m", job.module, *job.arguments]
    with subprocess.Popen(
        command, env=environment(PYTHONPATH=str(tmp_path)), stdout=subprocess.DEVNULL
    ) as earlier:
        while not (tmp_path / "preview.png").exists():
            time.sleep(0.02)
        assert find_running(job).pid == earlier.pid
        follow(job, seconds=0.05)
        assert earlier.poll() == 0
    assert starts(tmp_path) == 2  # the second finds all done; a training says so and leaves


def test_a_workdir_in_another_folder_is_another_job(make_job, tmp_path, monkeypatch):
    job = make_job(pause=20)
    (tmp_path / "elsewhere" / "run").mkdir(parents=True)
    (tmp_path / "run").mkdir()
    arguments = ("--workdir=run", *job.arguments[1:])
    relative = Job(job.title, job.module, arguments, job.workdirs, job.log)
    absolute = Job(job.title, job.module, (f"--workdir={tmp_path / 'run'}", *arguments[1:]), (), job.log)
    command = [sys.executable, "-m", job.module]
    surroundings = environment(PYTHONPATH=str(tmp_path))
    for folder, asked in ((tmp_path / "elsewhere", relative), (tmp_path, absolute)):
        # The name of a folder from the root is the same everywhere.
        found = asked is absolute
        with subprocess.Popen(
            [*command, *asked.arguments], cwd=folder, env=surroundings, stdout=subprocess.DEVNULL
        ) as process:
            while not (folder / "run" / "preview.png").exists():
                time.sleep(0.02)
            monkeypatch.chdir(tmp_path / "elsewhere" if asked is absolute else tmp_path)
            assert (find_running(asked) is not None) is found
            monkeypatch.chdir(folder)
            assert find_running(asked).pid == process.pid
            # Nor is one of another user's.
            with monkeypatch.context() as patched:
                patched.setattr(psutil.Process, "username", lambda self: f"user {self.pid}")
                assert find_running(asked) is None
            live.stop(psutil.Process(process.pid))


def test_a_process_that_may_not_be_stopped_is_left(monkeypatch):
    class Theirs:
        pid = 1

        def is_running(self):
            return True

        def children(self, recursive):
            return []

        def send_signal(self, kind):
            raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(live.psutil, "wait_procs", lambda members, timeout: ([], members))
    live.stop(Theirs())


def test_a_warning_stays_however_much_is_said_after_it(make_job, shown):
    job = make_job()
    job.log.parent.mkdir()
    job.log.write_text("voxjax: warning: early\n" + "".join(f"step {i} done\n" for i in range(2000)))
    live._View(job).show()
    assert "warning: early" in shown[0] and "step 1999 done" in shown[0] and "step 1000 " not in shown[0]


def test_another_workdir_is_another_job(make_job, tmp_path):
    job = make_job(pause=20)
    other = Job(job.title, job.module, ("--workdir=elsewhere",), job.workdirs, job.log)
    command = [sys.executable, "-m", job.module, *job.arguments]
    with subprocess.Popen(
        command, env=environment(PYTHONPATH=str(tmp_path)), stdout=subprocess.DEVNULL
    ) as process:
        while not (tmp_path / "preview.png").exists():
            time.sleep(0.02)
        assert find_running(other) is None and find_running(job) is not None
        live.stop(psutil.Process(process.pid))
    assert (tmp_path / "interrupted").exists()
