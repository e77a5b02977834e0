"""A real CLIP without an accelerator: Vox_Exp under ViT-B/32, made small enough for a few CPU cores.

`small:good` (default), `:draft` and `:best`; `voxjax make` takes them where there is no GPU. Like the demo
they are ours; unlike it they take any prompt, and half an hour on two cores instead of a minute.
"""

from ml_collections import ConfigDict

from configs import base

_STEPS = {"good": 1000, "draft": 300, "best": 3000}
NAMES = tuple(_STEPS)


def get_config(variant: str = "good") -> ConfigDict:
    """Returns the config of one length; all numbers below are ours.

    Args:
      variant: "good", "draft" or "best", by the number of steps.

    Raises:
      ValueError: unknown variant.
    """
    if variant not in _STEPS:
        raise ValueError(f"unknown variant {variant!r} of configs/small.py; it has {', '.join(_STEPS)}")
    c = base.get_config()
    c.steps = _STEPS[variant]
    c.field.side = 64
    c.field.step_size_voxels = 1.0
    c.field.alpha_init = 1e-3  # a short run has to find its object sooner
    c.cameras.width_px = 112
    c.progressive.boundaries = (1 / 3,)  # each grid is a program to compile
    c.augment.n_diff = 2
    c.augment.n_back = 4
    c.augment.crop_px = 8
    c.clip.model = "ViT-B/32"
    c.log.every = 10
    c.log.warn_after = 100
    c.checkpoint.every = 100
    c.output.preview_every = 100
    c.output.preview_width_px = 96
    c.output.eval_width_px = 256
    c.output.turntable_width_px = 256
    c.output.turntable_frames = 36
    return c
