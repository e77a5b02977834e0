"""What stands behind everything in one browser's scene: the drawn view, or a text while there is none."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from voxjax.pictures.contact_sheet import font_of, wrap
from voxjax.viewer.drawing import MOVING_PX, Picture, View, draw, quick_size, sizes_at_rest
from voxjax.viewer.painter import GOAL_S, Painter

# Depth goes in steps of 256 of viser's units of 1e-5: its lowest byte is then always 0, and packs to nothing.
_DEPTH_STEP = 256e-5
_DEPTH_PX = 512
_PAPER, _INK = (255, 255, 255), (107, 111, 118)


class Screen:
    """Sends pictures to one browser.

    Args:
      client: viser's handle of the browser.
    """

    def __init__(self, client: Any):
        self._client = client
        self._quick_px = MOVING_PX[3]
        self._cost: float | None = None  # seconds of a quick picture over its longer side squared
        self._asked: View | None = None
        self._written: tuple[str, int] | None = None
        self._complained = False
        self._painter: Painter[View] = Painter(self._draw_quick, self._draw_full, self._complain)

    def show(self, view: View) -> None:
        """Draws a view, unless it is the one that is shown already."""
        if self._asked is None or not same(view, self._asked):
            self._asked, self._written = view, None
            self._painter.ask(view)

    def write(self, text: str) -> None:
        """Shows words instead of a picture."""
        handle = self._client.camera
        height = 600
        width = max(200, round(height * handle.image_width / max(handle.image_height, 1)))
        if self._written == (text, width):
            return
        sheet = Image.new("RGB", (width, height), _PAPER)
        pen, font = ImageDraw.Draw(sheet), font_of(20)
        lines = wrap(text, 0.8 * width, font)
        for k, line in enumerate(lines):
            place = (width / 2, height / 2 + (k - (len(lines) - 1) / 2) * 28)
            pen.text(place, line, _INK, font, "mm")
        self._asked, self._written = None, (text, width)
        self._client.scene.set_background_image(np.asarray(sheet), format="png")

    def clear(self) -> None:
        """Leaves the place to somebody else's picture."""
        self._asked = self._written = None

    def close(self) -> None:
        """Stops drawing."""
        self._painter.close()

    def _draw_quick(self, view: View) -> None:
        start = time.monotonic()
        self._send(draw(view, self._quick_px, quick=True))
        cost = (time.monotonic() - start) / self._quick_px**2
        # A mean over the latest few, or one hiccup would make the next pictures small.
        self._cost = cost if self._cost is None else 0.75 * self._cost + 0.25 * cost
        spent = self._cost * self._quick_px**2
        self._quick_px = quick_size(spent, self._quick_px, goal_s=GOAL_S, largest_px=view.full_px)

    def _draw_full(self, view: View, wanted: Callable[[], bool]) -> None:
        sizes = sizes_at_rest(view.full_px, self._quick_px)
        if any(exhibit.has_network for exhibit in view.exhibits):
            # The field itself takes its time: first the stand-in, sharp, and no blurred step back from that.
            self._send(draw(view, view.full_px, quick=True, wanted=wanted), wanted)
            sizes = sizes[-1:]
        for size in sizes:
            self._send(draw(view, size, wanted=wanted), wanted)

    def _send(self, picture: Picture, wanted: Callable[[], bool] = lambda: True) -> None:
        # What was drawn before a text or another page came is not shown over it.
        if self._asked is None or not wanted():
            return
        depth = picture.depth
        if depth is not None:
            skip = -(-max(depth.shape) // _DEPTH_PX)
            depth = (np.floor(depth[::skip, ::skip].astype(np.float64) / _DEPTH_STEP) + 0.01) * _DEPTH_STEP
        self._client.scene.set_background_image(
            picture.image,
            format="jpeg" if picture.quick else "png",
            jpeg_quality=82 if picture.quick else None,
            depth=depth,
        )
        self._client.flush()

    def _complain(self, error: Exception) -> None:
        traceback.print_exception(error, file=sys.stderr)
        if not self._complained:
            self._complained = True
            words = f"{type(error).__name__}: {error}"
            self._client.add_notification("Drawing failed", words, color="red", auto_close_seconds=None)


def same(one: View, other: View) -> bool:
    """Whether two views show the same picture."""
    return (
        one.exhibits == other.exhibits
        and one.camera.same_as(other.camera)
        and (one.look, one.cut, one.full_px) == (other.look, other.cut, other.full_px)
    )
