"""The three fields against each other: Tables 1 and 6, Figure 6."""

from __future__ import annotations

from voxjax.evaluation.words import FIELDS
from voxjax.reproduction.items import PAPER_PROMPTS, SIDE_BY_SIDE, Item, Variant, demo, paper

# configs/figure6.py is the paper's setting: 168 px, 10,000 steps, ViT-B/16.
PAPER = tuple(Variant(name, f"figure6:{key}") for key, name in FIELDS.items())
# What the paper trained for its Table 6, as far as the figures are known.
COST = (
    Variant("Vox_Exp, ViT-B/32, 168 px", "figure6:vox_exp", (("clip.model", "ViT-B/32"),)),
    Variant("Vox_Exp, ViT-B/32, 224 px", "vox_exp:mid"),
)
PUBLISHED = {
    "Vox_Exp, ViT-B/32, 168 px": "21 min, 7.0 GB (RTX 2080 Ti)",
    "Vox_Exp, ViT-B/32, 224 px": "35 min, 9.8 GB (RTX 2080 Ti)",
}
DEMO = tuple(Variant(name, f"demo:{key}") for key, name in FIELDS.items())

ITEMS = (
    Item(
        "table1",
        "Table 1: R-Precision of three fields",
        "Which field makes objects that a CLIP names right, under the same guide at the same size?",
        {"demo": demo(DEMO, 4), "paper": paper(PAPER)},
    ),
    Item(
        "table6",
        "Table 6: memory and time",
        "What does an object cost, in memory and in time?",
        {"demo": demo(DEMO, 1, judges=()), "paper": paper(COST + PAPER, PAPER_PROMPTS[:1], judges=())},
        draw=(),
        published=PUBLISHED,
    ),
    Item(
        "fig6",
        "Figure 6: three fields side by side",
        "What do the three fields make of the same prompts?",
        {"demo": demo(DEMO, 4), "paper": paper(PAPER, PAPER_PROMPTS)},
        draw=(SIDE_BY_SIDE,),
    ),
)
