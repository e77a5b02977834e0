"""What one takes away: a picture, a video along a path, a mesh; made in a temporary folder, never a run's."""

from __future__ import annotations

import dataclasses
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from voxjax.errors import UserError
from voxjax.pictures.video import open_video
from voxjax.rendering.marching import GivenUp
from voxjax.viewer.drawing import View, draw
from voxjax.viewer.feed import Feed
from voxjax.viewer.jobs import Job
from voxjax.viewer.notices import Busy
from voxjax.viewer.path import Key, cameras_on_path

EXPORT = "voxjax.export"
"""The command that makes a mesh of a run."""

FPS = 20
"""Pictures per second of the videos."""


def send(client: Any, name: str, content: bytes) -> None:
    """Lets the browser save a file."""
    client.send_file_download(name, content, save_immediately=True)


def save_picture(client: Any, view: View, name: str) -> None:
    """Draws a view at its full size and sends it as `name`.png."""
    with Busy(client, "Drawing the picture"):
        image = draw(view, view.full_px).image
        file = io.BytesIO()
        Image.fromarray(image).save(file, "png")
    send(client, f"{name}.png", file.getvalue())


def save_video(
    client: Any,
    view: View,
    keys: Sequence[Key],
    name: str,
    *,
    seconds: float,
    closed: bool,
    wanted: Callable[[], bool],
) -> None:
    """Draws a view from cameras along a path and sends the video as `name`.mp4; nothing if it is given up.

    Args:
      client: viser's handle of the browser.
      view: what to draw; its camera gives the aspect.
      keys: of the path, at least one.
      name: of the file, without suffix.
      seconds: length of the video.
      closed: see `cameras_on_path`.
      wanted: says no once it is to be given up.

    Raises:
      UserError: ffmpeg failed.
    """
    n = max(2, round(seconds * FPS))
    cameras = cameras_on_path(keys, n, closed=closed)
    with tempfile.TemporaryDirectory() as folder, Busy(client, "Rendering the video") as busy:
        path, start = Path(folder) / "path.mp4", time.monotonic()
        try:
            with open_video(path, fps=FPS) as video:
                for done, camera in enumerate(cameras, start=1):
                    # The size of the first picture: key poses may be of differently wide windows.
                    camera = dataclasses.replace(camera, aspect=view.camera.aspect, fov=view.camera.fov)
                    frame = dataclasses.replace(view, camera=camera)
                    video.add(draw(frame, view.full_px, wanted=wanted).image)
                    left = (time.monotonic() - start) / done * (n - done)
                    busy.tell(f"{done} of {n} pictures, {left:.0f} s left")
        except GivenUp:
            return
        content = path.read_bytes()
    send(client, f"{name}.mp4", content)


def save_mesh(client: Any, feed: Feed, name: str, *, started: Callable[[Job], None]) -> None:
    """Has the export command make a mesh of a run's last checkpoint and sends it as `name`.glb.

    Args:
      client: viser's handle of the browser.
      feed: of the run.
      name: of the file, without suffix.
      started: told the process, for who wants to stop it.

    Raises:
      UserError: the command failed.
    """
    with tempfile.TemporaryDirectory() as folder, Busy(client, "Making the mesh"):
        out = Path(folder) / f"{name}.glb"
        job = Job(EXPORT, [f"--workdir={feed.workdir}", f"--out={out}"])
        started(job)
        complaint = job.wait()
        if job.stopped:
            return
        if complaint or not out.is_file():
            raise UserError(complaint or f"{EXPORT} wrote no {out.name}")
        content = out.read_bytes()
    send(client, out.name, content)
