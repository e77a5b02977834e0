"""How the cost of a step grows with grid, image and number of images: curves with their exponents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from voxjax.pictures.plots import Curve, plot

BASE = {"field.side": 96, "cameras.width_px": 96, "augment.n_diff": 4, "augment.n_back": 4}
"""What stays while one of them grows, under the small CLIP, whose own cost is next to nothing."""


@dataclass(frozen=True)
class Axis:
    """One size that grows.

    Attributes:
      name: for the table.
      values: of it.
      settings: value -> keys of the config.
    """

    name: str
    values: tuple[int, ...]
    settings: Callable[[int], Mapping[str, int]]


AXES = (
    Axis("side of the grid", (48, 80, 112, 160), lambda n: {"field.side": n}),
    Axis("width of the image, px", (48, 96, 160, 224), lambda n: {"cameras.width_px": n}),
    Axis("images", (8, 16, 32, 64), lambda n: {"augment.n_diff": n // 4, "augment.n_back": 4}),
)


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of a straight line through times over sizes, both logarithmic, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(times), 1)[0])


def picture(name: str, sizes: Sequence[int], times: Sequence[float]) -> np.ndarray:
    """One curve as [h, w, 3] uint8, its exponent in the heading."""
    curve = Curve("ms a step", np.asarray(sizes, float), np.asarray(times, float))
    title = f"one step over {name}: exponent {exponent(sizes, times):.2f}"
    return plot([curve], title=title, x_label=name, log_y=True)
