"""When the release does what: its presets row by row, and step numbers that do not shrink with the run."""

import jax
import numpy as np
import pytest
from faithful.pure_clip_grid import is_occupancy_step
from faithful.pure_clip_losses import active_terms, opacity_target
from faithful.pure_clip_optimiser import RESCALINGS

from voxjax.config.loading import load
from voxjax.factory import make_plan, step_of
from voxjax.guidance.ensemble import guide_specs
from voxjax.schedules import transmittance_target
from voxjax.training.assembly import make_optimiser_options, make_weights

PAPER = {"steps": 15000, "scaling": RESCALINGS, "tv": (5000, 13000), "kl": (0, 8000)}
SHORT = {"steps": 10000, "tv": (4000, 9000), "kl": (0, 7000)}
EXPLICIT, IMPLICIT = {"weights": (0.1, 0.05), "persp": True}, {"weights": (0.2, 0.2), "persp": False}
B16, B32, BOTH = ("ViT-B/16",), ("ViT-B/32",), ("ViT-B/32", "ViT-L/14")
RELEASED = {
    "vox_exp:paper": {**PAPER, **EXPLICIT, "side": 160, "images": (8, 8), "models": B16},
    "vox_exp:mid": {**PAPER, **EXPLICIT, "side": 160, "images": (8, 8), "models": B32},
    "vox_exp:low": {**PAPER, **EXPLICIT, "side": 160, "images": (4, 8), "models": B32},
    "vox_exp:ensemble": {**PAPER, **EXPLICIT, "side": 160, "images": (8, 8), "models": BOTH},
    "vox_imp:paper": {**PAPER, **IMPLICIT, "side": 160, "images": (4, 8), "models": B16},
    "vox_imp:mid": {
        **SHORT,
        **IMPLICIT,
        "side": 125,
        "scaling": (4000, 6000, 8000),
        "images": (4, 8),
        "models": B16,
    },
    "vox_imp:low": {**SHORT, **IMPLICIT, "side": 80, "scaling": (), "images": (4, 8), "models": B16},
    "vox_imp:ensemble": {**PAPER, **IMPLICIT, "side": 160, "images": (4, 8), "models": BOTH},
}
# The text of the paper, where it says something else.
TEXT = {"vox_exp:paper": {"side": 140}, "vox_exp:mid": {"side": 140}, "vox_exp:low": {"side": 140}}
TEXT["vox_exp:ensemble"] = {"side": 140, "images": (4, 8)}


def config_of(name, **changes):
    field, variant = name.split(":")
    return load(f"configs/{field}.py:{variant}", [("prompt", "a ball"), *map(_pair, changes.items())])


def _pair(item):
    return item[0].replace("__", "."), str(item[1])


def row_of(config):
    """A config in the words of the table."""
    span = lambda window: tuple(step_of(config, fraction) for fraction in window)  # noqa: E731
    return {
        "steps": config.steps,
        "scaling": make_plan(config).boundaries,
        "tv": span(config.loss.tv_window),
        "kl": span(config.loss.kl_window),
        "weights": (config.loss.tv, config.loss.kl),
        "persp": config.augment.persp,
        "side": config.field.side,
        "images": (config.augment.n_diff, config.augment.n_back),
        "models": tuple(spec.model for spec in guide_specs(config)),
    }


@pytest.mark.parametrize("name", RELEASED)
def test_every_released_preset_is_its_row_of_the_table(name):
    config = config_of(name + "-released")
    assert row_of(config) == RELEASED[name]
    plan = make_plan(config)
    assert (plan.occupancy_every, plan.occupancy_offset, plan.occupancy_threshold) == (1000, 500, 1e-7)
    assert plan.density_drop == 1 and plan.step_size_voxels == 0.5
    assert make_optimiser_options(config).decay_steps == 20000
    assert step_of(config, config.loss.opacity_anneal) == 500
    assert (config.cameras.width_px, config.cameras.views_per_step, config.augment.crop_px) == (224, 1, 16)
    assert config.cameras.focal_multiplier == 1 and config.field.box == "frustum"
    if config.clip2.model:
        second = guide_specs(config)[1]
        assert (second.start, second.weight, config.clip2.model) == (5000, 0.5, "ViT-L/14")


