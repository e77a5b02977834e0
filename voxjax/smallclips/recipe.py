"""How a small CLIP is built and trained: sizes, phases, and the config files that describe the result."""

from __future__ import annotations

import dataclasses
from typing import Any

from voxjax.guidance.resnet import HEAD_WIDTH


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of training with an optimiser of its own; it starts from the averaged weights of the last.

    Attributes:
      steps: parameter updates.
      learning_rate: at its peak.
      adversarial_radius: largest shift of an image along its gradient, L2 norm over the image; 0 for none.
      adversarial_from: share of the steps before images are shifted.
      adversarial_share: of the images of a shifted pass that really are.
      clutter: how much of it an image gets, 0 to 1; None lets it rise from 0 to 1 in the beginning.
      dense: whether the dense head helps.
    """

    steps: int
    learning_rate: float
    adversarial_radius: float = 0.0
    adversarial_from: float = 0.3
    adversarial_share: float = 0.8
    clutter: float | None = None
    dense: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one model is built and trained.

    Attributes:
      name: of the model and its folder.
      image_size: pixels a side.
      width: channels of the ViT; or behind the stem of the ResNet.
      layers: of the ViT; or blocks of each of the four stages of a ResNet.
      text_width: channels of the text tower; text_layers: its depth; text_length: its tokens at most.
      seed: of everything drawn.
      phases: of training, in order.
      patch_size: of the ViT, pixels; None for a ResNet.
      heads: of the ViT.
      projection: dimensions of the embeddings.
    """

    name: str
    image_size: int
    width: int
    layers: int | tuple[int, int, int, int]
    text_width: int
    text_length: int
    seed: int
    phases: tuple[Phase, ...]
    patch_size: int | None = None
    heads: int = 4
    projection: int = 128
    text_layers: int = 2

    @property
    def is_resnet(self) -> bool:
        """Whether the image tower is a ResNet, and the layout on disk that of open_clip."""
        return not isinstance(self.layers, int)


TEXT_HEADS = 4


def clip_config(recipe: Recipe, vocabulary: tuple[int, int, int]) -> dict[str, Any]:
    """The `config.json` of a transformers CLIP checkpoint; `vocabulary` = (size, begin id, end id)."""
    size, begin, end = vocabulary
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": recipe.projection,
        "text_config": {
            "model_type": "clip_text_model",
            "hidden_size": recipe.text_width,
            "intermediate_size": 4 * recipe.text_width,
            "num_hidden_layers": recipe.text_layers,
            "num_attention_heads": TEXT_HEADS,
            "max_position_embeddings": recipe.text_length,
            "vocab_size": size,
            "bos_token_id": begin,
            "eos_token_id": end,
            "pad_token_id": end,
            "hidden_act": "quick_gelu",
            "projection_dim": recipe.projection,
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": recipe.width,
            "intermediate_size": 4 * recipe.width,
            "num_hidden_layers": recipe.layers,
            "num_attention_heads": recipe.heads,
            "image_size": recipe.image_size,
            "patch_size": recipe.patch_size,
            "hidden_act": "quick_gelu",
            "projection_dim": recipe.projection,
        },
    }


def open_clip_config(recipe: Recipe, vocabulary: tuple[int, int, int]) -> dict[str, Any]:
    """The `open_clip_config.json` of a ResNet; `vocabulary` as above, its end id the highest there is."""
    assert not isinstance(recipe.layers, int)
    return {
        "model_cfg": {
            "embed_dim": recipe.projection,
            "quick_gelu": True,
            "vision_cfg": {
                "image_size": recipe.image_size,
                "layers": list(recipe.layers),
                "width": recipe.width,
                "patch_size": None,
                "head_width": HEAD_WIDTH,
            },
            "text_cfg": {
                "context_length": recipe.text_length,
                "vocab_size": vocabulary[0],
                "width": recipe.text_width,
                "heads": TEXT_HEADS,
                "layers": recipe.text_layers,
            },
        }
    }
