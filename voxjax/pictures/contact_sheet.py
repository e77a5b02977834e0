"""A labelled grid of pictures on white."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from voxjax.pictures.images import save_png

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_INK = (32, 32, 32)
_HAIRLINE = (220, 220, 220)

HEAD_PX = 26
"""Room for the heads above the pictures of `labelled_rows`, at its default height of letters."""


def font_of(size_px: int) -> Font:
    """The font that ships with Pillow, so that a sheet looks the same on every machine.

    Args:
      size_px: height in pixels.

    Returns:
      A font.
    """
    return ImageFont.load_default(size=size_px)


def wrap(text: str, width_px: float, font: Font) -> list[str]:
    """Break text at blanks so that each line fits; a word longer than a line ends in an ellipsis.

    Args:
      text: line breaks in it are kept.
      width_px: room for a line.
      font: what it will be drawn with.

    Returns:
      Lines, none for a blank text.
    """
    lines: list[str] = []
    for paragraph in text.splitlines():
        lines += _wrap_paragraph(paragraph, width_px, font)
    return lines


def _wrap_paragraph(text: str, width_px: float, font: Font) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width_px:
            lines[-1] += f" {word}"
            continue
        while len(word) > 1 and font.getlength(word) > width_px:
            word = word.rstrip("…")[:-1] + "…"
        lines.append(word)
    return lines


def fit_tile(image: np.ndarray, tile_px: int) -> np.ndarray:
    """Scale a picture into a square tile, keeping its shape, centred on white.

    Args:
      image: [height, width, 3] uint8.
      tile_px: side of the tile.

    Returns:
      [tile_px, tile_px, 3] uint8.
    """
    height, width = image.shape[:2]
    scale = tile_px / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = (
        Image.fromarray(image)
        if size == (width, height)
        else Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    )
    tile = Image.new("RGB", (tile_px, tile_px), "white")
    tile.paste(small, ((tile_px - size[0]) // 2, (tile_px - size[1]) // 2))
    return np.asarray(tile)


def contact_sheet(
    images: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    columns: int,
    tile_px: int = 160,
    title: str = "",
    gap_px: int = 8,
    font_px: int = 14,
) -> np.ndarray:
    """Lay pictures out row by row, each above its label.

    Args:
      images: each [height, width, 3] uint8, any sizes.
      labels: one text for each picture, wrapped to the width of a tile; rows grow with the longest.
      columns: tiles in a row.
      tile_px: side of a tile.
      title: a line above the grid, none if empty.
      gap_px: white space around tiles.
      font_px: height of the labels; the title is a quarter larger.

    Returns:
      [height, width, 3] uint8.

    Raises:
      ValueError: for no pictures, or a number of labels other than that of pictures.
    """
    if not images or len(images) != len(labels):
        raise ValueError(f"{len(images)} pictures and {len(labels)} labels")
    font, title_font = font_of(font_px), font_of(font_px * 5 // 4)
    line_px = font_px * 5 // 4
    columns = min(columns, len(images))
    width = gap_px + columns * (tile_px + gap_px)
    title_lines = wrap(title, width - 2 * gap_px, title_font)
    top = gap_px + len(title_lines) * (line_px * 5 // 4) + (gap_px if title_lines else 0)
    wrapped = [wrap(label, tile_px, font) for label in labels]
    rows = [range(first, min(first + columns, len(images))) for first in range(0, len(images), columns)]
    row_px = [tile_px + 4 + line_px * max(len(wrapped[i]) for i in row) + gap_px for row in rows]

    sheet = Image.new("RGB", (width, top + sum(row_px)), "white")
    draw = ImageDraw.Draw(sheet)
    for k, line in enumerate(title_lines):
        draw.text((gap_px, gap_px + k * (line_px * 5 // 4)), line, fill=_INK, font=title_font)
    for row, height in zip(rows, row_px, strict=True):
        for i in row:
            left = gap_px + (i - row.start) * (tile_px + gap_px)
            # A hairline, or a white object on white would float between its neighbours.
            draw.rectangle((left - 1, top - 1, left + tile_px, top + tile_px), outline=_HAIRLINE)
            sheet.paste(Image.fromarray(fit_tile(images[i], tile_px)), (left, top))
            for k, line in enumerate(wrapped[i]):
                x = left + (tile_px - font.getlength(line)) / 2
                draw.text((x, top + tile_px + 4 + k * line_px), line, fill=_INK, font=font)
        top += height
    return np.asarray(sheet)


def labelled_rows(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]], heads: Sequence[str], *, font_px: int = HEAD_PX // 2
) -> np.ndarray:
    """A table of equally sized pictures without gaps: a head over each column, a name before each row.

    Args:
      rows: (name, pictures [height, width, 3] uint8) of each row.
      heads: one text for each column.
      font_px: height of the texts.

    Returns:
      [height, width, 3] uint8.
    """
    font = font_of(font_px)
    height, width = rows[0][1][0].shape[:2]
    left = round(max(font.getlength(name) for name, _ in rows)) + font_px
    top = font_px * 2
    sheet = Image.new("RGB", (left + width * len(heads), top + height * len(rows)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        draw.text((left + (column + 0.5) * width, top / 2), head, fill=_INK, font=font, anchor="mm")
    for r, (name, images) in enumerate(rows):
        draw.text((left - font_px / 2, top + (r + 0.5) * height), name, fill=_INK, font=font, anchor="rm")
        for column, image in enumerate(images):
            sheet.paste(Image.fromarray(image), (left + column * width, top + r * height))
    return np.asarray(sheet)


def write_contact_sheet(
    path: str | os.PathLike[str], images: Sequence[np.ndarray], labels: Sequence[str], **options
) -> None:
    """Write `contact_sheet(images, labels, **options)` as a PNG, atomically.

    Args:
      path: final place, ending in `.png`.
      images: see `contact_sheet`.
      labels: see `contact_sheet`.
      **options: see `contact_sheet`.
    """
    save_png(path, contact_sheet(images, labels, **options))
