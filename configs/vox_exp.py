"""The explicit voxel grid (Vox_Exp): `configs/vox_exp.py:paper`, `:ensemble` (two CLIPs), `:mid`, `:low`."""

from ml_collections import ConfigDict

from configs import base


def get_config(variant: str = "paper") -> ConfigDict:
    """Returns the config of one size.

    Args:
      variant: "paper" (140^3 voxels, 224 px, 15k steps, 64 images), "ensemble" (the same with two CLIPs, the
        larger one from a third of the steps on), "mid" (the paper's 168 px runs of 10k steps) or "low" (as
        mid on 100^3 voxels with half the images: fits 8 GB).

    Raises:
      ValueError: unknown variant.
    """
    c = base.get_config()
    if variant == "paper":
        return c
    if variant not in ("ensemble", "mid", "low"):
        raise ValueError(
            f"unknown variant {variant!r} of configs/vox_exp.py; it has paper, ensemble, mid, low"
        )
    c.clip.model = "ViT-B/32"  # (paper)
    if variant == "ensemble":
        c.clip2.model = "ViT-L/14"  # (paper)
        return c
    c.steps = 10000  # (paper)
    c.cameras.width_px = 168  # (paper)
    if variant == "low":
        c.field.side = 100  # (ours)
        c.augment.n_back = 4  # (ours) 8 x 4 = 32 images
        c.loss.kl_window = (0.0, 0.7)  # (code, low memory: 0 - 7000 of 10k)
        c.loss.tv_window = (0.4, 0.9)  # (code, low memory: 4000 - 9000 of 10k)
        c.progressive.boundaries = ()  # (code, low memory: no progressive scaling)
        c.output.eval_width_px = 256  # (ours)
        c.output.turntable_width_px = 256  # (ours)
    return c
