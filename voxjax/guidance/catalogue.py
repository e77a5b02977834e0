"""What is known of every CLIP that has a name, before a byte of it is fetched.

Parameters are counted from the shapes of the towers that load them, as their published architectures give
them: nothing is built, nothing downloaded. Takes seconds to import, as `hf.py` does.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp

from voxjax.guidance import loading, names, openclip
from voxjax.guidance.base import Key

Shapes = dict[Key, tuple[int, ...]]

_TEXT_LAYERS, _MAX_TOKENS, _VOCABULARY, _TEXT_HEAD_WIDTH = 12, 77, 49408, 64


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What the sizes of a published CLIP depend on; all have text towers of 12 layers and heads of 64.

    Attributes:
      image_size: pixels a side.
      embedding_size: of image and text.
      layers: of the ViT; or blocks of each stage of the ResNet.
      width: of the ViT; or channels behind the stem of the ResNet.
      text_width: of the text tower.
      patch_size: of the ViT, pixels.
    """

    image_size: int
    embedding_size: int
    layers: int | tuple[int, int, int, int]
    width: int
    text_width: int
    patch_size: int | None = None

    def model_cfg(self, depth: int | None = None) -> dict[str, Any]:
        """As an open_clip_config.json describes it; with no more than `depth` layers, if given, in a row."""
        layers = self.layers if isinstance(self.layers, int) else list(self.layers)
        text_layers = _TEXT_LAYERS
        if depth is not None:
            text_layers = min(text_layers, depth)
            layers = min(layers, depth) if isinstance(layers, int) else [min(n, depth) for n in layers]
        return {
            "embed_dim": self.embedding_size,
            "vision_cfg": {
                "image_size": self.image_size,
                "layers": layers,
                "width": self.width,
                "patch_size": self.patch_size,
            },
            "text_cfg": {
                "context_length": _MAX_TOKENS,
                "vocab_size": _VOCABULARY,
                "width": self.text_width,
                "heads": self.text_width // _TEXT_HEAD_WIDTH,
                "layers": text_layers,
            },
        }


