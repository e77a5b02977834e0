"""What every guidance model looks like to the rest of the program, whatever it is made of.

Notation: n images, s pixels a side, d embedding dimensions, p prompts. Images are `[n, s, s, 3]`, row 0 at
the top, red-green-blue in [0, 1]. Embeddings have unit length, so that a cosine is a dot product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from flax import struct

Array = jax.Array


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
