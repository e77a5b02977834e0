"""Videos that play everywhere: H.264 in mp4, yuv420p, even sizes, the index at the front of the file."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import imageio_ffmpeg
import numpy as np

from voxjax.errors import UserError
from voxjax.files import atomic_path

_FFMPEG = "IMAGEIO_FFMPEG_EXE"
_BT709 = "range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709"


def even_size(frame: np.ndarray) -> np.ndarray:
    """Repeat the last row or column of an odd-sized frame: 4:2:0 colour needs even sides.

    Args:
      frame: [height, width, 3].

    Returns:
      [height + height % 2, width + width % 2, 3].
    """
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def _command(path: Path, width: int, height: int, fps: float, crf: int) -> list[str]:
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-nostdin", "-loglevel", "error"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "pipe:0"),
        *("-an", "-c:v", "libx264", "-preset", "fast", "-crf", str(crf), "-pix_fmt", "yuv420p"),
        # The matrix is written into the file: without it players guess between two, and colours shift.
        *("-vf", f"scale=out_color_matrix=bt709:out_range=tv,setparams={_BT709}"),
        *("-movflags", "+faststart", str(path)),
    ]


class VideoWriter:
    """Hands frames one by one to an ffmpeg process; use `open_video` to get one.

    Attributes:
      n_frames: frames written so far.
    """

    def __init__(self, path: Path, *, fps: float, crf: int):
        self._path, self._fps, self._crf = path, fps, crf
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `stop`)
        self._shape: tuple[int, ...] = ()
        self.n_frames = 0

    def add(self, frame: np.ndarray) -> None:
        """Append one frame.

        Args:
          frame: [height, width, 3] uint8; all frames of a video have one size.

        Raises:
          ValueError: for another type or shape than the first frame's.
          UserError: if ffmpeg does not start, or stops (disk full, broken installation).
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
            raise ValueError(f"a frame must be uint8 [height, width, 3], not {frame.dtype} {frame.shape}")
        if self._shape and frame.shape != self._shape:
            raise ValueError(f"frames of one video must have one shape: {self._shape}, then {frame.shape}")
        even = even_size(frame)
        if self._process is None:
            self._shape = frame.shape
            self._process = self._start(even.shape[1], even.shape[0])
        try:
            assert self._process.stdin is not None
            raw = memoryview(np.ascontiguousarray(even)).cast("B")
            while raw:
                raw = raw[self._process.stdin.write(raw) :]
        except BrokenPipeError:
            self.finish()
            raise
        self.n_frames += 1

    def _start(self, width: int, height: int) -> subprocess.Popen[bytes]:
        try:
            command = _command(self._path, width, height, self._fps, self._crf)
            return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._complaints, bufsize=0)
        except (OSError, RuntimeError) as error:  # the latter: imageio_ffmpeg finds none
            named = os.environ.get(_FFMPEG)
            where = f"{_FFMPEG}={named}: name one that runs, or unset it"
            none_named = f"install imageio-ffmpeg again, or name an ffmpeg in {_FFMPEG}"
            reason = error.strerror if isinstance(error, OSError) else error
            raise UserError(f"ffmpeg does not start ({reason}); {where if named else none_named}") from error

    def finish(self) -> None:
        """Wait until ffmpeg has written the whole file.

        Raises:
          ValueError: if no frame was added.
          UserError: if ffmpeg failed.
        """
        if self._process is None:
            raise ValueError(f"no frame was added to {self._path.name}")
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._process.wait() != 0:
            self._complaints.seek(0)
            lines = self._complaints.read().decode(errors="replace").strip().splitlines()
            raise UserError(f"ffmpeg could not write a video: {lines[-1] if lines else 'no reason given'}")

    def stop(self) -> None:
        """Let go of the process and its pipes, whatever state they are in."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        self._complaints.close()


@contextmanager
def open_video(path: str | os.PathLike[str], *, fps: float = 15.0, crf: int = 18) -> Iterator[VideoWriter]:
    """A writer whose file appears under `path` only once it is whole.

    Args:
      path: final place, ending in `.mp4`.
      fps: frames per second, above 0.
      crf: x264's constant rate factor, 0 (lossless) to 51; 18 is hard to tell from the original.

    Yields:
      A `VideoWriter`.

    Raises:
      ValueError: if no frame was added.
      UserError: if ffmpeg failed.
    """
    with ExitStack() as stack:
        part = stack.enter_context(atomic_path(path))
        writer = VideoWriter(part, fps=fps, crf=crf)
        stack.callback(writer.stop)
        yield writer
        writer.finish()