@pytest.mark.parametrize("name", RELEASED)
def test_the_presets_of_the_text_differ_in_what_the_text_says(name):
    assert row_of(config_of(name)) == {**RELEASED[name], **TEXT.get(name, {})}


@pytest.mark.parametrize("name", RELEASED)
def test_the_released_variant_turns_every_key_to_the_code(name):
    config = config_of(name + "-released")
    a = config.augment
    assert config.schedule_steps == config.steps == RELEASED[name]["steps"]
    assert (a.under, a.composite, a.background_at) == ("white", "premultiplied", "render")
    assert a.share_backgrounds and a.shared_background_draws and a.shared_view_draws and a.batch_resize
    assert not a.move_transmittance and a.blur_vertical_sd == 4 and a.blur_reflect
    assert not config.field.learn_shift and config.field.mask_near_cameras
    assert config.optimiser.eps_uncorrected and not config.vox_imp.skip


def test_the_word_alone_is_the_first_preset():
    for field in ("vox_exp", "vox_imp"):
        assert config_of(f"{field}:released").to_dict() == config_of(f"{field}:paper-released").to_dict()


@pytest.mark.parametrize("steps", [100, 6000, 40000])
@pytest.mark.parametrize("name", ["vox_exp:paper", "vox_imp:mid"])
def test_step_numbers_stay_when_the_user_changes_the_length(name, steps):
    expected = RELEASED[name] | {"steps": steps}
    config = config_of(name + "-released", steps=steps)
    plan = make_plan(config)
    assert row_of(config) == expected
    assert (plan.occupancy_every, plan.occupancy_offset) == (1000, 500)
    assert make_optimiser_options(config).decay_steps == 20000
    assert step_of(config, config.loss.opacity_anneal) == 500
    # Without the word they stretch with it.
    half = make_plan(config_of(name, steps=expected["steps"] * 2)).boundaries
    assert half == tuple(round(s * steps * 2 / RELEASED[name]["steps"]) for s in RELEASED[name]["scaling"])


@pytest.mark.parametrize("name, preset", [("vox_exp:paper", "paper"), ("vox_imp:mid", "short")])
def test_terms_are_on_when_the_release_has_them_on(name, preset):
    """Our step i, from 0, is the release's i + 1. The last step of variation is one too many."""
    config = config_of(name + "-released")
    weights = make_weights(config, guide_specs(config), on_grid=True)
    kind = "explicit" if name.startswith("vox_exp") else "implicit"
    tv, kl = RELEASED[name]["tv"], RELEASED[name]["kl"]
    edges = [0, 1, tv[0] - 1, tv[0], tv[1] - 2, kl[1] - 1, kl[1], kl[1] + 1, tv[1], tv[1] + 1]
    ours = jax.jit(
        lambda step: {name: weights[name](step) for name in ("kl", "tv", "entropy", "transmittance")}
    )
    for step in edges:
        expected = active_terms(step + 1, kind, preset)
        for term, value in ours(step).items():
            assert float(value) == pytest.approx(expected[term], rel=1e-6), (step, term)
    last = tv[1] - 1
    assert float(weights["tv"](last)) > 0 and active_terms(last + 1, kind, preset)["tv"] == 0


def test_culling_and_rescaling_come_one_step_after_the_release_counts_them():
    """The release has them at the beginning of steps 500 and 5000, counted from 1; we, counted from 0."""
    plan = make_plan(config_of("vox_exp:released"))
    assert [s for s in range(4999) if plan.tests_before(s)] == [
        s for s in range(4999) if is_occupancy_step(s)
    ]
    assert tuple(s for s in range(15000) if plan.rescales_before(s)) == RESCALINGS


def test_the_opacity_target_is_at_most_two_steps_behind():
    tau = jax.jit(jax.vmap(transmittance_target()))
    steps = np.arange(0, 700)
    released = np.array([1 - opacity_target(step + 1) for step in steps])
    ours = np.asarray(tau(steps))
    np.testing.assert_allclose(ours[2:], released[:-2], rtol=1e-6)
    assert np.abs(ours - released).max() < 3.3e-3
