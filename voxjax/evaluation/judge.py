"""Showing finished objects to a CLIP: captions, views, embeddings, scores.

Notation. r runs, v views of each, c captions, d embedding dimensions. Pictures are on white, from the
evaluation view (azimuth 30 degrees, elevation 45, radius as trained) and from even turns of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.errors import UserError
from voxjax.evaluation.scores import Scores, retrieval_scores
from voxjax.guidance import Guidance
from voxjax.pictures.images import colour_image
from voxjax.pictures.outputs import RenderView
from voxjax.pictures.views import view_of
from voxjax.run import Run

EVAL_AZIMUTH_DEG = 30.0
EVAL_ELEVATION_DEG = 45.0
# Pictures are drawn this many times larger than the judge reads them and averaged down: no jagged edges.
_OVERSAMPLING = 2


def normalise_prompt(text: str) -> str:
    """The form in which captions are compared and judged (that of Dream Fields' caption file).

    Args:
      text: a caption.

    Returns:
      Lower case, no blanks, dots and commas at either end, one dot added.
    """
    return text.lower().strip(" \t\r\n.,") + "."


def read_prompts(path: str | Path) -> list[str]:
    """Read captions, one a line; blank lines are passed over.

    Args:
      path: a UTF-8 text file.

    Returns:
      Normalised captions, in the order of the file.

    Raises:
      UserError: the file cannot be read, holds no caption, or one twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--prompts={path}: cannot read it ({error})") from error
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip(" \t.,"):
            continue
        prompt = normalise_prompt(line)
        if prompt in first_line:
            # It could never be told from its twin: the ranks of both would count a tie against them.
            raise UserError(
                f"--prompts={path}: line {number} repeats line {first_line[prompt]}, {prompt!r}; take one out"
            )
        first_line[prompt] = number
    prompts = list(first_line)
    if not prompts:
        raise UserError(f"--prompts={path}: no caption in it; write one a line")
    return prompts


def eval_azimuths(n: int) -> list[float]:
    """The evaluation view's azimuth and even turns of it.

    Args:
      n: number of views, at least 1.

    Returns:
      [n] degrees, the first is 30.
    """
    return [(EVAL_AZIMUTH_DEG + 360.0 * k / n) % 360.0 for k in range(n)]


def judge_images(render_view: RenderView, azimuths: Sequence[float], size_px: int) -> np.ndarray:
    """What the judge is shown of one object: eight-bit pictures on white, averaged down.

    Args:
      render_view: draws the object.
      azimuths: v angles in degrees.
      size_px: the judge's resolution.

    Returns:
      [v, size_px, size_px, 3] float32 in [0, 1].
    """
    large = size_px * _OVERSAMPLING
    views = [colour_image(render_view(float(a), EVAL_ELEVATION_DEG, large)) for a in azimuths]
    blocks = np.stack(views).reshape(len(views), size_px, _OVERSAMPLING, size_px, _OVERSAMPLING, 3)
    return (blocks.mean(axis=(2, 4)) / 255.0).astype(np.float32)


def judge_runs(
    runs: Sequence[Run],
    prompts: Sequence[str],
    guidance: Guidance,
    texts: jax.Array,
    azimuths: Sequence[float],
) -> Scores:
    """Render, embed and rank.

    Args:
      runs: r runs whose prompts are among `prompts`.
      prompts: c normalised captions.
      guidance: the judge.
      texts: [c, d] unit embeddings of the captions.
      azimuths: v angles in degrees.

    Returns:
      Scores of r runs, v views, c captions.

    Raises:
      UserError: if the judge returns a value that is not finite.
    """
    own = np.array([list(prompts).index(normalise_prompt(run.prompt)) for run in runs])
    encode = jax.jit(guidance.encode)
    cosines = []
    for run in runs:
        images = jnp.asarray(judge_images(view_of(run), azimuths, guidance.image_size))
        cosines.append(np.asarray(encode(guidance.params, images) @ texts.T, np.float64))
        if not np.isfinite(cosines[-1]).all():
            raise UserError(f"{run.workdir}: the judge {guidance.name} returned a value that is not finite")
    return retrieval_scores(np.stack(cosines), own)
