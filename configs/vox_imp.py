"""The implicit voxel grid (Vox_Imp): `vox_imp:paper`, `:mid`, `:low`, `:ensemble`; each also `-released`."""

from ml_collections import ConfigDict

from configs import base

NAMES = ("paper", "mid", "low", "ensemble")
_OF = 10000  # steps of the smaller runs of the released code, to which their numbers refer


def get_config(variant: str = "paper") -> ConfigDict:
    """Returns the config of one size.

    Args:
      variant: "paper" (160^3 voxels, 224 px, 15k steps, 4 x 8 images, ViT-B/16), "mid" (125^3 and 10k steps),
        "low" (80^3, 10k steps and one grid size) or "ensemble" (as paper, under ViT-B/32 and, from a third of
        the run on, ViT-L/14); "released", or one of these with "-released", for the released code.

    Raises:
      ValueError: unknown variant.
    """
    name, word = base.read_variant(variant, NAMES, file="configs/vox_imp.py")
    c = base.get_config()
    c.field.name = "vox_imp"
    c.field.side = 160  # (paper)
    c.augment.persp = False  # (paper)
    c.augment.n_diff = 4  # (paper) 4 x 8 = 32 images
    c.loss.kl = 0.2  # (paper)
    c.loss.tv = 0.2  # (paper)
    if name == "ensemble":
        c.clip.model, c.clip2.model = "ViT-B/32", "ViT-L/14"  # (paper: the ensembles of Vox_Exp)
    if name in ("mid", "low"):
        c.field.side = 125 if name == "mid" else 80  # (code)
        c.steps = _OF  # (code)
        c.progressive.boundaries = (0.4, 0.6, 0.8) if name == "mid" else ()  # (code: 4000, 6000, 8000; never)
        c.loss.kl_window = (0.0, 0.7)  # (code: 0 - 7000)
        c.loss.tv_window = (0.4, 0.9)  # (code: 4000 - 9000)
        # Plain step numbers that the release has in all of its configs.
        c.progressive.occupancy_every, c.progressive.occupancy_offset = 1000 / _OF, 500 / _OF  # (code)
        c.loss.opacity_anneal = 500 / _OF  # (code)
        c.optimiser.tenfold_decay = 20000 / _OF  # (code)
        c.clip2.start = 5000 / _OF  # (code)
    if word:
        base.release(c)
    return c
