"""The start page: all runs with their pictures, and a form for a new object."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import viser
from PIL import Image

from voxjax.pictures.outputs import EVALUATION, PREVIEW, read_first_view
from voxjax.viewer.feed import Feed
from voxjax.viewer.gallery import Gallery, Tile
from voxjax.viewer.notices import telling

if TYPE_CHECKING:
    from voxjax.viewer.session import Session

# Runs that get a button of their own; the others are in a list.
_BUTTONS = 8
# Seconds between two looks for runs.
_LOOK_S = 3.0
_TILE_PX = 512
_QUIET = "color: #6b6f76; font-size: 0.85em; line-height: 1.45; padding: 0 0.9em"


class StartPage:
    """What one browser sees before it opens a run.

    Args:
      session: of the browser.
    """

    def __init__(self, session: Session):
        self._session, self._gui = session, session.client.gui
        self._gallery = Gallery(session.client, self._open)
        self._feeds: list[Feed] = []
        self._known: list[tuple[Any, ...]] = []
        self._looked = -_LOOK_S
        self._rows: list[Any] = []
        with self._gui.add_form("New object") as form:
            self._prompt = self._gui.add_text("Prompt", "", hint="What to make: a red sphere")
            presets = session.house.presets()
            self._preset = self._gui.add_dropdown("Preset", presets, initial_value=presets[0])
            self._preset.hint = "demo: minutes on two cores, coloured primitives; the others want a GPU"
            self._seed = self._gui.add_number("Seed", 0, min=0, max=2**31 - 1, step=1)
            button = self._gui.add_button("Start training", icon=viser.Icon.PLAYER_PLAY)
        button.on_click(lambda _: form.submit())
        form.on_submit(lambda _: self._start())
        self._runs = self._gui.add_folder("Runs")

    def update(self) -> None:
        """Looks for runs now and then, and shows what is new."""
        if time.monotonic() - self._looked < _LOOK_S:
            return
        self._looked = time.monotonic()
        feeds = self._session.house.find_runs()
        known = [(feed.workdir, feed.progress().step, _picture_time(feed)) for feed in feeds]
        if known == self._known and self._rows:
            return
        if [each[0] for each in known] != [each[0] for each in self._known] or not self._rows:
            self._feeds = feeds
            self._list()
        self._known = known
        self._gallery.fill([_tile(feed) for feed in feeds])

    def show(self) -> None:
        """Lays the pictures out anew if the window has changed."""
        self._gallery.show()

    def close(self) -> None:
        """Takes away what is not in the panel."""
        self._gallery.close()

    def _list(self) -> None:
        for row in self._rows:
            row.remove()
        self._rows = []
        with self._runs:
            if not self._feeds:
                words = f"No run in {escape(str(self._session.house.runs))} yet."
                self._rows.append(self._gui.add_html(f'<div style="{_QUIET}">{words}</div>'))
            for feed in self._feeds[:_BUTTONS]:
                field = feed.config.field.name if feed.config is not None else ""
                label = f"{feed.prompt[:40]} · {field}"
                button = self._gui.add_button(label, hint=str(feed.workdir), color="gray")
                button.on_click(lambda _, feed=feed: self._open(feed))
                self._rows.append(button)
            if len(self._feeds) > _BUTTONS:
                names = {str(feed.workdir): feed for feed in self._feeds[_BUTTONS:]}
                older = self._gui.add_dropdown("Older", list(names))
                show = self._gui.add_button("Show", icon=viser.Icon.FOLDER_OPEN)
                show.on_click(lambda _: self._open(names[older.value]))
                self._rows += [older, show]

    def _start(self) -> None:
        with telling(self._session.client, "It was not started"):
            prompt, preset = self._prompt.value, self._preset.value
            feed = self._session.house.start_training(preset, prompt, int(self._seed.value))
            self._open(feed)

    def _open(self, feed: Feed) -> None:
        self._session.open([feed])


def _picture_of(feed: Feed) -> Path | None:
    """The picture of a run, a finished one's before a preview; None if there is none."""
    return next((path for name in (EVALUATION, PREVIEW) if (path := feed.workdir / name).is_file()), None)


def _picture_time(feed: Feed) -> float:
    path = _picture_of(feed)
    try:
        return path.stat().st_mtime if path is not None else 0.0
    except OSError:
        return 0.0


def _tile(feed: Feed) -> Tile:
    progress, path, image = feed.progress(), _picture_of(feed), None
    if path is not None:
        try:
            image = _small(path)
        except OSError:  # being replaced, or no picture
            image = None
    where = feed.config.field.name if feed.config is not None else ""
    state = "finished" if progress.finished else f"step {progress.step} of {progress.steps}"
    return Tile(feed, image, f"{where} · {state}")


def _small(path: Path) -> np.ndarray:
    """[height, width, 3] uint8 of a run's picture, no larger than a tile can be."""
    if path.name == PREVIEW:
        return read_first_view(path)
    with Image.open(path) as file:
        file.thumbnail((_TILE_PX, _TILE_PX))
        return np.asarray(file.convert("RGB"))
