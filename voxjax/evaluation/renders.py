"""The pictures that judges are shown, kept beside the run: a second judge renders nothing.

They lie in `<workdir>/renders/<step>-<key>/`, the key a digest of checkpoint and config, so that a run that
was trained on, or anew, is rendered again. Judges of like resolution share one size of picture, and each
averages it down to its own (`to_judge`): no jagged edges.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from voxjax.checkpoint import Checkpoints
from voxjax.evaluation.judge import EVAL_ELEVATION_DEG
from voxjax.pictures.images import colour_image, opacity_image, save_png
from voxjax.pictures.outputs import RenderView
from voxjax.pictures.views import view_of
from voxjax.run import CHECKPOINTS, CONFIG, Run

FOLDER = "renders"
# Raised when other pictures would come out of the same checkpoint.
_VERSION = 1
# The small CLIPs (48 to 72 px) read the first, all that take 224 to 288 px the second.
_SIZES_PX = (144, 448, 896)
_LEAST_OVERSAMPLING = 1.5
COLOUR, OPACITY, SHAPE = "colour", "opacity", "shape"


def render_size(judge_px: int) -> int:
    """The side of the pictures for a judge: at least one and a half times its own, px.

    Args:
      judge_px: the judge's resolution.
    """
    fitting = [size for size in _SIZES_PX if size >= _LEAST_OVERSAMPLING * judge_px]
    return fitting[0] if fitting else 2 * judge_px


def to_judge(pictures: np.ndarray, judge_px: int) -> np.ndarray:
    """Pictures averaged down by area, every pixel weighted with its share of the larger one.

    Args:
      pictures: [v, s, s, 3] uint8.
      judge_px: wanted side, at most s.

    Returns:
      [v, judge_px, judge_px, 3] float32 in [0, 1].
    """
    side = pictures.shape[1]
    edges = np.arange(judge_px + 1) * side / judge_px
    starts = np.arange(side)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    share = np.maximum(overlap, 0.0) * judge_px / side
    return np.einsum("ih,jw,vhwc->vijc", share, share, pictures / 255.0, optimize=True).astype(np.float32)


class Renders:
    """The pictures of one run.

    Args:
      run: opened.
    """

    def __init__(self, run: Run):
        self._run = run
        self._folder = run.workdir / FOLDER / f"{run.step}-{_key(run)}"
        self._writable = True
        self._views: dict[bool, RenderView] = {}

    def pictures(self, kind: str, azimuths: Sequence[float], size_px: int) -> np.ndarray:
        """Eight-bit views from the evaluation's elevation, read where they lie and rendered where not.

        Args:
          kind: COLOUR on white, OPACITY in grey, or SHAPE, the object without texture on white.
          azimuths: v angles, degrees.
          size_px: their side.

        Returns:
          [v, size_px, size_px, 3] uint8.
        """
        return np.stack([self._one(kind, float(azimuth), size_px) for azimuth in azimuths])

    def _one(self, kind: str, azimuth_deg: float, size_px: int) -> np.ndarray:
        found = _read(self._path(kind, azimuth_deg, size_px), size_px)
        if found is not None:
            return found
        textured = kind != SHAPE
        if textured not in self._views:
            self._views[textured] = view_of(self._run, textured=textured)
        view = self._views[textured](azimuth_deg, EVAL_ELEVATION_DEG, size_px)
        drawn = {kind: colour_image(view)}
        if textured:  # one rendering gives both
            drawn = {COLOUR: colour_image(view), OPACITY: opacity_image(view)}
        for name, image in drawn.items():
            self._keep(self._path(name, azimuth_deg, size_px), image)
        return drawn[kind]

    def _path(self, kind: str, azimuth_deg: float, size_px: int) -> Path:
        return self._folder / f"{azimuth_deg:g}-{EVAL_ELEVATION_DEG:g}-{size_px}px-{kind}.png"

    def _keep(self, path: Path, image: np.ndarray) -> None:
        """Writes a picture; a run in a place that takes no files is judged all the same."""
        if not self._writable:
            return
        try:
            save_png(path, image)
        except OSError as error:
            self._writable = False
            print(
                f"voxjax: {self._run.workdir}: its renders are not kept ({error.strerror})", file=sys.stderr
            )


def _key(run: Run) -> str:
    """A digest of what the pictures depend on, checkpoint and config."""
    checkpoint = Checkpoints(run.workdir / CHECKPOINTS).fingerprint(run.step)
    digest = hashlib.sha256(f"{_VERSION} {checkpoint} ".encode())
    digest.update((run.workdir / CONFIG).read_bytes())
    return digest.hexdigest()[:12]


def _read(path: Path, size_px: int) -> np.ndarray | None:
    """[size_px, size_px, 3] uint8, None where there is no such picture, or a damaged one."""
    try:
        with Image.open(path) as file:
            image = np.asarray(file.convert("RGB"))
    except (OSError, SyntaxError, ValueError):  # Pillow's words for a damaged PNG
        return None
    return image if image.shape == (size_px, size_px, 3) else None
