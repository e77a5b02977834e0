"""What the peer can do, and the sizes of its CLIP: what can be said of a config without PyTorch."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.guidance import catalogue, names
from voxjax.guidance.ensemble import GuideSpec

PLAIN = {
    "field.name": "vox_exp",
    "augment.diff": True,
    "augment.back": True,
    "augment.crop": True,
    "augment.under": "nothing",
    "augment.composite": "premultiplied",
    "augment.background_at": "render",
    "augment.batch_resize": False,
    "augment.move_transmittance": True,
    "augment.shared_background_draws": False,
    "augment.shared_view_draws": False,
    "augment.blur_vertical_sd": 0.0,
    "augment.blur_reflect": True,
    "augment.clip_to_unit": False,
    "clip.objective": "cosine",
    "clip.micro_batch": 0,
    "clip.remat": False,
    "prompts.view_dependent": False,
    "optimiser.warmup": 0.0,
}
"""Keys at which the peer knows one value only, the paper's for Vox_Exp."""


def require_torch() -> None:
    """Asks for PyTorch, which is no dependency.

    Raises:
      UserError: it is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise UserError(
            "PyTorch is not installed here: pip install 'voxjax[parity]', or take the environment that "
            "`make parity` makes (.venv-parity/bin/python)"
        )


def check(config: ConfigDict) -> None:
    """Asks whether the peer does all that a config says.

    Raises:
      UserError: it does not; the message names the key.
    """
    for key, value in PLAIN.items():
        group, name = key.split(".")
        if config[group][name] != value:
            raise UserError(
                f"--config.{key}={config[group][name]}: the peer in PyTorch knows {value!r} only; it is the "
                "paper's Vox_Exp step"
            )


def vision_settings(spec: GuideSpec) -> dict[str, Any]:
    """What transformers' `CLIPVisionConfig` is made of for a model, by its folder or its published sizes.

    Args:
      spec: the model.

    Returns:
      Keyword arguments, sizes in pixels, layers and channels.

    Raises:
      UserError: a model that is no vision transformer of CLIP's form, or of unknown sizes.
    """
    folder, missing = (Path(spec.path), []) if spec.path else names.find(spec.model)
    if folder is not None and not missing and (folder / names.CONFIG).is_file():
        raw = json.loads((folder / names.CONFIG).read_text(encoding="utf-8"))
        if raw.get("model_type") == "clip":
            return {**raw["vision_config"], "projection_dim": raw["projection_dim"]}
    architecture = catalogue.ARCHITECTURES.get(spec.model)
    if architecture is None or not isinstance(architecture.layers, int):
        raise UserError(
            f"--config.clip.model={spec.model}: the peer in PyTorch takes pocket, picturebook, ViT-B/32, "
            "ViT-B/16, ViT-L/14 and other vision transformers of CLIP's own form"
        )
    return {
        "hidden_size": architecture.width,
        "intermediate_size": 4 * architecture.width,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.width // 64,
        "image_size": architecture.image_size,
        "patch_size": architecture.patch_size,
        "projection_dim": architecture.embedding_size,
        # OpenCLIP's models of LAION's data have the exact function, OpenAI's an approximation.
        "hidden_act": "gelu" if ":laion" in spec.model else "quick_gelu",
    }
