"""Curves with axes on white, as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from voxjax.pictures.contact_sheet import font_of

# Told apart also by the colour-blind (Okabe and Ito 2008), without its yellow, too pale for a line on white.
COLOURS = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (230, 159, 0),
    (0, 0, 0),
)
_INK, _GRID = (32, 32, 32), (225, 225, 225)
# Drawn so many times larger and averaged down.
_FINE = 2
_LEFT, _RIGHT, _TOP, _BOTTOM, _FONT = 74, 16, 34, 44, 13


@dataclass(frozen=True)
class Curve:
    """One line.

    Attributes:
      name: in the legend.
      x: [n].
      y: [n]; where it is not finite, or not above 0 on a logarithmic axis, the line has a gap.
    """

    name: str
    x: np.ndarray
    y: np.ndarray


def plot(
    curves: Sequence[Curve],
    *,
    title: str,
    x_label: str,
    log_y: bool = False,
    width_px: int = 640,
    height_px: int = 360,
) -> np.ndarray:
    """Draws curves over a common axis.

    Args:
      curves: at most as many as `COLOURS` are told apart.
      title: above.
      x_label: under the horizontal axis.
      log_y: whether the vertical axis is logarithmic.
      width_px: of the picture.
      height_px: of its plot with axes; the legend adds a line for each curve.

    Returns:
      [height, width, 3] uint8.
    """
    line_px = _FONT + 6
    height = height_px + line_px * len(curves)
    sheet = Image.new("RGB", (width_px * _FINE, height * _FINE), "white")
    draw, font = ImageDraw.Draw(sheet), font_of(_FONT * _FINE)
    box = (_LEFT, _TOP, width_px - _RIGHT, height_px - _BOTTOM)
    shown = [_kept(curve, log_y) for curve in curves]
    values = np.concatenate([y[np.isfinite(y)] for _, y in shown]) if shown else np.zeros(0)
    steps = np.concatenate([x for x, _ in shown]) if shown else np.zeros(0)
    if not values.size:
        values, steps = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    x_range, y_range = _range(steps), _range(values)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_range[0]) / (x_range[1] - x_range[0])
        up = (y - y_range[0]) / (y_range[1] - y_range[0])
        left, top, right, bottom = box
        return (left + across * (right - left)) * _FINE, (bottom - up * (bottom - top)) * _FINE

    for tick in _ticks(*x_range):
        x, y = place(tick, y_range[0])
        draw.line([(x, box[1] * _FINE), (x, y)], fill=_GRID, width=_FINE)
        draw.text((x, y + 6 * _FINE), f"{tick:g}", fill=_INK, font=font, anchor="mt")
    for tick in (_log_ticks if log_y else _ticks)(*y_range):
        x, y = place(x_range[0], tick)
        draw.line([(x, y), (box[2] * _FINE, y)], fill=_GRID, width=_FINE)
        draw.text((x - 6 * _FINE, y), f"{10**tick if log_y else tick:.3g}", fill=_INK, font=font, anchor="rm")
    for k, (x_values, y_values) in enumerate(shown):
        for part in _unbroken(x_values, y_values):
            points = [place(*point) for point in part]
            points = points if len(points) > 1 else [*points, *points]
            draw.line(points, fill=COLOURS[k % len(COLOURS)], width=2 * _FINE, joint="curve")
    draw.text((_LEFT * _FINE, 10 * _FINE), title, fill=_INK, font=font, anchor="lt")
    middle = (box[0] + box[2]) / 2
    draw.text((middle * _FINE, (height_px - 6) * _FINE), x_label, fill=_INK, font=font, anchor="mb")
    for k, curve in enumerate(curves):
        y = (height_px + (k + 0.5) * line_px) * _FINE
        draw.line(
            [(_LEFT * _FINE, y), ((_LEFT + 24) * _FINE, y)], fill=COLOURS[k % len(COLOURS)], width=3 * _FINE
        )
        draw.text(((_LEFT + 32) * _FINE, y), curve.name, fill=_INK, font=font, anchor="lm")
    return np.asarray(sheet.resize((width_px, height), Image.Resampling.BOX))


def _kept(curve: Curve, log_y: bool) -> tuple[np.ndarray, np.ndarray]:
    """(x, y as drawn), not a number where there is nothing to draw."""
    y = np.asarray(curve.y, np.float64)
    good = np.isfinite(y) & ((y > 0) if log_y else True)
    y = np.where(good, y, 1.0 if log_y else 0.0)
    return np.asarray(curve.x, np.float64), np.where(good, np.log10(y) if log_y else y, np.nan)


def _unbroken(x: np.ndarray, y: np.ndarray) -> list[list[tuple[float, float]]]:
    parts: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x, y, strict=True):
        if np.isfinite(b):
            parts[-1].append((float(a), float(b)))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers inside a range."""
    rough = (high - low) / 5
    base = 10.0 ** math.floor(math.log10(rough))
    step = next(base * k for k in (1, 2, 5, 10) if base * k >= rough * 0.999)
    return [k * step for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Logarithms of 1, 2 and 5 in each decade of a range of logarithms; of decades alone where it is wide."""
    factors = (1, 2, 5) if high - low < 3 else (1,)
    decades = range(math.floor(low), math.ceil(high) + 1)
    found = [decade + math.log10(factor) for decade in decades for factor in factors]
    return [tick for tick in found if low - 1e-9 <= tick <= high + 1e-9] or _ticks(low, high)
