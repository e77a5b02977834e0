"""The implicit voxel grid (Vox_Imp) at three sizes: `configs/vox_imp.py:paper`, `:mid`, `:low`."""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = "paper") -> ConfigDict:
    """Returns the config of one size.

    Args:
      variant: "paper" (160^3 voxels, 224 px, 15k steps, 32 images), "mid" (the paper's 168 px runs of 10k
        steps) or "low" (as mid on 80^3 voxels and without progressive scaling: fits 11 GB, as the authors'
        low-memory runs do).

    Raises:
      ValueError: unknown variant.
    """
    c = base.get_config()
    c.field.name = "vox_imp"
    c.field.side = 160  # (paper)
    c.augment.persp = False  # (paper)
    c.augment.n_diff = 4  # (paper) 4 x 8 = 32 images
    c.loss.kl = 0.2  # (paper)
    c.loss.tv = 0.2  # (paper)
    c.optimiser.rate_shift = 5e-3  # (ours) as the networks
    if variant == "paper":
        return c
    if variant not in ("mid", "low"):
        raise ValueError(f"unknown variant {variant!r} of configs/vox_imp.py; it has paper, mid, low")
    c.steps = 10000  # (paper)
    c.cameras.width_px = 168  # (paper)
    if variant == "low":
        c.field.side = 80  # (code, low memory)
        c.loss.kl_window = (0.0, 0.7)  # (code, low memory: 0 - 7000 of 10k)
        c.loss.tv_window = (0.4, 0.9)  # (code, low memory: 4000 - 9000 of 10k)
        c.progressive.boundaries = ()  # (code, low memory: no progressive scaling)
        c.output.eval_width_px = 256  # (ours)
        c.output.turntable_width_px = 256  # (ours)
    return c
