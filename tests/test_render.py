"""`python -m voxjax.render`: makes the pictures of a run again, at the size asked for."""

import subprocess
import sys

import numpy as np
import pytest
from helpers.reading import read_video
from helpers.small_runs import write_run
from PIL import Image

from voxjax import render as command
from voxjax.errors import UserError
from voxjax.pictures.views import picture_options
from voxjax.run import load_run


def test_pictures_are_made_again_at_another_size(tmp_path, capsys):
    workdir = write_run(tmp_path / "run", "a red ball", (0.9, 0.05, 0.05))
    defaults = picture_options(load_run(workdir).config)
    assert (defaults.preview_px, defaults.eval_px) == (24, 40)
    assert (defaults.turntable_px, defaults.n_frames) == (32, 4)
    command.main([f"--workdir={workdir}", "--width=30", "--frames=3", "--fps=7"])
    names = ["preview.png", "eval.png", "turntable.mp4", "turntable_depth.mp4"]
    assert capsys.readouterr().out.split() == [str(workdir / name) for name in names]
    image = np.asarray(Image.open(workdir / "eval.png")).astype(int)
    assert image.shape == (30, 30, 3)
    np.testing.assert_allclose(image[15, 15], [230, 13, 13], atol=2)
    np.testing.assert_array_equal(image[0, 0], 255)
    for name in names[2:]:
        frames, fps, _ = read_video(workdir / name)
        assert frames.shape == (3, 30, 30, 3) and fps == 7
        np.testing.assert_allclose(frames[:, 1, 1], 255, atol=6)
    assert frames[:, 15, 15, 0].min() > 180 and frames[:, 15, 15, 2].max() < 130


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir={there}", "--width=0"], "from 16 to 8192"),
        (["--workdir={there}", "--wide=64"], "--wide=64"),
        (["--width=64"], "--workdir"),
        (["--workdir={there}"], "not the workdir of a run"),
    ],
)
def test_mistakes_are_named(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        command.main([argument.format(there=tmp_path) for argument in arguments])


def test_command_ends_with_one_line_and_status_2(tmp_path):
    arguments = [sys.executable, "-m", "voxjax.render", f"--workdir={tmp_path}/missing"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("voxjax: ") and done.stderr.count("\n") == 1