# Radford et al. 2021, tables 19 and 20; Cherti et al. 2023 for those of OpenCLIP. OpenCLIP's activation and
# weights differ from OpenAI's, its sizes do not.
_VIT_B_32 = Architecture(224, 512, 12, 768, 512, patch_size=32)
_VIT_B_16 = Architecture(224, 512, 12, 768, 512, patch_size=16)
_VIT_L_14 = Architecture(224, 768, 24, 1024, 768, patch_size=14)
ARCHITECTURES = {
    "ViT-B/32": _VIT_B_32,
    "ViT-B/16": _VIT_B_16,
    "ViT-L/14": _VIT_L_14,
    "ViT-L/14@336px": dataclasses.replace(_VIT_L_14, image_size=336),
    "RN50": Architecture(224, 1024, (3, 4, 6, 3), 64, 512),
    "RN101": Architecture(224, 512, (3, 4, 23, 3), 64, 512),
    "RN50x4": Architecture(288, 640, (4, 6, 10, 6), 80, 640),
    "RN50x16": Architecture(384, 768, (6, 8, 18, 8), 96, 768),
    "ViT-B-32:laion2b": _VIT_B_32,
    "ViT-B-16:laion2b": _VIT_B_16,
    "ViT-L-14:laion2b": _VIT_L_14,
    "ViT-B-16-plus-240:laion400m": Architecture(240, 640, 12, 896, 640, patch_size=16),
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A row of the list.

    Attributes:
      name: by which `load_guidance` takes it.
      image_parameters: of the image tower.
      parameters: of both towers, and the scale of the logits.
      image_size: pixels a side.
      embedding_size: of image and text.
      memory_bytes: of the image tower as it is kept for guidance.
      disk_bytes: of the weights' files; of what is not here, what float32 takes.
      place: `shipped`, `in the cache`, `in part` or `to fetch`.
    """

    name: str
    image_parameters: int
    parameters: int
    image_size: int
    embedding_size: int
    memory_bytes: int
    disk_bytes: int
    place: str


def entries(dtype: Any) -> list[Entry]:
    """Every model that has a name, the shipped ones first; no network is touched.

    Args:
      dtype: compute type of the image towers.
    """
    return [_shipped(name, dtype) for name in names.SHIPPED] + [
        _of_hub(name, dtype) for name in names.HUB_NAMES
    ]


def _shipped(name: str, dtype: Any) -> Entry:
    folder = names.locate(name)
    checkpoint = loading.describe(folder, dtype)
    image, text = loading.tower_shapes(checkpoint)
    sizes = checkpoint.image_size, checkpoint.embedding_size
    return _entry(name, image, text, sizes, dtype, disk_bytes=_weight_bytes(folder), place="shipped")


def _of_hub(name: str, dtype: Any) -> Entry:
    architecture = ARCHITECTURES[name]
    image, text = published_shapes(architecture)
    folder, missing = names.find(name)
    place = "to fetch" if folder is None else "in part" if missing else "in the cache"
    whole = folder is not None and not missing
    disk_bytes = _weight_bytes(folder) if whole and folder else 4 * count({**image, **text})
    sizes = architecture.image_size, architecture.embedding_size
    return _entry(name, image, text, sizes, dtype, disk_bytes=disk_bytes, place=place)


def _entry(
    name: str, image: Shapes, text: Shapes, sizes: tuple[int, int], dtype: Any, *, disk_bytes: int, place: str
) -> Entry:
    stored = {key: jnp.dtype(loading.stored_type(key, dtype)).itemsize for key in image}
    return Entry(
        name=name,
        image_parameters=count(image),
        parameters=count({**image, **text, loading.LOGIT_SCALE: ()}),
        image_size=sizes[0],
        embedding_size=sizes[1],
        memory_bytes=sum(stored[key] * math.prod(shape) for key, shape in image.items()),
        disk_bytes=disk_bytes,
        place=place,
    )


def count(shapes: Shapes) -> int:
    """Numbers in all arrays of these shapes."""
    return sum(math.prod(shape) for shape in shapes.values())


def _weight_bytes(folder: Path) -> int:
    files = names.weight_files(names.files_of(folder))
    return sum((folder / file).stat().st_size for file in files)


@functools.cache
def published_shapes(architecture: Architecture) -> tuple[Shapes, Shapes]:
    """Shape of every parameter of image tower and text tower.

    Tracing a tower takes time by its depth. All layers but the first of a row have the same shapes, so a
    tower of two is traced and its second one repeated.
    """
    model, shallow = architecture.model_cfg(), architecture.model_cfg(depth=2)
    image_tower, _ = openclip.towers(shallow, jnp.float32, source=Path("a published architecture"))
    image = loading.image_tower_shapes(image_tower, architecture.image_size)
    layers = model["vision_cfg"]["layers"]
    if isinstance(layers, int):
        image = _repeat(image, ("vision_model", "encoder", "layers"), layers)
    else:
        for i, blocks in enumerate(layers, start=1):
            image = _repeat(image, (f"layer{i}",), blocks)
    return image, _text_shapes(architecture.text_width, architecture.embedding_size)


@functools.cache
def _text_shapes(width: int, embedding_size: int) -> Shapes:
    # What the image tower is does not matter to the text tower.
    model = Architecture(32, embedding_size, 1, 64, width, patch_size=32).model_cfg(depth=2)
    _, tower = openclip.towers(model, jnp.float32, source=Path("a published architecture"))
    shapes = loading.text_tower_shapes(tower, _MAX_TOKENS)
    return _repeat(shapes, ("text_model", "encoder", "layers"), _TEXT_LAYERS)


def _repeat(shapes: Shapes, row: Key, n: int) -> Shapes:
    """The shapes with layers `2` to `n - 1` of a row like its layer `1`."""
    second = {key: shape for key, shape in shapes.items() if key[: len(row) + 1] == (*row, "1")}
    rest = {(*row, str(i), *key[len(row) + 1 :]): shape for i in range(2, n) for key, shape in second.items()}
    return {**shapes, **rest}
