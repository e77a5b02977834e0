"""`python -m voxjax.view` on the command line: what it refuses, and how it begins and ends."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from helpers.small_runs import write_run
from helpers.small_training import ROOT, environment

from voxjax import view as command
from voxjax.errors import UserError
from voxjax.run import CHECKPOINTS


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("view") / "run", "a red ball", (0.9, 0.1, 0.1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir={empty}"], "not the workdir of a run"),
        (["--workdir={there}", "--workdir={empty}"], "not the workdir of a run"),
        (["--workdir={begun}"], "no complete checkpoint yet"),
        (["--workdir={damaged}"], "the checkpoint of step 150 is damaged"),
        (["--runs={file}"], "--runs=.*: not a folder"),
        (["--port=70000"], "from 0 to 65535"),
        (["--port=http"], "from 0 to 65535"),
        (["--host=no.such.host.invalid"], "--host=no.such.host.invalid: no such address"),
        (["--host=192.0.2.1", "--port=0"], "cannot listen there"),
        (["--workdri=x"], "--workdri=x"),
        ([f"--workdir={i}" for i in range(7)], "7 runs side by side are too many"),
    ],
)
def test_mistakes_are_named(workdir, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name in ("begun", "damaged"):
        folder = tmp_path / name / CHECKPOINTS
        folder.mkdir(parents=True)
        (tmp_path / name / "config.json").write_bytes((workdir / "config.json").read_bytes())
    (tmp_path / "damaged" / CHECKPOINTS / "150").mkdir()
    places = {name: tmp_path / name for name in ("empty", "file", "begun", "damaged")}
    with pytest.raises(UserError, match=message) as caught:
        command.main([argument.format(there=workdir, **places) for argument in arguments])
    assert "\n" not in str(caught.value)


def test_a_taken_port_is_refused_before_a_run_is_opened(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"--port={port}: cannot listen there .*in use"):
            command.main([f"--workdir={tmp_path}", f"--port={port}"])


def test_without_viser_one_line_names_the_extra():
    code = "import sys; sys.modules['viser'] = None; from voxjax.view import *; run_command(main)"
    arguments = [sys.executable, "-c", code, "--port=0"]
    done = subprocess.run(arguments, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == 'voxjax: the viewer needs viser; install it with: pip install "voxjax[view]"\n'


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_a_page_until_it_is_stopped(tmp_path, ending):
    """On this machine alone, with one line; an empty folder of runs is not made."""
    runs = tmp_path / "runs"
    arguments = [sys.executable, "-m", "voxjax.view", f"--runs={runs}", "--port=0"]
    # A suite that runs in the background ignores Ctrl-C, or its terminal's end, and so would what it starts.
    heeded = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in heeded.items()}
    with subprocess.Popen(
        arguments, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("http://127.0.0.1:") and line.endswith("(Ctrl-C ends)\n")
            with urllib.request.urlopen(line.split()[0], timeout=30) as page:
                assert page.status == 200 and b"<html" in page.read()
            os.kill(process.pid, ending)
            assert process.wait(60) == 0
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            process.kill()
        assert process.stdout.read() == "" and process.stderr.read().strip() == ""
    assert not runs.exists()
