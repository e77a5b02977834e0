"""The items as data: every config loads, names stand for one set of runs, judges are told from guides."""

import pytest

from voxjax.config.loading import load
from voxjax.config.naming import slug
from voxjax.guidance.ensemble import guide_specs
from voxjax.reproduction.catalogue import ITEMS
from voxjax.reproduction.items import GRADIENTS, SCALES

NAMED_IN_THE_PAPER = {
    *("table1", "table4", "table5", "table6"),
    *("fig3", "fig4", "fig5", "fig6", "fig7", "fig8", "openclip"),
}


def test_every_table_and_figure_is_there_at_both_scales():
    assert set(ITEMS) == NAMED_IN_THE_PAPER
    assert all(set(item.plans) == set(SCALES) for item in ITEMS.values())


@pytest.mark.parametrize("name", sorted(ITEMS))
@pytest.mark.parametrize("scale", SCALES)
def test_every_variant_is_a_config_that_can_be_trained(name, scale):
    item = ITEMS[name]
    plan = item.plans[scale]
    for variant in plan.variants:
        config = load(variant.config, [("prompt", "a red sphere"), *plan.settings_of(variant)])
        guides = {spec.model for spec in guide_specs(config)}
        if scale == "demo":
            assert guides <= {"pocket", "pocket-eval"} and config.steps <= 100
        else:
            # Table 6 has a row of the larger size as well.
            sizes = {(168, 10000), (240, 10000)} | ({(224, 15000)} if name == "table6" else set())
            assert (config.cameras.width_px, config.steps) in sizes
        if GRADIENTS in item.draw:
            assert config.log.field_gradients
    if name.startswith("table") and scale == "paper" and plan.judges:
        assert plan.prompts == ()  # the captions are the user's to give


@pytest.mark.parametrize("scale", SCALES)
def test_a_folder_stands_for_one_way_to_train(scale):
    ways = {}
    for item in ITEMS.values():
        plan = item.plans[scale]
        for variant in plan.variants:
            way = (variant.config, dict(plan.settings_of(variant)))
            assert ways.setdefault(slug(variant.name), way) == way, variant.name


def test_demos_are_small_enough_for_a_quarter_of_an_hour():
    for item in ITEMS.values():
        plan = item.plans["demo"]
        steps = int(dict(plan.settings)["steps"])
        assert len(plan.variants) * len(plan.prompts) * plan.seeds * steps <= 1300, item.name


def test_the_augmentations_of_table_4_are_switched_one_after_another():
    plan = ITEMS["table4"].plans["paper"]
    switched = []
    for variant in plan.variants[:5]:
        a = load(variant.config, [("prompt", "x"), *plan.settings_of(variant)]).augment
        switched.append((a.diff, a.back, a.persp))
    on = [sum(each) for each in switched]
    assert on == [0, 1, 1, 2, 3] and len(set(switched)) == 5


def test_figure_3_crosses_prior_and_augmentations():
    plan = ITEMS["fig3"].plans["paper"]
    found = set()
    for variant in plan.variants:
        config = load(variant.config, [("prompt", "x"), *plan.settings_of(variant)])
        augmented = {config.augment.diff, config.augment.back, config.augment.persp}
        assert len(augmented) == 1
        found.add((config.loss.kl, augmented.pop()))
    assert found == {(0.05, False), (0.0, False), (0.05, True), (0.0, True)}


def test_published_figures_stand_beside_a_variant():
    for item in ITEMS.values():
        names = {variant.name for variant in item.plans["paper"].variants}
        assert set(item.published) <= names, item.name
    assert ITEMS["table6"].published
