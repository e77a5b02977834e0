"""What an optimisation step is made of: the rooms that the data passes, and what it is given.

Notation: v views, h x w pixels, n augmented images of one step on one device, d embedding dimensions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import optax
from flax import struct

from voxjax.schedules import Schedule
from voxjax.structs import Array, Rendering
from voxjax.training.sharing import Share

Metrics = dict[str, Array]


@struct.dataclass
class Inputs:
    """What every step is given, besides the state.

    Attributes:
      key: base key of the run.
      clip_params: parameters of each guidance model.
      text: per model, what the images are to be like [b, d] for each kind of view (see `prompts`); b is 1
        where they are all one.
      negatives: per model, unit embeddings [m, d] of the captions to keep away from; [0, d] without any.
    """

    key: Array
    clip_params: tuple[Any, ...]
    text: tuple[Array, ...]
    negatives: tuple[Array, ...]


@dataclasses.dataclass(frozen=True)
class Guide:
    """One guidance model as the step sees it.

    Attributes:
      name: of its term of the loss.
      encode: `(params, images [n, s, s, 3]) -> [n, d]`.
      image_size: s.
      contrastive_scale: factor on the cosines in the softmax against the negatives; None for plain cosine.
      micro_batch: images seen at a time, a divisor of n, the rest after it and all of them once more in the
        backward pass; None for all at once.
    """

    name: str
    encode: Callable[[Any, Array], Array]
    image_size: int
    contrastive_scale: float | None = None
    micro_batch: int | None = None


@dataclasses.dataclass(frozen=True)
class Parts:
    """The rooms that the data passes, and the numbers of the loss.

    Attributes:
      bake: `(params, tracked) -> scene`.
      render: `(key, scene) -> (Rendering [v, h, w] with its centroid, kind of view [v])` from freshly drawn
        cameras; the kind says which target an image has.
      augment: `(key, colour [v, h, w, 3], transmittance [v, h, w]) -> images [n, h', w', 3]` in [0, 1], or
        with `share` the block of them that is this device's.
      resize: `(images, size) -> images [n, size, size, 3]`.
      guides: the models that guide this step.
      weights: schedule of the weight of each term: those of `guides`, "transmittance", "entropy", those that
        `regularise` gives, and "tv" where `tv_scale` is not None.
      tau: schedule of the transmittance target.
      regularise: `scene -> (terms, metrics)`, what the loss says about the scene itself: "kl" and, where
        `tv_scale` is None, "tv". Nothing for fields without a grid.
      tv_scale: factor on the weight of the total variation of an explicit grid (its size, number of rays),
        which acts where the other terms do; None for other fields.
      track: `(tracked, centroid [3]) -> tracked` after the step; the centroid is the mean of all devices'.
      optimiser: of the parameters.
      rate: number of updates -> rate of the density, for the log.
      field_gradients: whether the metrics hold the mean size of the gradient on the vertices of an explicit
        grid.
      max_bad_steps: non-finite steps in a row after which the state stays as it is.
      n_images: n, of one step.
      share: how devices share the work of one step; None where there is one device, or each has views of its
        own.
    """

    bake: Callable[[Any, Any], Any]
    render: Callable[[Array, Any], tuple[Rendering, Array]]
    augment: Callable[[Array, Array, Array], Array]
    resize: Callable[[Array, int], Array]
    guides: tuple[Guide, ...]
    weights: Mapping[str, Schedule]
    tau: Schedule
    regularise: Callable[[Any], tuple[dict[str, Array], Metrics]]
    tv_scale: float | None
    track: Callable[[Any, Array | None], Any]
    optimiser: optax.GradientTransformation
    rate: Schedule
    max_bad_steps: int
    n_images: int
    field_gradients: bool = False
    share: Share | None = None
