"""The camera path of one browser, and the buttons by which it takes things away."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from voxjax.config.naming import slug
from voxjax.errors import UserError
from voxjax.viewer import downloads
from voxjax.viewer.camera import of_client
from voxjax.viewer.drawing import View
from voxjax.viewer.notices import telling
from voxjax.viewer.path import Key

if TYPE_CHECKING:
    from voxjax.viewer.session import Session


class TakeAway:
    """What leaves the page as a file.

    Args:
      session: of the browser.

    Attributes:
      keys: poses of the camera path.
    """

    def __init__(self, session: Session):
        self._session, self._client = session, session.client
        self.keys: list[Key] = []
        self._video: threading.Event | None = None

    def add_key(self) -> None:
        """Adds where the browser stands to the camera path."""
        self.keys.append(self._here())

    def picture(self) -> None:
        """Sends what is seen, at full size."""
        with telling(self._client, "There is no picture"):
            downloads.save_picture(self._client, self._view(), self._name())

    def video(self, seconds: float, closed: bool, *, telling_label: Callable[[str], None]) -> None:
        """Sends a video along the camera path; a second call while it is rendered gives it up.

        Args:
          seconds: length of the video.
          closed: whether the path leads back to its start.
          telling_label: told what a second call would do, and at the end what the next one will.
        """
        if self.stop_video():
            return
        stopped = self._video = threading.Event()
        telling_label("Stop rendering")
        try:
            with telling(self._client, "There is no video"):
                downloads.save_video(
                    self._client,
                    self._view(),
                    list(self.keys) or [self._here()],
                    f"{self._name()}-path",
                    seconds=seconds,
                    closed=closed,
                    wanted=lambda: not stopped.is_set(),
                )
        finally:
            self._video = None
            telling_label("Render video")

    def stop_video(self) -> bool:
        """Gives up the video that is being rendered; returns whether there was one."""
        video = self._video
        if video is not None:
            video.set()
        return video is not None

    def mesh(self) -> None:
        """Sends a mesh of each shown run."""
        for feed in self._session.feeds:
            with telling(self._client, "There is no mesh"):
                name = slug(feed.prompt)
                downloads.save_mesh(self._client, feed, name, started=self._session.house.exports.append)

    def _here(self) -> Key:
        return Key(of_client(self._client.camera), np.array(self._client.camera.look_at, np.float64))

    def _view(self) -> View:
        view = self._session.view()
        if view is None:
            raise UserError("the run has no checkpoint yet")
        return view

    def _name(self) -> str:
        names = "-and-".join(slug(feed.prompt) for feed in self._session.feeds)
        return names.encode()[:80].decode(errors="ignore")  # bytes: of these a file name holds 255
