"""What augmentations and the sphere prior do: Table 4, Figures 3, 4 and 8.

The augmentations are switched on one after another; the random crop is always on. Sizes and steps are those
of Table 1, as the paper's for these are not known here.
"""

from __future__ import annotations

from voxjax.reproduction.items import (
    DEMO_SETTINGS,
    GRADIENTS,
    PAPER_PROMPTS,
    SIDE_BY_SIDE,
    Item,
    Settings,
    Variant,
    demo,
    paper,
)

_KEYS = ("augment.diff", "augment.back", "augment.persp")
_SETS = {
    "no augmentation": (False, False, False),
    "DiffAug": (True, False, False),
    "BackAug": (False, True, False),
    "DiffAug + BackAug": (True, True, False),
    "DiffAug + BackAug + PerspAug": (True, True, True),
}


# Twenty runs have to fit into a quarter of an hour.
_SHORT: Settings = (*DEMO_SETTINGS, ("steps", "60"))


def _augmented(name: str) -> Settings:
    return tuple((key, str(on)) for key, on in zip(_KEYS, _SETS[name], strict=True))


def _variants(field: str, config: str) -> tuple[Variant, ...]:
    return tuple(Variant(f"{field}, {name}", config, _augmented(name)) for name in _SETS)


_DEMO_EXP, _DEMO_IMP = _variants("Vox_Exp", "demo:vox_exp"), _variants("Vox_Imp", "demo:vox_imp")
_PAPER_EXP, _PAPER_IMP = _variants("Vox_Exp", "figure6:vox_exp"), _variants("Vox_Imp", "figure6:vox_imp")


def _prior(config: str) -> tuple[Variant, ...]:
    """KL prior x augmentations, with the gradients told often."""
    told: Settings = (("log.field_gradients", "True"), ("log.every", "5"))
    every = next(reversed(_SETS))
    return tuple(
        Variant(
            f"{'with' if prior else 'without'} KL, {name}",
            config,
            _augmented(every if name == "augmented" else name)
            + told
            + (() if prior else (("loss.kl", "0"),)),
        )
        for name in ("no augmentation", "augmented")
        for prior in (True, False)
    )


ITEMS = (
    Item(
        "fig3",
        "Figure 3: sphere prior and augmentations",
        "Do densities emerge under augmentation only with the prior? Mean gradients of density and colour.",
        {"demo": demo(_prior("demo:vox_exp")), "paper": paper(_prior("figure6:vox_exp"), PAPER_PROMPTS)},
        draw=(GRADIENTS, SIDE_BY_SIDE),
    ),
    Item(
        "table4",
        "Table 4: augmentations of Vox_Exp and Vox_Imp",
        "What does each augmentation add to R-Precision, under the guide itself and under another judge?",
        {
            "demo": demo(_DEMO_EXP + _DEMO_IMP, settings=_SHORT),
            "paper": paper(_PAPER_EXP + _PAPER_IMP),
        },
    ),
    Item(
        "fig4",
        "Figure 4: augmentations of Vox_Exp",
        "What does each augmentation change in what is seen?",
        {"demo": demo(_DEMO_EXP, settings=_SHORT), "paper": paper(_PAPER_EXP, PAPER_PROMPTS)},
        draw=(SIDE_BY_SIDE,),
    ),
    Item(
        "fig8",
        "Figure 8: augmentations of Vox_Imp",
        "What does each augmentation change in what is seen?",
        {"demo": demo(_DEMO_IMP, settings=_SHORT), "paper": paper(_PAPER_IMP, PAPER_PROMPTS)},
        draw=(SIDE_BY_SIDE,),
    ),
)
