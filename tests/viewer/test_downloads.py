"""Pictures, videos and meshes as the browser gets them."""

import io
import os
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.reading import read_video
from PIL import Image

from voxjax.cameras import orbit_pose
from voxjax.errors import UserError
from voxjax.viewer import downloads
from voxjax.viewer.camera import FOV, Camera
from voxjax.viewer.drawing import View, draw
from voxjax.viewer.feed import Feed
from voxjax.viewer.notices import telling
from voxjax.viewer.path import Key
from voxjax.viewer.takeaway import TakeAway


class Client:
    """A browser that keeps what it gets."""

    def __init__(self):
        self.files, self.notices, self.open = {}, [], 0

    def send_file_download(self, name, content, save_immediately):
        assert save_immediately
        self.files[name] = content

    def add_notification(self, title, body, **options):
        self.notices.append((title, body))
        self.open += bool(options.get("loading"))
        return SimpleNamespace(body=body, remove=self.closed)

    def closed(self):
        self.open -= 1


@pytest.fixture
def view(ball):
    camera = Camera(np.asarray(orbit_pose(90.0, 20.0, 4.0)), FOV, 1.5)
    return View((ball,), ("a red ball",), camera, full_px=60)


def test_a_picture_is_what_is_drawn(view):
    client = Client()
    downloads.save_picture(client, view, "ball")
    with Image.open(io.BytesIO(client.files["ball.png"])) as picture:
        np.testing.assert_array_equal(np.asarray(picture), draw(view, 60).image)
    assert client.open == 0


def test_a_video_goes_along_the_path(view, tmp_path):
    client, asked = Client(), []
    key = Key(view.camera, np.zeros(3))
    downloads.save_video(
        client, view, [key], "turn", seconds=0.4, closed=True, wanted=lambda: not asked.append(None)
    )
    (tmp_path / "turn.mp4").write_bytes(client.files["turn.mp4"])
    frames, fps, _ = read_video(tmp_path / "turn.mp4")
    assert frames.shape == (8, 40, 60, 3) and fps == downloads.FPS == 20
    assert np.mean(np.abs(frames[0].astype(int) - draw(view, 60).image)) < 3
    # Half a turn later the ball, which is off the middle, stands on the other side.
    left_to_right = [np.argwhere(frames[k][..., 1] < 128)[:, 1].mean() for k in (0, 4)]
    assert abs(left_to_right[0] - left_to_right[1]) > 5
    assert asked and client.open == 0


def test_a_video_that_is_given_up_is_not_sent(view):
    client = Client()
    downloads.save_video(
        client, view, [Key(view.camera, np.zeros(3))], "x", seconds=9, closed=True, wanted=lambda: False
    )
    assert client.files == {} and client.open == 0


def test_names_of_files_fit_in_any_script():
    feeds = [SimpleNamespace(prompt="красный шар " * 9), SimpleNamespace(prompt="字" * 60)]
    name = TakeAway(SimpleNamespace(client=None, feeds=feeds))._name()
    assert name.startswith("красный-шар-") and 76 < len(name.encode()) <= 80


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    def make(text):
        folder = tmp_path / "modules"
        folder.mkdir()
        (folder / "stand_in_export.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        monkeypatch.setattr(downloads, "EXPORT", "stand_in_export")

    return make


def test_a_mesh_is_made_by_the_command_outside_the_run(stand_in, tmp_path):
    stand_in(
        "import sys\nflags = dict(each.split('=', 1) for each in sys.argv[1:])\n"
        "open(flags.pop('--out'), 'w').write(repr(flags))\n"
    )
    client, jobs = Client(), []
    downloads.save_mesh(client, Feed(tmp_path / "run"), "a-ball", started=jobs.append)
    assert client.files == {"a-ball.glb": repr({"--workdir": f"{tmp_path / 'run'}"}).encode()}
    assert len(jobs) == 1 and not jobs[0].running and client.open == 0
    assert downloads.EXPORT == "stand_in_export" and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import sys; sys.exit('voxjax: the surface is empty; try --threshold=0.1')", "the surface is empty"),
        ("pass", "wrote no a-ball.glb"),
    ],
)
def test_a_mesh_that_fails_says_why(stand_in, tmp_path, text, words):
    stand_in(text)
    client = Client()
    with pytest.raises(UserError, match=words):
        downloads.save_mesh(client, Feed(tmp_path), "a-ball", started=lambda job: None)
    assert client.files == {} and client.open == 0


def test_what_went_wrong_is_told_in_the_page_and_no_further(capsys):
    client = Client()
    with telling(client, "There is no mesh"):
        raise UserError("the surface is empty")
    with telling(client, "There is no picture"):
        raise ValueError("unforeseen")
    assert client.notices == [
        ("There is no mesh", "the surface is empty"),
        ("There is no picture", "ValueError: unforeseen"),
    ]
    assert "unforeseen" in capsys.readouterr().err
