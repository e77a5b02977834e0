"""One browser: what it looks at and how. Everything here ends when its page is closed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from voxjax.errors import UserError
from voxjax.viewer.camera import look_from_the_front, of_client
from voxjax.viewer.drawing import View
from voxjax.viewer.exhibit import Cut, Exhibit
from voxjax.viewer.feed import Feed, names_of
from voxjax.viewer.looks import Look
from voxjax.viewer.notices import say, telling
from voxjax.viewer.overlay import Overlay, training_cameras
from voxjax.viewer.panel import RunPanel
from voxjax.viewer.screen import Screen
from voxjax.viewer.start import StartPage
from voxjax.viewer.takeaway import TakeAway

if TYPE_CHECKING:
    from voxjax.viewer.house import House

# Seconds between looks at the folders.
_TICK_S = 1.0


class Session:
    """What one browser sees.

    Args:
      client: viser's handle of the browser.
      house: what all browsers share.

    Attributes:
      client: the same.
      house: the same.
      screen: where pictures go.
      take: the camera path, and what leaves the page as a file.
      feeds: the runs that are shown, none on the start page.
      shown: the checkpoint of each that is, None before its first.
      steps: of the checkpoints of each, ascending.
      look: how pictures are shown.
      cut: what is left out of them.
      full_px: longer side of a picture at rest.
    """

    def __init__(self, client: Any, house: House):
        self.client, self.house = client, house
        self.screen, self.take = Screen(client), TakeAway(self)
        self.feeds: tuple[Feed, ...] = ()
        self.shown: list[Exhibit | None] = []
        self.steps: list[list[int]] = []
        self.look, self.cut, self.full_px = Look(), Cut(), house.full_px
        self._chosen: list[int | None] = []  # None: whatever is newest
        self._notes: list[str] = []
        self._lock = threading.RLock()  # of everything above
        self._loading, self._turning = threading.RLock(), threading.RLock()  # of files; of pages
        self._closed = threading.Event()
        self._overlay = Overlay(client.scene)
        self._page: RunPanel | StartPage | None = None

    def start(self) -> None:
        """Builds the page and keeps it up to date until the browser goes."""
        self.client.camera.on_update(lambda _: self._moved())
        if self.house.feeds:
            self.open(self.house.feeds)
        else:
            self.leave()
        threading.Thread(target=self._watch, name="session", daemon=True).start()

    def close(self) -> None:
        """Lets go of everything."""
        self._closed.set()
        self.take.stop_video()
        self.screen.close()

    @property
    def has_start_page(self) -> bool:
        """Whether there is a list of runs to go back to."""
        return not self.house.feeds

    @property
    def extent(self) -> tuple[np.ndarray, np.ndarray]:
        """(lower [3], upper [3]) of the box around all shown objects; a cube before the first."""
        boxes = [exhibit.box for exhibit in self.shown if exhibit is not None]
        if not boxes:
            return np.full(3, -1.2), np.full(3, 1.2)
        return np.min([lower for lower, _ in boxes], axis=0), np.max([upper for _, upper in boxes], axis=0)

    @property
    def trains_here(self) -> bool:
        """Whether the shown run is being trained by a process of this viewer."""
        job = self.house.trainings.of(self.feeds[0].workdir) if len(self.feeds) == 1 else None
        return job is not None and job.running

    def note(self, i: int) -> str:
        """What is wrong with a shown run, in a line; empty if nothing is."""
        job = self.house.trainings.of(self.feeds[i].workdir)
        return (job.complaint() if job is not None else "") or self._notes[i]

    def view(self) -> View | None:
        """What is to be drawn; None as long as a run has no checkpoint."""
        with self._lock:
            shown = [exhibit for exhibit in self.shown if exhibit is not None]
            if not shown or len(shown) < len(self.feeds):
                return None
            names = names_of(self.feeds)
            camera = of_client(self.client.camera)
            return View(tuple(shown), names, camera, self.look, self.cut, self.full_px)

    def open(self, feeds: Sequence[Feed]) -> None:
        """Shows runs; what has no checkpoint yet is waited for."""
        with self._turning:
            with self._lock:
                n = len(feeds)
                self.feeds, self.shown, self.steps = tuple(feeds), [None] * n, [[] for _ in feeds]
                self._chosen, self._notes = [None] * n, [""] * n
                self.look, self.cut = Look(background=self.look.background), Cut()
                self._clear()
                self.screen.write("Opening …")
                opening = self.client.gui.add_html(f"Opening {escape(str(feeds[0].workdir))} …")
            self._load()
            with self._lock:
                opening.remove()
                config = self.feeds[0].config
                look_from_the_front(self.client, config.cameras.radius if config is not None else 4.0)
                self._page = RunPanel(self)
        self._tick()

    def leave(self) -> None:
        """Shows the start page."""
        with self._turning, self._lock:
            self.take.stop_video()
            left, self.feeds, self.shown = self.feeds, (), []
            self.house.let_go(left)
            self._clear()
            self._page = StartPage(self)
        self._tick()

    def change(self, *, look: Look | None = None, cut: Cut | None = None, full_px: int | None = None) -> None:
        """Changes how the runs are shown."""
        with self._lock:
            self.look, self.cut = look or self.look, cut or self.cut
            self.full_px = full_px or self.full_px
            if cut is not None and len(self.feeds) == 1:
                self._overlay.show_box(cut.box)
            self._refresh()

    def choose(self, i: int, step: int) -> None:
        """Shows the kept checkpoint nearest to a step; at the last one, whatever will be newest."""
        with self._lock:
            if not self.steps[i]:
                return
            nearest = min(self.steps[i], key=lambda kept: abs(kept - step))
            self._chosen[i] = None if nearest == self.steps[i][-1] else nearest
        self._tick()

    def show_cameras(self, on: bool) -> None:
        """Shows the training cameras of the run, or takes them away."""
        config = self.feeds[0].config if self.feeds else None
        self._overlay.show_cameras(training_cameras(config) if on and config is not None else [])

    def show_path(self, closed: bool) -> None:
        """Shows the camera path in the scene."""
        if len(self.feeds) == 1:
            self._overlay.show_path(self.take.keys, closed=closed)

    def stop_training(self) -> None:
        """Stops the training of the shown run."""
        job = self.house.trainings.of(self.feeds[0].workdir)
        if job is not None:
            job.stop()
            say(self.client, "Stopped", "Its last checkpoint is kept; it can go on from there.")
        self._tick()

    def go_on(self) -> None:
        """Goes on with the training of the shown run."""
        with telling(self.client, "It cannot go on"):
            self.house.trainings.go_on(self.feeds[0].workdir)
        self._tick()

    def _watch(self) -> None:
        while not self._closed.wait(_TICK_S):
            with telling(self.client, "Reading the runs failed"):
                self._tick()

    def _tick(self) -> None:
        self._load()
        with self._lock:
            if isinstance(self._page, StartPage):
                self._page.update()
            elif isinstance(self._page, RunPanel):
                self._page.update([feed.progress() for feed in self.feeds])
                self._refresh()

    def _load(self) -> None:
        """Opens the checkpoints that are to be shown and are not yet; the camera turns meanwhile."""
        with self._loading:
            for i, feed in enumerate(self.feeds):
                steps = feed.steps()
                chosen = self._chosen[i] if self._chosen[i] in steps else None
                shown, note = self.shown[i], ""
                try:
                    shown = feed.open(chosen) if chosen is not None else feed.newest() or shown
                except UserError as error:
                    # The newest is perhaps just being written: what was shown goes on being shown.
                    note = "" if shown is not None and chosen is None else str(error)
                with self._lock:
                    if feed not in self.feeds:
                        return
                    self.steps[i], self.shown[i], self._notes[i] = steps, shown, note

    def _refresh(self) -> None:
        view = self.view()
        if view is not None:
            self.screen.show(view)
        elif self.feeds:
            complaint = "".join(self.note(i) for i in range(len(self.feeds)))
            self.screen.write(complaint or "No picture yet: it comes with the first checkpoint.")

    def _moved(self) -> None:
        if isinstance(self._page, StartPage):
            self._page.show()
        elif self.feeds:
            view = self.view()
            if view is not None:
                self.screen.show(view)

    def _clear(self) -> None:
        if isinstance(self._page, StartPage):
            self._page.close()
        self._page = None
        self.take.keys.clear()
        self._overlay.clear()
        self.screen.clear()
        self.client.gui.reset()
