"""The explicit voxel grid (Vox_Exp): `vox_exp:paper`, `:mid`, `:low`, `:ensemble`; each also `-released`."""

from ml_collections import ConfigDict

from configs import base

NAMES = ("paper", "mid", "low", "ensemble")


def get_config(variant: str = "paper") -> ConfigDict:
    """Returns the config of one size.

    Args:
      variant: "paper" (140^3 voxels, 224 px, 15k steps, 8 x 8 images, ViT-B/16), "mid" (the same under
        ViT-B/32), "low" (as mid, 4 x 8 images) or "ensemble" (4 x 8 images under ViT-B/32 and, from a third
        of the run on, ViT-L/14); "released", or one of these with "-released", for the released code.

    Raises:
      ValueError: unknown variant.
    """
    name, word = base.read_variant(variant, NAMES, file="configs/vox_exp.py")
    c = base.get_config()
    if name != "paper":
        c.clip.model = "ViT-B/32"  # (paper)
    if name == "low":
        c.augment.n_diff = 4  # (code, low memory)
    if name == "ensemble":
        c.clip2.model = "ViT-L/14"  # (paper)
        c.augment.n_diff = 8 if word else 4  # (paper's text: 4 with ViT-L/14; code: 8)
    if word:
        base.release(c)
        c.field.side = 160  # (code; the paper's table says 140)
    return c
