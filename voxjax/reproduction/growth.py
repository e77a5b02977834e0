"""An object through its run: Figure 7."""

from __future__ import annotations

from voxjax.reproduction.items import (
    COURSE,
    DEMO_SETTINGS,
    PAPER_PROMPTS,
    Item,
    Settings,
    Variant,
    demo,
    paper,
)

N_SHOWN = 8
"""Checkpoints of a run that are drawn, the last one at its end."""


def _kept(steps: int, more: Settings = ()) -> Settings:
    return (*more, ("checkpoint.every", str(-(-steps // N_SHOWN))), ("checkpoint.keep", str(N_SHOWN + 1)))


ITEMS = (
    Item(
        "fig7",
        "Figure 7: through the run",
        "How does an object come about while the sphere prior, and then total variation, are on?",
        {
            "demo": demo(
                (Variant("Vox_Exp, course", "demo:vox_exp"), Variant("Vox_Imp, course", "demo:vox_imp")),
                1,
                settings=_kept(100, DEMO_SETTINGS),
            ),
            "paper": paper(
                (
                    Variant("Vox_Exp, course", "figure6:vox_exp"),
                    Variant("Vox_Imp, course", "figure6:vox_imp"),
                ),
                PAPER_PROMPTS[:1],
                settings=_kept(10000),
            ),
        },
        draw=(COURSE,),
    ),
)
