"""The pictures of the runs, side by side behind the start page; a click on one opens it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from voxjax.pictures.contact_sheet import Font, fit_tile, font_of, wrap
from voxjax.viewer.feed import Feed

_PAPER, _INK, _QUIET, _HAIRLINE = (247, 248, 249), (38, 41, 46), (107, 111, 118), (222, 225, 230)
# Pixels of a tile's picture, at least and at most, and of what goes around it.
_SMALLEST_PX, _LARGEST_PX = 110, 300
_GAP_PX, _TITLE_PX = 18, 64


@dataclass(frozen=True)
class Tile:
    """One run.

    Attributes:
      feed: of the run.
      image: [height, width, 3] uint8; None where it has no picture yet.
      state: in a few words.
    """

    feed: Feed
    image: np.ndarray | None
    state: str


class Gallery:
    """The pictures of one browser's start page.

    Args:
      client: viser's handle of the browser.
      chosen: told which run was clicked.
    """

    def __init__(self, client: Any, chosen: Callable[[Feed], None]):
        self._client, self._chosen = client, chosen
        self._tiles: Sequence[Tile] = ()
        self._size = (0, 0)
        client.scene.on_click()(self._clicked)

    def fill(self, tiles: Sequence[Tile]) -> None:
        """Shows these runs, as many as there is room for."""
        self._tiles, self._size = tiles, (0, 0)
        self.show()

    def show(self) -> None:
        """Lays them out, unless they lie so already."""
        size = self._client.camera.image_width, self._client.camera.image_height
        if size != self._size:
            self._size = size
            sheet = draw_gallery([(tile.image, tile.feed.prompt, tile.state) for tile in self._tiles], *size)
            self._client.scene.set_background_image(sheet, format="png")

    def close(self) -> None:
        """Stops listening."""
        self._client.scene.remove_click_callback(self._clicked)

    def _clicked(self, event: Any) -> None:
        width, height = self._size
        boxes = places(len(self._tiles), width, height)
        x, y = event.screen_pos[0] * width, event.screen_pos[1] * height
        for tile, (left, top, side) in zip(self._tiles, boxes, strict=False):
            if left <= x < left + side and top <= y < top + side + _TITLE_PX:
                self._chosen(tile.feed)
                return


def places(n: int, width: int, height: int) -> list[tuple[int, int, int]]:
    """Where the pictures lie in a window: as large as all of them fit, or the first ones that do.

    Args:
      n: pictures.
      width: of the window in pixels.
      height: of the window.

    Returns:
      (left, top, side) of each picture that has a place; its title lies below.
    """
    room = width - _GAP_PX, height - _GAP_PX

    def grid(side: int) -> tuple[int, int]:
        return max(1, room[0] // (side + _GAP_PX)), max(1, room[1] // (side + _TITLE_PX + _GAP_PX))

    sides = range(_LARGEST_PX, _SMALLEST_PX - 1, -10)
    side = next((side for side in sides if math.prod(grid(side)) >= n), _SMALLEST_PX)
    side = max(1, min(side, room[0] - _GAP_PX))
    columns, rows = grid(side)
    columns = min(columns, max(n, 1))
    left = (width - columns * (side + _GAP_PX) + _GAP_PX) // 2
    return [
        (left + i % columns * (side + _GAP_PX), _GAP_PX + i // columns * (side + _TITLE_PX + _GAP_PX), side)
        for i in range(min(n, columns * rows))
    ]


def draw_gallery(tiles: Sequence[tuple[np.ndarray | None, str, str]], width: int, height: int) -> np.ndarray:
    """The picture of a gallery.

    Args:
      tiles: picture [height, width, 3] uint8 or None, prompt and state of each run.
      width: of the window in pixels.
      height: of the window.

    Returns:
      [height, width, 3] uint8.
    """
    sheet = Image.new("RGB", (max(width, 1), max(height, 1)), _PAPER)
    pen, title, small = ImageDraw.Draw(sheet), font_of(15), font_of(12)
    if not tiles:
        pen.text((width / 2, height / 2), "No objects yet: say what to make.", _QUIET, font_of(20), "mm")
    for (image, prompt, state), (left, top, side) in zip(
        tiles, places(len(tiles), width, height), strict=False
    ):
        frame = (left - 1, top - 1, left + side, top + side)
        pen.rounded_rectangle(frame, radius=6, fill="white", outline=_HAIRLINE)
        if image is None:
            pen.text((left + side / 2, top + side / 2), "no picture yet", _QUIET, small, "mm")
        else:
            inner = side - 8
            sheet.paste(Image.fromarray(fit_tile(image, inner)), (left + 4, top + 4))
        pen.text((left + 2, top + side + 8), _one_line(prompt, side, title), _INK, title)
        pen.text((left + 2, top + side + 29), _one_line(state, side, small), _QUIET, small)
    return np.asarray(sheet)


def _one_line(text: str, width_px: int, font: Font) -> str:
    """As much of a text as there is room for."""
    lines = wrap(text, width_px - font.getlength(" …"), font)
    return lines[0] + (" …" if len(lines) > 1 else "") if lines else ""
