"""Training as a process: its status, its end with this one's, and what is remembered of a choice."""

import os
import signal
import sys
import threading
import time

import pytest

from voxjax.making import runs
from voxjax.making.options import Choice

CHOICE = Choice("vox_exp:low", (("steps", "3000"),), "vox_exp:low, as that fits", 60.0, False)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a program in the place of `voxjax train`; returns a function that writes it."""
    monkeypatch.setattr(runs, "MODULE", "a_fake")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return (tmp_path / "a_fake.py").write_text


@pytest.mark.parametrize(("code", "status"), [("", 0), ("raise SystemExit(2)", 2)])
def test_the_status_of_a_run(code, status, fake, tmp_path, capfd):
    fake(f"import sys; print('paths'); print(*sys.argv[1:], sep='|', file=sys.stderr); {code}")
    assert runs.train("demo", tmp_path / "run", [("prompt", "a red cube")], force=True) == status
    heard = capfd.readouterr()
    # Its progress is seen, its own list of files is not.
    assert (
        heard.err.strip() == f"--config=demo|--workdir={tmp_path / 'run'}|--config.prompt=a red cube|--force"
    )
    assert heard.out == ""


def test_a_run_ends_with_the_process_that_started_it(fake, tmp_path):
    fake(f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)")

    def kill():
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        runs.train("demo", tmp_path / "run", [])
    killer.join()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_run_may_be_started_from_another_thread(fake, tmp_path):
    fake("")
    statuses = []
    thread = threading.Thread(target=lambda: statuses.append(runs.train("demo", tmp_path / "run", [])))
    thread.start()
    thread.join()
    assert statuses == [0] and sys.exc_info() == (None, None, None)


def test_a_choice_is_recalled_once_a_run_has_begun(tmp_path):
    runs.remember(tmp_path, "good", CHOICE)
    assert runs.recall(tmp_path, "good") is None
    (tmp_path / "seeds" / "0").mkdir(parents=True)
    (tmp_path / "seeds" / "0" / "config.json").write_text("{}")
    assert runs.recall(tmp_path, "good") == CHOICE
    assert runs.recall(tmp_path, "best") is None
    (tmp_path / "make.json").write_text('{"quality": "good"}')
    assert runs.recall(tmp_path, "good") is None


def test_a_choice_that_came_to_nothing_leaves_no_trace(tmp_path):
    runs.remember(tmp_path / "new", "good", CHOICE)
    runs.forget(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    runs.remember(tmp_path / "kept", "good", CHOICE)
    (tmp_path / "kept" / "config.json").write_text("{}")
    runs.forget(tmp_path / "kept")
    assert runs.recall(tmp_path / "kept", "good") == CHOICE


def test_results_are_the_files_that_are_there(tmp_path):
    for name in ("report.html", "turntable.mp4", "other.txt", "preview.png"):
        (tmp_path / name).write_text("")
    assert [path.name for path in runs.results(tmp_path)] == ["preview.png", "turntable.mp4", "report.html"]


def test_where_an_object_goes():
    assert runs.folder_of("A bonsai tree!", "good").as_posix() == "runs/make/a-bonsai-tree"
    assert runs.folder_of("A bonsai tree!", "best").as_posix() == "runs/make/a-bonsai-tree-best"
