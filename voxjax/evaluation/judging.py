"""Showing finished objects to CLIPs: one run at a time, all judges one after another.

Notation. v views of a run, c captions, d embedding dimensions.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from voxjax.cameras import focal_px, near_far, orbit_pose
from voxjax.errors import UserError
from voxjax.evaluation.coherence import silhouette_coherence
from voxjax.evaluation.judge import EVAL_ELEVATION_DEG, normalise_prompt
from voxjax.evaluation.renders import COLOUR, OPACITY, SHAPE, Renders, render_size, to_judge
from voxjax.evaluation.silhouette import mask_of
from voxjax.guidance import Guidance, names
from voxjax.guidance.ensemble import GuideSpec, guide_specs
from voxjax.run import Run

OVERFIT = "same model: overfit"
"""What stands beside every figure of a judge that guided."""

# Silhouettes are compared at this size.
_MASK_PX = 64


@dataclass(frozen=True)
class Judge:
    """A CLIP that judges.

    Attributes:
      name: as typed.
      guidance: its image tower.
      texts: [c, d] unit embeddings of the captions.
    """

    name: str
    guidance: Guidance
    texts: jax.Array

    def cosines(self, pictures: np.ndarray, shown: str) -> np.ndarray:
        """Cosines [v, c] float64 of pictures [v, s, s, 3] uint8 with all captions.

        Raises:
          UserError: one is not finite; the message says what was `shown`.
        """
        images = jnp.asarray(to_judge(pictures, self.guidance.image_size))
        cosines = np.asarray(self._encode(self.guidance.params, images) @ self.texts.T, np.float64)
        if not np.isfinite(cosines).all():
            raise UserError(f"{shown}: the judge {self.name} returned a value that is not finite")
        return cosines

    @functools.cached_property
    def _encode(self):
        return jax.jit(self.guidance.encode)

    def guided(self, specs: Sequence[GuideSpec]) -> bool:
        """Whether this very model is among those that guided, by name or by folder."""
        mine = _folder(self.name, "")
        return any(
            (self.name == spec.model and not spec.path)
            or (mine is not None and mine == _folder(spec.model, spec.path))
            for spec in specs
        )


@functools.cache
def _folder(name: str, path: str) -> Path | None:
    """Where a model's files lie on this machine, None if nowhere."""
    try:
        folder = Path(path).expanduser() if path else names.find(name)[0]
    except UserError:
        return None
    return None if folder is None else folder.resolve()


@dataclass(frozen=True)
class Judged:
    """What is known of one run once every judge has seen it; its scene is let go.

    Attributes:
      workdir: its folder.
      config: its config.
      own: index of its caption.
      cosines: name of a judge -> [v, c].
      shape_cosines: the same for pictures without texture; empty if not asked for.
      coherence: [v] of its silhouettes (see `coherence`); None if not asked for.
    """

    workdir: Path
    config: ConfigDict
    own: int
    cosines: dict[str, np.ndarray]
    shape_cosines: dict[str, np.ndarray] = field(default_factory=dict)
    coherence: np.ndarray | None = None

    @property
    def guides(self) -> tuple[GuideSpec, ...]:
        """The models that guided it."""
        return guide_specs(self.config)

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.config.seed)


def judge_run(
    run: Run, prompts: Sequence[str], judges: Sequence[Judge], azimuths: Sequence[float], *, geometry: bool
) -> Judged:
    """Render what is not rendered yet, embed and compare.

    Args:
      run: whose prompt is among `prompts`.
      prompts: c normalised captions.
      judges: of these captions.
      azimuths: v angles in degrees.
      geometry: whether to look at the shape without its texture, too, and at the silhouettes.

    Raises:
      UserError: if a judge returns a value that is not finite.
    """
    renders = Renders(run)
    shown = str(run.workdir)

    def seen_by(judge: Judge, kind: str) -> np.ndarray:
        size = render_size(judge.guidance.image_size)
        return judge.cosines(renders.pictures(kind, azimuths, size), shown)

    return Judged(
        workdir=run.workdir,
        config=run.config,
        own=list(prompts).index(normalise_prompt(run.prompt)),
        cosines={judge.name: seen_by(judge, COLOUR) for judge in judges},
        shape_cosines={judge.name: seen_by(judge, SHAPE) for judge in judges} if geometry else {},
        coherence=_coherence(run, renders, azimuths, judges) if geometry and len(azimuths) > 1 else None,
    )


def _coherence(run: Run, renders: Renders, azimuths: Sequence[float], judges: Sequence[Judge]) -> np.ndarray:
    # The smallest size that some judge asks for: its opacities are there already.
    size = min(render_size(judge.guidance.image_size) for judge in judges)
    opacity = to_judge(renders.pictures(OPACITY, azimuths, size), _MASK_PX)[..., 0]
    radius = run.config.cameras.radius
    poses = np.stack([np.asarray(orbit_pose(azimuth, EVAL_ELEVATION_DEG, radius)) for azimuth in azimuths])
    near, far = near_far(radius)
    return silhouette_coherence(mask_of(opacity), poses, focal=focal_px(_MASK_PX), near=near, far=far)
