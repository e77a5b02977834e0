"""Which CLIP guides: Table 5, Figure 5, and OpenCLIP (A.4).

At demo scale there are two small CLIPs: one guides and the other judges, and where both guide no judge is
left that did not.
"""

from __future__ import annotations

from voxjax.reproduction.items import PAPER_PROMPTS, SIDE_BY_SIDE, Item, Settings, Variant, demo, paper

_CONFIG = "figure6:vox_exp"
_L14: Settings = (("augment.n_diff", "4"),)  # (paper: 4 x 8 images with ViT-L/14)


def _guided(*models: str, more: Settings = (), config: str = _CONFIG) -> Variant:
    keys = ("clip.model", "clip2.model")
    return Variant(" + ".join(models), config, tuple(zip(keys, models, strict=False)) + more)


_BACKBONES = (
    _guided("RN50"),
    _guided("RN50x4"),
    _guided("ViT-B/32"),
    _guided("ViT-B/16"),
    _guided("ViT-L/14", more=_L14),
    _guided("ViT-B/32", "ViT-L/14", more=_L14),
    _guided("ViT-B/16", "ViT-L/14", more=_L14),
)
_SMALL = (
    _guided("pocket", config="demo:vox_exp"),
    _guided("pocket-eval", config="demo:vox_exp"),
    _guided("pocket", "pocket-eval", config="demo:vox_exp"),
)
_OPEN = (
    _guided("ViT-B/32"),
    _guided("ViT-B-32:laion2b"),
    _guided("ViT-B-16-plus-240:laion400m", more=(("cameras.width_px", "240"),)),
)
_OPEN_JUDGES = ("ViT-B/32", "ViT-B/16", "ViT-B-32:laion2b")

ITEMS = (
    Item(
        "table5",
        "Table 5: CLIP backbones and ensembles",
        "Which CLIP guides best, and does an ensemble help, as other CLIPs see it?",
        {"demo": demo(_SMALL), "paper": paper(_BACKBONES, judges=_OPEN_JUDGES)},
    ),
    Item(
        "fig5",
        "Figure 5: CLIP backbones and ensembles",
        "What does an ensemble change in what is seen?",
        {"demo": demo(_SMALL), "paper": paper(_BACKBONES, PAPER_PROMPTS, judges=_OPEN_JUDGES)},
        draw=(SIDE_BY_SIDE,),
    ),
    Item(
        "openclip",
        "OpenCLIP guidance (A.4)",
        "Do CLIPs trained on LAION guide as well as OpenAI's?",
        {"demo": demo(_SMALL[:2]), "paper": paper(_OPEN, PAPER_PROMPTS, judges=_OPEN_JUDGES)},
        draw=(SIDE_BY_SIDE,),
    ),
)
