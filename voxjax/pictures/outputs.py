"""The pictures of one object: what stands in the workdir under which name.

Everything here draws through a `RenderView`, a function of camera angles and picture size, so that it is the
same for every kind of field (`views` makes one from a scene).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from voxjax.pictures.contact_sheet import HEAD_PX, labelled_rows
from voxjax.pictures.images import colour_image, depth_image, depth_range, opacity_image, save_png
from voxjax.pictures.video import open_video
from voxjax.run_files import PICTURES
from voxjax.structs import Rendering

# (azimuth_deg, elevation_deg, size_px) -> Rendering [size_px, size_px] of NumPy arrays.
RenderView = Callable[[float, float, int], Rendering]

PREVIEW, EVALUATION, TURNTABLE, TURNTABLE_DEPTH = PICTURES


@dataclass(frozen=True)
class PictureOptions:
    """Sizes and angles of the pictures; the defaults are the reference's where it has one.

    Attributes:
      preview_px: side of one view in `preview.png`.
      eval_px: side of `eval.png`.
      turntable_px: side of the videos (reference: 512).
      n_preview: azimuths in `preview.png`.
      n_frames: frames of a turntable (reference: 40).
      fps: frames a second.
      elevation_deg: of the preview and the turntables (reference: 30).
      eval_azimuth_deg: of the evaluation view (reference: 30).
      eval_elevation_deg: of the evaluation view (reference: 45).
      fallback_range: (near, far) of the depth colours of an empty scene, scene units.
    """

    preview_px: int = 128
    eval_px: int = 512
    turntable_px: int = 512
    n_preview: int = 8
    n_frames: int = 40
    fps: float = 15.0
    elevation_deg: float = 30.0
    eval_azimuth_deg: float = 30.0
    eval_elevation_deg: float = 45.0
    fallback_range: tuple[float, float] = (4.0 - 3.0**0.5, 4.0 + 3.0**0.5)


def orbit_azimuths(n: int) -> np.ndarray:
    """`n` azimuths evenly around the circle, from 0.

    Args:
      n: at least 1.

    Returns:
      [n] degrees in [0, 360).
    """
    return np.arange(n) * (360.0 / n)


def write_preview(
    path: str | os.PathLike[str], render_view: RenderView, *, options: PictureOptions
) -> tuple[float, float]:
    """Eight views around the object, with a row each for colour on white, depth and opacity.

    Args:
      path: final place, ending in `.png`.
      render_view: what draws a view.
      options: sizes and angles.

    Returns:
      (near, far) of the depth colours, scene units, for pictures that should be comparable.
    """
    azimuths = orbit_azimuths(options.n_preview)
    views = [render_view(float(a), options.elevation_deg, options.preview_px) for a in azimuths]
    near, far = depth_range(views, fallback=options.fallback_range)
    rows = [
        ("colour", [colour_image(view) for view in views]),
        ("depth", [depth_image(view, near, far) for view in views]),
        ("opacity", [opacity_image(view) for view in views]),
    ]
    save_png(path, labelled_rows(rows, [f"{a:.0f}°" for a in azimuths]))
    return near, far


def read_first_view(path: str | os.PathLike[str]) -> np.ndarray:
    """The first colour picture of a preview.

    Args:
      path: what `write_preview` wrote, with three rows and the default number of azimuths.

    Returns:
      [width, width, 3] uint8.

    Raises:
      OSError: there is no such picture, or it is being replaced.
    """
    with Image.open(path) as file:
        sheet = np.asarray(file.convert("RGB"))
    height, width = sheet.shape[:2]
    side = (height - HEAD_PX) // 3
    left = max(0, width - side * PictureOptions.n_preview)
    return sheet[HEAD_PX : HEAD_PX + side, left : left + side]


def write_evaluation_view(
    path: str | os.PathLike[str], render_view: RenderView, *, options: PictureOptions
) -> None:
    """The view that the evaluation judges, on white.

    Args:
      path: final place, ending in `.png`.
      render_view: what draws a view.
      options: sizes and angles.
    """
    view = render_view(options.eval_azimuth_deg, options.eval_elevation_deg, options.eval_px)
    save_png(path, colour_image(view))


def write_turntables(
    colour_path: str | os.PathLike[str],
    depth_path: str | os.PathLike[str],
    render_view: RenderView,
    *,
    near: float,
    far: float,
    options: PictureOptions,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """One turn around the object, in colour and in depth; every frame is rendered once and then forgotten.

    Args:
      colour_path: final place of the colour video, ending in `.mp4`.
      depth_path: final place of the depth video, ending in `.mp4`.
      render_view: what draws a view.
      near: depth shown in yellow, scene units.
      far: depth shown in dark blue, scene units.
      options: sizes and angles.
      progress: called with (frames done, frames in all).

    Raises:
      UserError: if ffmpeg fails.
    """
    azimuths = orbit_azimuths(options.n_frames)
    with open_video(colour_path, fps=options.fps) as colour, open_video(depth_path, fps=options.fps) as depth:
        for done, azimuth in enumerate(azimuths, start=1):
            view = render_view(float(azimuth), options.elevation_deg, options.turntable_px)
            colour.add(colour_image(view))
            depth.add(depth_image(view, near, far))
            if progress is not None:
                progress(done, len(azimuths))


def write_pictures(
    workdir: str | os.PathLike[str],
    render_view: RenderView,
    *,
    options: PictureOptions,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """All pictures of a finished object.

    Args:
      workdir: folder that gets them.
      render_view: what draws a view.
      options: sizes and angles.
      progress: called with (frames done, frames in all) of the turntable.

    Returns:
      Paths of the files, in the order of writing.

    Raises:
      UserError: if ffmpeg fails.
    """
    folder = Path(workdir)
    paths = [folder / name for name in (PREVIEW, EVALUATION, TURNTABLE, TURNTABLE_DEPTH)]
    near, far = write_preview(paths[0], render_view, options=options)
    write_evaluation_view(paths[1], render_view, options=options)
    write_turntables(paths[2], paths[3], render_view, near=near, far=far, options=options, progress=progress)
    return paths
