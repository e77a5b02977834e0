"""The pictures of an item: objects side by side, mean gradients over the steps, an object through its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from voxjax.evaluation.course import read_metrics
from voxjax.evaluation.judge import EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG
from voxjax.evaluation.report_schedule import schedule_of
from voxjax.pictures.contact_sheet import contact_sheet, font_of, labelled_rows
from voxjax.pictures.images import colour_image, save_png
from voxjax.pictures.outputs import EVALUATION
from voxjax.pictures.plots import Curve, plot
from voxjax.pictures.views import view_of
from voxjax.reproduction.items import COURSE, GRADIENTS, SIDE_BY_SIDE
from voxjax.reproduction.runs import Job
from voxjax.run import kept_steps, load_run

_TILE_PX, _COURSE_PX = 192, 128
# Of one object alone, so many variants stand beside each other.
_COLUMNS = 5
_METRICS = {"density": "gradient/mean_density", "colour": "gradient/mean_colour"}
_BAR_PX, _FONT_PX = 20, 12
_BARS = {"kl": ((128, 72, 192), "KL"), "tv": ((35, 122, 75), "TV")}
_INK = (32, 32, 32)


def draw(kinds: Sequence[str], jobs: Sequence[Job], folder: Path) -> list[str]:
    """Draws what can be drawn of the runs that are done.

    Args:
      kinds: names such as `SIDE_BY_SIDE`.
      jobs: of an item, variant by variant.
      folder: that gets the pictures.

    Returns:
      Names of the files written.
    """
    done = [job for job in jobs if job.done]
    written = []
    for kind in kinds if done else ():
        name = f"{kind}.png"
        save_png(folder / name, _DRAWERS[kind](done))
        written.append(name)
    return written


def side_by_side(jobs: Sequence[Job]) -> np.ndarray:
    """Evaluation views: a row for each variant, a column for each prompt and seed; white where none is.

    One prompt with one seed would be a column only: its variants follow one another instead.

    Args:
      jobs: runs that are done.

    Returns:
      [height, width, 3] uint8.
    """
    objects = list(dict.fromkeys((job.prompt, job.seed) for job in jobs))
    variants = list(dict.fromkeys(job.variant.name for job in jobs))
    made = {(job.variant.name, job.prompt, job.seed): job.workdir / EVALUATION for job in jobs}
    pictures, labels = [], []
    for variant in variants:
        for prompt, seed in objects:
            path = made.get((variant, prompt, seed))
            pictures.append(_read(path) if path else np.full((8, 8, 3), 255, np.uint8))
            number = f", seed {seed}" if any(each for _, each in objects) else ""
            labels.append(f"{variant}\n{prompt}{number}")
    columns = len(objects) if len(objects) > 1 else _COLUMNS
    return contact_sheet(pictures, labels, columns=columns, tile_px=_TILE_PX)


def _read(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def mean_gradients(jobs: Sequence[Job]) -> dict[str, list[Curve]]:
    """Mean size of the gradients of density and colour over the steps, a curve for each variant.

    Args:
      jobs: runs that are done, with `log.field_gradients`.

    Returns:
      "density" and "colour" -> curves, each the mean over the variant's runs at the steps that all of them
      told.
    """
    curves: dict[str, list[Curve]] = {}
    for name, metric in _METRICS.items():
        curves[name] = []
        for variant in dict.fromkeys(job.variant.name for job in jobs):
            told = [
                {
                    line["step"]: line[metric]
                    for line in read_metrics(job.workdir)
                    if line.get(metric) is not None
                }
                for job in jobs
                if job.variant.name == variant
            ]
            steps = sorted(set.intersection(*(set(each) for each in told)))
            means = [float(np.mean([each[step] for each in told])) for step in steps]
            curves[name].append(Curve(variant, np.array(steps), np.array(means)))
    return curves


def _plot_gradients(jobs: Sequence[Job]) -> np.ndarray:
    panels = [
        plot(curves, title=f"mean gradient of {name}", x_label="step", log_y=True)
        for name, curves in mean_gradients(jobs).items()
    ]
    return np.concatenate(panels, axis=0)


def course(jobs: Sequence[Job]) -> np.ndarray:
    """Every kept checkpoint of the first run of each variant, the windows of KL and TV drawn under them.

    Args:
      jobs: runs that are done.

    Returns:
      [height, width, 3] uint8.
    """
    first = {job.variant.name: job for job in reversed(jobs)}
    rows = [_course_of(first[name]) for name in dict.fromkeys(job.variant.name for job in jobs)]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded, axis=0)


def _course_of(job: Job) -> np.ndarray:
    steps = kept_steps(job.workdir)
    pictures = []
    for step in steps:
        view = view_of(load_run(job.workdir, step=step))
        pictures.append(colour_image(view(EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG, _COURSE_PX)))
    top = labelled_rows([(job.variant.name, pictures)], [f"step {step}" for step in steps])
    left = top.shape[1] - _COURSE_PX * len(steps)
    bars = _windows(job, lambda step: left + _place(step, steps) * _COURSE_PX, top.shape[1], left)
    return np.concatenate([top, bars], axis=0)


def _place(step: float, steps: Sequence[int]) -> float:
    """Where a step lies among columns whose middles are the steps shown, in columns from the left."""
    return float(np.interp(step, [0, *steps], [0, *(np.arange(len(steps)) + 0.5)]))


def _windows(job: Job, x_of: Callable[[float], float], width: int, left: int) -> np.ndarray:
    """Bars from the first to the last step of each window, [height, width, 3]."""
    spans = [span for span in schedule_of(job.config).spans if span.kind in _BARS]
    strip = Image.new("RGB", (width, _BAR_PX * max(1, len(spans)) + 12), "white")
    draw, font = ImageDraw.Draw(strip), font_of(_FONT_PX)
    for k, span in enumerate(spans):
        colour, name = _BARS[span.kind]
        y = k * _BAR_PX + 4
        # The last picture is the end of the run.
        end = width if span.end >= job.config.steps else x_of(span.end)
        draw.rectangle((x_of(span.start), y, max(end - 1, x_of(span.start)), y + _BAR_PX - 8), fill=colour)
        draw.text((left - 6, y + (_BAR_PX - 8) / 2), name, fill=_INK, font=font, anchor="rm")
    return np.asarray(strip)


_DRAWERS: dict[str, Callable[[Sequence[Job]], np.ndarray]] = {
    SIDE_BY_SIDE: side_by_side,
    GRADIENTS: _plot_gradients,
    COURSE: course,
}
