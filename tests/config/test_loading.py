"""Configs: every key documented, every mistake refused by name, every step number of the paper exact."""

import re

import pytest
from helpers.small_training import ROOT

from voxjax.config.loading import load, take_overrides
from voxjax.config.saved import differences, flatten, from_json, to_json
from voxjax.errors import UserError
from voxjax.schedules import steps_from_fraction

PROMPT = [("prompt", "a red cube")]
SPECS = ["base.py", "vox_exp.py", "vox_exp.py:paper", "vox_exp.py:mid", "vox_exp.py:low", "demo.py"]
SPECS += [f"{file}.py:{field}" for file in ("demo", "figure6") for field in ("vox_imp", "dream_fields")]
SPECS += ["figure6.py:vox_exp"]


def config(*pairs, spec="demo.py"):
    return load(f"{ROOT}/configs/{spec}", [*PROMPT, *pairs])


@pytest.mark.parametrize("spec", SPECS)
def test_shipped_configs_load_and_survive_json(spec):
    loaded = config(spec=spec)
    again = from_json(to_json(loaded))
    assert dict(flatten(again)) == dict(flatten(loaded))
    assert differences(loaded, again) == []


def test_every_key_of_base_states_its_source():
    text = (ROOT / "configs/base.py").read_text()
    documented = set()
    for line, before in zip(text.splitlines()[1:], text.splitlines(), strict=False):
        match = re.match(r"    (\w\.[\w.]+) = (?!ConfigDict|_[a-z0-9_]+\(\))", line)
        if match:
            assert re.search(r"\((paper|code|ours|Dream Fields)[^)]*", line + before), line
            documented.add(match[1].split(".")[-1])
    assert documented == {key.split(".")[-1] for key, _ in flatten(config(spec="base.py"))}


def test_fractions_give_the_papers_steps():
    c = config(spec="vox_exp.py")
    assert c.steps == 15000
    steps = lambda fraction: steps_from_fraction(fraction, c.steps)  # noqa: E731
    assert [steps(f) for f in c.progressive.boundaries] == [5000, 7000, 9000, 11000]
    assert [steps(f) for f in c.loss.kl_window] == [0, 8000]
    assert [steps(f) for f in c.loss.tv_window] == [5000, 13000]
    assert steps(c.loss.opacity_anneal) == 500
    assert steps(c.clip2.start) == 5000
    assert steps(c.progressive.occupancy_every) == 1000
    assert steps(c.progressive.occupancy_offset) == 500
    assert steps(c.optimiser.tenfold_decay) == 20000


