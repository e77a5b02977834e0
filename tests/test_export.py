"""`python -m voxjax.export`: a run becomes files, and mistakes become one line each."""

import subprocess
import sys

import numpy as np
import pytest
import trimesh
from helpers.small_runs import write_run
from PIL import Image

from voxjax import export as command
from voxjax.errors import UserError


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("runs") / "ball", "a red ball", (0.9, 0.05, 0.05))


def test_files_are_written_and_figures_printed(workdir, tmp_path, capsys):
    names = ["ball.glb", "ball.obj", "ball.ply", "ball.splat.ply", "ball.vox", "ball.npz"]
    outs = [f"--out={tmp_path / name}" for name in names]
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    command.main([f"--workdir={workdir}", *outs, f"--check={tmp_path / 'check.png'}"])
    *figures, glb, obj, ply, splats, vox, npz, check = capsys.readouterr().out.splitlines()
    assert [glb, obj, ply, splats, vox, npz, check] == [
        str(tmp_path / name) for name in [*names, "check.png"]
    ]
    heads = [line.split()[0] for line in figures]
    assert heads == ["faces", "size", "threshold", "floaters", "likeness"]
    assert "watertight" in figures[0]
    iou, error = (float(figures[-1].split(word)[1].split()[0].strip(",")) for word in ("IoU", "error"))
    assert iou >= 0.95 and error <= 0.06
    assert {path.name for path in tmp_path.iterdir()} == {*names, "check.png"}
    mesh = trimesh.load(glb, force="mesh")
    np.testing.assert_allclose(mesh.volume, 4 / 3 * np.pi * 0.7**3, rtol=0.05)
    with Image.open(check) as image:
        assert image.size[0] > 8 * 100
    # The workdir is only read.
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


def test_options_reach_the_mesh(workdir, tmp_path, capsys):
    flags = ["--threshold=0.3", "--keep-largest", "--smooth=4", "--faces=400", "--texture=64", "--cells=20"]
    command.main([f"--workdir={workdir}", f"--out={tmp_path}/ball.obj", *flags])
    assert {path.name for path in tmp_path.iterdir()} == {"ball.obj", "ball.mtl", "ball-texture.png"}
    out = capsys.readouterr().out
    assert "threshold   0.3 " in out
    with Image.open(tmp_path / "ball-texture.png") as image:
        assert image.size == (64, 64)
    assert 0 < int(out.split("faces")[1].split(",")[0]) <= 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out=a.glb"], "--workdir"),
        (["--workdir={run}"], "--out"),
        (["--workdir={run}", "--out={tmp}/a.fbx"], r"--out=.*a\.fbx: no such format; .*\.glb, \.obj"),
        (["--workdir={run}", "--out={tmp}"], "--out="),
        (["--workdir={tmp}", "--out={tmp}/a.glb"], "not the workdir of a run"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--out={tmp}/a.glb"], "given twice"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--check={tmp}/a.jpg"], r"must end in \.png"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--threshold=1.5"], "above 0 and below 1"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--threshold=much"], "above 0 and below 1"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--faces=2"], "whole number from 4"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--texture=4"], "whole number from 16"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--smooth=-1"], "whole number from 0"),
        (["--workdir={run}", "--out={tmp}/a.glb", "--keep=1"], "--keep=1"),
    ],
)
def test_mistakes_are_named(workdir, tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        command.main([argument.format(run=workdir, tmp=tmp_path) for argument in arguments])
    assert not list(tmp_path.iterdir())


def test_command_ends_with_one_line_and_status_2(tmp_path):
    arguments = [
        sys.executable,
        "-m",
        "voxjax.export",
        f"--workdir={tmp_path}/missing",
        f"--out={tmp_path}/a.glb",
    ]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("voxjax: ") and done.stderr.count("\n") == 1
