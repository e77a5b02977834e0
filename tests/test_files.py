"""Files that are whole or absent, folders that are looked at before any work, leftovers of the killed."""

import os
import subprocess
import sys

import pytest

from voxjax.errors import UserError
from voxjax.files import (
    atomic_path,
    refuse_unwritable,
    refuse_unwritable_file,
    remove_leftovers,
    write_text,
)


def test_a_folder_that_takes_files_is_left_as_it_was(tmp_path):
    refuse_unwritable(tmp_path / "new" / "deep", "--workdir=x")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "kept.txt").write_text("x")
    refuse_unwritable(tmp_path / "there", "--workdir=x")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["kept.txt"]


def test_a_look_makes_no_folder_that_another_process_may_find(tmp_path, monkeypatch):
    """Two runs that start side by side in one new folder took it from under each other."""
    made = []
    monkeypatch.setattr(os, "mkdir", lambda *given: made.append(given))
    refuse_unwritable(tmp_path / "new" / "deep", "--workdir=x")
    assert not made


@pytest.mark.parametrize("place", ["file/out", "file"])
def test_a_folder_that_cannot_be_is_refused_with_the_flag(tmp_path, place):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="--out=somewhere: cannot write there"):
        refuse_unwritable(tmp_path / place, "--out=somewhere")
    assert (tmp_path / "file").read_text() == "x"


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--out=.*: a folder of this name exists"):
        refuse_unwritable_file(tmp_path, "--out")
    refuse_unwritable_file(tmp_path / "a" / "table.json", "--out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    code = (
        "import os, signal\nfrom voxjax.files import atomic_path\n"
        "with atomic_path('turntable.mp4') as part:\n"
        "    part.write_bytes(b'half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".turntable.") and left.name.endswith(".part.mp4")
    old = tmp_path / ".turntable_depth.4194305.part.mp4"  # the form of earlier versions; no such process
    elsewhere = tmp_path / ".eval.some_other_host-1.part.png"
    for path in (old, elsewhere, tmp_path / ".hidden.part.txt", tmp_path / "turntable.part.mp4"):
        path.write_text("x")
    write_text(tmp_path / "kept.json", "{}")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        name = left.name.replace(left.name.split("-")[-1].split(".")[0], str(living.pid))
        (tmp_path / name).write_text("in the making")
        removed = remove_leftovers(tmp_path)
        assert (tmp_path / name).exists()
        living.communicate(b"\n")
    assert set(removed) == {left, old}
    assert {path.name for path in tmp_path.iterdir()} == {
        name, elsewhere.name, ".hidden.part.txt", "turntable.part.mp4", "kept.json"
    }  # fmt: skip
    assert remove_leftovers(tmp_path / "absent") == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "x.txt", "old")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "x.txt") as part:
        part.write_text("new")
        raise RuntimeError
    assert (tmp_path / "x.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
