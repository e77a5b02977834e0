"""What every guidance model looks like to the rest of the program, whatever it is made of.

Notation: n images, s pixels a side, d embedding dimensions, p prompts. Images are `[n, s, s, 3]`, row 0 at
the top, red-green-blue in [0, 1]. Embeddings have unit length, so that a cosine is a dot product.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from flax import struct

from voxjax.errors import UserError

Array = jax.Array
Key = tuple[str, ...]

# OpenAI's CLIP, used where the folder of a checkpoint says nothing of its normalisation.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_SD = (0.26862954, 0.26130258, 0.27577711)

MALFORMED = (TypeError, ValueError, KeyError, AttributeError, ArithmeticError)
"""What may be raised where a config of the right kind was expected and another thing lies there."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model as its folder describes it, before a weight is read; what the layouts have in common.

    Attributes:
      image_tower: Flax module, `normalised images [n, s, s, 3] -> features [n, d], patches`.
      text_tower: Flax module, `token ids [p, l], positions of the end tokens [p] -> features [p, d]`.
      image_size: s.
      embedding_size: d.
      max_tokens: l, start and end tokens included.
      eos_token_id: as `tokens.tokenise` takes it.
      mean: of red, green and blue, which the image tower wants subtracted.
      sd: of red, green and blue, by which it wants the rest divided.
      read: `shape of every parameter of both towers -> arrays under the same keys`; raises UserError where
        the weights do not fit.
    """

    image_tower: Any
    text_tower: Any
    image_size: int
    embedding_size: int
    max_tokens: int
    eos_token_id: int
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    read: Callable[[Mapping[Key, tuple[int, ...]]], dict[Key, np.ndarray]]


@struct.dataclass
class Guidance:
    """An image tower: images in, unit embeddings out.

    Hand `params` to a jitted step as an argument; a captured constant would be compiled into the program.

    Attributes:
      params: parameters of the image tower and its projection, matrices in the compute type.
      name: the name it was asked for by.
      image_size: side of the images that `encode` takes, pixels.
      embedding_size: d.
      encode: `(params, images [n, s, s, 3] in [0, 1]) -> [n, d] float32 of unit length`. Normalises the
        pixels itself; its gradient reaches the images only, never the parameters.
    """

    params: Any
    name: str = struct.field(pytree_node=False)
    image_size: int = struct.field(pytree_node=False)
    embedding_size: int = struct.field(pytree_node=False)
    encode: Callable[[Any, Array], Array] = struct.field(pytree_node=False)


def pixel_statistics(
    settings: Mapping[str, Any], mean: str, sd: str, *, source: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of red, green and blue that an image tower wants.

    Args:
      settings: what a file says of the pixels; OpenAI's numbers stand in for what it leaves out.
      mean: key of the means.
      sd: key of the standard deviations.
      source: the file's name, for messages.

    Raises:
      UserError: not three finite numbers each, or a standard deviation that is not above 0.
    """
    try:
        means, sds = (
            tuple(float(value) for value in settings.get(key, usual))
            for key, usual in ((mean, CLIP_MEAN), (sd, CLIP_SD))
        )
        if len(means) != 3 or len(sds) != 3 or not all(map(math.isfinite, means + sds)) or min(sds) <= 0:
            raise ValueError(f"{means} and {sds}")
    except MALFORMED as error:
        raise UserError(
            f"{source}: {mean} and {sd} must be three numbers each, the latter above 0 ({error})"
        ) from error
    return means, sds
