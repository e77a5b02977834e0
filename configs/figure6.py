"""The paper's Figure 6, three fields under one CLIP: `voxjax.compare --config=configs/figure6.py:all`."""

import importlib

from ml_collections import ConfigDict

VARIANTS = ("vox_exp", "vox_imp", "dream_fields")
# Which size of each field's own config it starts from; `mq` renders 168 x 168 px.
_SIZES = {"vox_exp": "paper", "vox_imp": "paper", "dream_fields": "mq"}


def get_config(variant: str = "") -> ConfigDict:
    """Returns the config of one field at 168 px, 10k steps and ViT-B/16.

    Args:
      variant: one of `VARIANTS`.

    Raises:
      ValueError: unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"no variant {variant!r}; it has {', '.join(VARIANTS)}, and :all for them all in voxjax.compare"
        )
    c = importlib.import_module(f"configs.{variant}").get_config(_SIZES[variant])
    c.steps = 10000  # (paper)
    c.cameras.width_px = 168  # (paper)
    c.clip.model = "ViT-B/16"  # (paper)
    return c
