"""Videos are read back through ffmpeg: size, number, speed and content of the frames."""

import re

import imageio_ffmpeg
import numpy as np
import pytest
from helpers.reading import read_video

from voxjax.errors import UserError
from voxjax.pictures.video import even_size, open_video


def flat_frames(height, width):
    """Six frames: one colour each, its mirror image on the right half."""
    colours = np.array(
        [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [200, 120, 40]], np.uint8
    )
    frames = np.empty((6, height, width, 3), np.uint8)
    for k, colour in enumerate(colours):
        frames[k, :, : width // 2] = colour
        frames[k, :, width // 2 :] = 255 - colour
    return frames


@pytest.mark.parametrize(("height", "width"), [(48, 64), (45, 63)])
def test_frames_come_back(tmp_path, height, width):
    frames = flat_frames(height, width)
    with open_video(tmp_path / "a.mp4", fps=12) as video:
        for frame in frames:
            video.add(frame)
    read, fps, _ = read_video(tmp_path / "a.mp4")
    assert read.shape == (6, height + height % 2, width + width % 2, 3)
    assert fps == 12
    # Away from the edge between the halves, where colour is stored at half the resolution.
    for part in (slice(0, width // 2 - 4), slice(width // 2 + 4, width)):
        error = np.abs(read[:, :height, part].astype(int) - frames[:, :, part].astype(int))
        assert error.max() <= 8


def test_plays_everywhere(tmp_path):
    with open_video(tmp_path / "a.mp4") as video:
        for frame in flat_frames(48, 64):
            video.add(frame)
    stream = read_video(tmp_path / "a.mp4")[2]
    assert "h264" in stream
    assert re.search(r"yuv420p\(tv, bt709, ", stream)
    raw = (tmp_path / "a.mp4").read_bytes()
    assert 0 < raw.index(b"moov") < raw.index(b"mdat")


def test_even_size_repeats_the_edge():
    frame = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    padded = even_size(frame)
    assert padded.shape == (6, 8, 3)
    np.testing.assert_array_equal(padded[:5, :7], frame)
    np.testing.assert_array_equal(padded[5, :7], frame[4])
    np.testing.assert_array_equal(padded[:5, 7], frame[:, 6])
    np.testing.assert_array_equal(even_size(padded), padded)


def test_failure_keeps_the_older_video(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(RuntimeError, match="half way"), open_video(path) as video:
        video.add(flat_frames(16, 16)[0])
        raise RuntimeError("half way")
    assert path.read_bytes() == b"older"
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_wrong_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="one shape"), open_video(tmp_path / "a.mp4") as video:
        video.add(np.zeros((16, 16, 3), np.uint8))
        video.add(np.zeros((16, 18, 3), np.uint8))
    with pytest.raises(ValueError, match="uint8"), open_video(tmp_path / "a.mp4") as video:
        video.add(np.zeros((16, 16, 3), np.float32))
    with pytest.raises(ValueError, match="no frame"), open_video(tmp_path / "a.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ("{folder}/none", r"IMAGEIO_FFMPEG_EXE={folder}/none: name one that runs, or unset it"),
        ("{folder}/text", r"\(Exec format error\); IMAGEIO_FFMPEG_EXE={folder}/text"),
        ("{folder}", r"\(Permission denied\); IMAGEIO_FFMPEG_EXE={folder}"),
        ("", r"\(No ffmpeg exe could be found.*; install imageio-ffmpeg again"),
    ],
)
def test_ffmpeg_that_does_not_start_is_reported(tmp_path, monkeypatch, named, words):
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", named.format(folder=tmp_path))
    monkeypatch.setattr(imageio_ffmpeg._utils, "_get_ffmpeg_exe", lambda: None)
    with (
        pytest.raises(UserError, match="ffmpeg does not start .*" + words.format(folder=tmp_path)) as caught,
        open_video(tmp_path / "a.mp4") as video,
    ):
        video.add(np.zeros((16, 16, 3), np.uint8))
    assert "\n" not in str(caught.value) and not (tmp_path / "a.mp4").exists()


def test_ffmpeg_that_stops_is_reported(tmp_path, monkeypatch):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'no space left' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: str(broken))
    with pytest.raises(UserError, match="no space left"), open_video(tmp_path / "a.mp4") as video:
        for _ in range(200):
            video.add(np.zeros((256, 256, 3), np.uint8))
    assert not (tmp_path / "a.mp4").exists()