def test_overrides_take_the_type_of_the_key():
    c = config(
        ("steps", "3000"),
        ("loss.kl", "1"),
        ("augment.diff", "False"),
        ("clip.negatives", "('a cat', 'a dog')"),
        ("progressive.boundaries", "(0.25, 0.5)"),
        ("cameras.elevation_deg", "[10, 60]"),
    )
    assert (c.steps, c.loss.kl, c.augment.diff) == (3000, 1.0, False)
    assert isinstance(c.loss.kl, float)
    assert c.clip.negatives == ("a cat", "a dog")
    assert c.progressive.boundaries == (0.25, 0.5)
    assert c.cameras.elevation_deg == (10.0, 60.0)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("promt", "x", "did you mean --config.prompt?"),
        ("kl", "0.1", "did you mean --config.loss.kl?"),
        ("loss.tvv", "0.1", "did you mean --config.loss.tv?"),
        ("xyzzyqwv", "0.1", "configs/base.py lists them all"),
        ("loss", "0.1", "this is a group"),
        ("steps", "1.5", "not a whole number"),
        ("steps", "many", "not a whole number"),
        ("loss.kl", "much", "not a number"),
        ("augment.diff", "perhaps", "not True or False"),
        ("progressive.boundaries", "0.5", "not a tuple"),
        ("cameras.elevation_deg", "('a', 'b')", "not a tuple of numbers"),
        ("clip.negatives", "(1.0,)", "must be a tuple of texts"),
        ("steps", "0", "must be at least 1"),
        ("loss.kl", "-1", "must be 0 or more"),
        ("loss.kl", "nan", "must be 0 or more"),
        ("field.alpha_init", "1", "must be above 0 and below 1"),
        ("loss.tv_window", "(0.9, 0.1)", "must be two fractions"),
        ("progressive.boundaries", "(0.5, 0.2)", "must be rising fractions"),
        ("clip.objective", "cosin", "must be one of cosine, contrastive"),
        ("cameras.width_px", "4", "must be between 8 and 8192"),
        ("prompt", " ", "must be a text"),
        ("augment.crop_px", "40", "must be at most half"),
        ("clip.micro_batch", "7", "16 images of a step"),
        ("clip.micro_batch", "7", "one of 1, 2, 4, 8, 16, or 0"),
        ("clip.micro_batch", "32", "one of 1, 2, 4, 8, 16, or 0"),
        ("clip.objective", "contrastive", "needs captions"),
    ],
)
def test_mistakes_are_refused_by_name(key, value, words):
    with pytest.raises(UserError) as caught:
        config((key, value))
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert key.split(".")[-1] in message or "clip.negatives" in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("c.loss.tvv = 0.3", r"sets loss.tvv, which is no key; did you mean --config.loss.tv\?"),
        ("c.chekpoint = 5", "sets chekpoint, which is no key"),
        ("del c.augment.cutout", "lacks augment.cutout; let it begin with configs.base.get_config"),
        ("c = ConfigDict({'prompt': 'x', 'steps': 5})", "lacks "),
        (
            "c = ConfigDict({**c.to_dict(), 'steps': 'many'})",
            "steps is 'many'; it must be of the type of its default",
        ),
        (
            "c = ConfigDict({**c.to_dict(), 'steps': True})",
            "steps is True; it must be of the type of its default",
        ),
    ],
)
def test_a_file_of_ones_own_is_held_against_base(line, words, tmp_path):
    file = tmp_path / "mine.py"
    head = "from ml_collections import ConfigDict\nfrom configs import base\n\ndef get_config():\n"
    file.write_text(f"{head}    c = base.get_config().unlock()\n    {line}\n    return c\n")
    with pytest.raises(UserError, match=words) as caught:
        load(str(file), PROMPT)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_whole_numbers_in_a_file_are_numbers(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from configs import base\n\ndef get_config():\n    c = base.get_config()\n"
        "    c.cameras.elevation_deg = (10, 60)\n    c.loss.kl = 1\n"
        "    c.loss = type(c)({**c.loss.to_dict(), 'tv': 2})\n    return c\n"
    )
    c = load(str(file), PROMPT)
    assert [type(v) for v in (*c.cameras.elevation_deg, c.loss.kl, c.loss.tv, c.steps)] == [float] * 4 + [int]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("prompts.weight", "2", r"--config.prompts.weight=2.0: must be 1 for the contrastive objective"),
        ("prompts.weight", "-1", r"--config.prompts.weight=-1.0: must be 1 for the contrastive objective"),
        ("prompts.extra", "('a cube:0.5',)", "takes `prompt` alone"),
    ],
)
def test_the_contrastive_objective_takes_the_prompt_alone(key, value, words):
    contrastive = [("clip.objective", "contrastive"), ("clip.negatives", "('a cat',)")]
    assert config(*contrastive).prompts.weight == 1
    assert config((key, value)).clip.objective == "cosine"
    with pytest.raises(UserError, match=words):
        config(*contrastive, (key, value))


def test_a_leaf_that_refers_to_another_follows_it(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from configs import base\n\ndef get_config():\n    c = base.get_config()\n"
        "    c.log.every = 2 * c.get_ref('steps')\n    return c\n"
    )
    c = load(str(file), [*PROMPT, ("steps", "77")])
    assert (c.steps, c.log.every) == (77, 154)


def test_mean_gradients_need_a_grid_of_parameters():
    assert config(("log.field_gradients", "True")).log.field_gradients
    with pytest.raises(UserError, match=r"log.field_gradients=True: the parameters of vox_imp"):
        config(("log.field_gradients", "True"), ("field.name", "vox_imp"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("configs/none.py", "no such file"),
        ("configs/demo", "no config of this name"),
        (f"{ROOT}/configs/demo.py:huge", "vox_exp, vox_imp, dream_fields"),
        (f"{ROOT}/configs/vox_exp.py:huge", "paper, mid, low, ensemble"),
        (f"{ROOT}/configs/figure6.py", "vox_exp, vox_imp, dream_fields"),
        (f"{ROOT}/configs/figure6.py:all", "voxjax.compare"),
    ],
)
def test_bad_files_are_refused(spec, words):
    with pytest.raises(UserError, match=re.escape(words)):
        load(spec, PROMPT)


def test_figure_6_is_the_papers_set_up():
    c = config(spec="figure6.py:vox_exp")
    assert (c.steps, c.cameras.width_px, c.clip.model) == (10000, 168, "ViT-B/16")
    assert (c.field.side, c.augment.n_diff * c.augment.n_back) == (140, 64)


def test_arguments_are_split_into_keys_and_values():
    given = ["--config.prompt=a = b", "--config.steps", "3"]
    assert take_overrides(given) == [("prompt", "a = b"), ("steps", "3")]
    with pytest.raises(UserError, match="has no value"):
        take_overrides(["--config.steps"])
    with pytest.raises(UserError, match="did you mean --workdir"):
        take_overrides(["--wordkir=x"])
    with pytest.raises(UserError, match="flags are --one, --two, --config.key=value"):
        take_overrides(["--wordkir=x"], flags=("--one", "--two"))
