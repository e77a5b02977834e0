"""One picture for one browser: which runs, from where, how, how large; several of them in tiles.

A quick picture is drawn while the camera moves, at one of a few fixed sizes; a picture at rest comes in
steps, each larger than the one before, each given up as soon as somebody wants another one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from voxjax.pictures.contact_sheet import font_of
from voxjax.viewer.camera import Camera, tile_camera
from voxjax.viewer.exhibit import Cut, Exhibit
from voxjax.viewer.looks import Look, picture_of, planar_depth

MOVING_PX = (64, 80, 96, 112, 128, 160, 192, 256, 384, 512)
"""Longer sides of quick pictures."""

RESTING_PX = (256, 384, 512, 768, 1024, 1536, 2048)
"""Longer sides that a picture at rest may have."""

# Each picture of the way to full size has at least this many times the side of the one before.
_GROWTH = 2.5
# Captions are drawn at this height or more, so that small pictures of tiles are enlarged first.
_CAPTION_SHEET_PX = 900
_HAIRLINE = (205, 208, 214)


@dataclass(frozen=True)
class View:
    """All that a picture depends on.

    Attributes:
      exhibits: what is shown, one tile each.
      names: of the tiles, shown where there are several.
      camera: of the browser.
      look: how it is shown.
      cut: what is left out.
      full_px: longer side of the picture at rest.
    """

    exhibits: tuple[Exhibit, ...]
    names: tuple[str, ...]
    camera: Camera
    look: Look = field(default_factory=Look)
    cut: Cut = field(default_factory=Cut)
    full_px: int = 512


@dataclass(frozen=True)
class Picture:
    """What the browser gets.

    Attributes:
      image: [height, width, 3] uint8.
      depth: [height, width] float32, see `looks.planar_depth`; None for tiles, behind which nothing stands.
      quick: whether it is one of a moving camera.
    """

    image: np.ndarray
    depth: np.ndarray | None
    quick: bool


def sizes_at_rest(full_px: int, quick_px: int) -> list[int]:
    """Longer sides of the pictures that follow once the camera rests, the last of them `full_px`.

    Args:
      full_px: what is wanted in the end.
      quick_px: what was shown last while it moved.
    """
    sizes = [full_px]
    while sizes[0] / _GROWTH > 1.6 * quick_px:
        sizes.insert(0, round(sizes[0] / _GROWTH))
    return sizes


def quick_size(seconds: float, at_px: int, *, goal_s: float, largest_px: int) -> int:
    """The largest size of `MOVING_PX` whose picture should take no longer than a goal.

    Args:
      seconds: that the last quick picture took.
      at_px: its longer side.
      goal_s: seconds that the next one may take.
      largest_px: of the picture at rest.

    Returns:
      One of `MOVING_PX`, at most one place above `at_px`, so that one lucky picture does not make the next
      one stutter.
    """
    affordable = at_px * math.sqrt(goal_s / max(seconds, 1e-6))
    above = [px for px in MOVING_PX if px > at_px][:1]
    highest = above[0] if above else at_px
    fitting = [px for px in MOVING_PX if px <= min(affordable, highest, largest_px)]
    return max(fitting, default=MOVING_PX[0])


def frame_size(longer_px: int, aspect: float) -> tuple[int, int]:
    """(width, height) of a picture of an aspect, both at least 1."""
    if aspect >= 1.0:
        return longer_px, max(1, round(longer_px / aspect))
    return max(1, round(longer_px * aspect)), longer_px


def layout(n: int, aspect: float) -> tuple[int, int]:
    """(columns, rows) for `n` tiles that come nearest to squares in a picture of an aspect."""

    def off_square(columns: int) -> float:
        return abs(math.log(aspect / columns * math.ceil(n / columns)))

    columns = min(range(1, n + 1), key=off_square)
    return columns, math.ceil(n / columns)


def draw(
    view: View, longer_px: int, *, quick: bool = False, wanted: Callable[[], bool] | None = None
) -> Picture:
    """Draws a view.

    Args:
      view: what to draw.
      longer_px: longer side of the picture.
      quick: see `Exhibit.draw`.
      wanted: see `march_image`.

    Returns:
      A picture of the camera's aspect.

    Raises:
      GivenUp: `wanted` said no.
    """
    width, height = frame_size(longer_px, view.camera.aspect)
    if len(view.exhibits) == 1:
        exhibit, camera = view.exhibits[0], view.camera
        rendering = exhibit.draw(camera, width, height, view.cut, quick=quick, wanted=wanted)
        image = picture_of(rendering, view.look, exhibit, camera)
        return Picture(image, planar_depth(rendering, camera), quick)
    columns, rows = layout(len(view.exhibits), view.camera.aspect)
    camera = tile_camera(view.camera, view.camera.aspect / columns * rows)
    tile_width, tile_height = max(1, width // columns), max(1, height // rows)
    tiles = []
    for exhibit in view.exhibits:
        rendering = exhibit.draw(camera, tile_width, tile_height, view.cut, quick=quick, wanted=wanted)
        tiles.append(picture_of(rendering, view.look, exhibit, camera))
    return Picture(_mosaic(tiles, view, columns, rows), None, quick)


def _mosaic(tiles: list[np.ndarray], view: View, columns: int, rows: int) -> np.ndarray:
    """The tiles with hairlines between them and their names in their corners."""
    tile_height, tile_width = tiles[0].shape[:2]
    scale = max(1.0, _CAPTION_SHEET_PX / max(tile_width * columns, tile_height * rows))
    cell = (round(tile_width * scale), round(tile_height * scale))
    ground = tuple(round(255 * channel) for channel in view.look.background)
    sheet = Image.new("RGB", (cell[0] * columns, cell[1] * rows), ground)
    pen = ImageDraw.Draw(sheet)
    font = font_of(max(13, round(min(cell) / 26)))
    for i, tile in enumerate(tiles):
        left, top = i % columns * cell[0], i // columns * cell[1]
        picture = Image.fromarray(tile)
        sheet.paste(picture if picture.size == cell else picture.resize(cell), (left, top))
        # Dark letters with a light rim can be read on any background.
        place = (left + cell[0] / 2, top + 1.4 * font.size)  # type: ignore[union-attr]
        pen.text(place, view.names[i], (38, 41, 46), font, "mm", stroke_width=3, stroke_fill=(255, 255, 255))
    for column in range(1, columns):
        pen.line([(column * cell[0], 0), (column * cell[0], sheet.height)], _HAIRLINE)
    for row in range(1, rows):
        pen.line([(0, row * cell[1]), (sheet.width, row * cell[1])], _HAIRLINE)
    return np.asarray(sheet)
