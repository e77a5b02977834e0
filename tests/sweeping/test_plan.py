"""Plans: pure data, the same for the same words, refused where a run would be wrong or there twice."""

import subprocess
import sys

import pytest
from helpers.small_training import ROOT, environment

from voxjax.config.loading import load
from voxjax.config.prompts import read_prompts
from voxjax.errors import UserError
from voxjax.sweeping.flags import Axis, read_axis, read_seeds
from voxjax.sweeping.naming import run_name
from voxjax.sweeping.plan import make_plan

SPHERE, CUBE = "a red sphere", "a blue cube"


def test_every_combination_is_a_run_and_what_is_typed_is_what_trains(tmp_path):
    plan = make_plan(
        ["demo", "demo:vox_imp"],
        [SPHERE, CUBE],
        seeds=[0, 7],
        axes=[read_axis("loss.tv=0.1,0.20"), read_axis("augment.diff=false")],
        fixed=[("steps", "5")],
    )
    assert len(plan.runs) == len({run.name for run in plan.runs}) == 2 * 2 * 2 * 2
    # Seed by seed, prompt by prompt.
    assert [run.seed for run in plan.runs] == [0] * 8 + [7] * 8
    assert [run.prompt for run in plan.runs[:8]] == [SPHERE] * 4 + [CUBE] * 4
    run = plan.runs[-1]
    assert run.name == "demo-vox_imp_a-blue-cube_augment.diff=False_loss.tv=0.2_seed7"
    assert run.steps == 5
    config, folder, *pairs = run.arguments(tmp_path)
    assert (config, folder) == ("--config=demo:vox_imp", f"--workdir={tmp_path / run.name}")
    assert pairs == [
        "--config.steps=5",
        "--config.augment.diff=False",
        "--config.loss.tv=0.2",
        f"--config.prompt={CUBE}",
        "--config.seed=7",
    ]
    typed = [tuple(pair.removeprefix("--config.").split("=", 1)) for pair in pairs]
    assert load("demo:vox_imp", typed) == plan.config_of(run)
    assert plan.config_of(plan.runs[0]).prompt == SPHERE  # the one before was a copy


def test_names_are_the_runs_own_so_that_a_larger_plan_holds_the_smaller():
    small = make_plan(["demo"], [SPHERE], axes=[read_axis("loss.tv=0.1")])
    large = make_plan(["demo:all", "demo"], [CUBE, SPHERE], seeds=[1, 0], axes=[read_axis("loss.tv=0.3,.1")])
    assert set(small.runs) < set(large.runs)
    axes = [read_axis("loss.tv=0.1"), read_axis("augment.diff=True")]
    one, other = (make_plan(["demo"], [SPHERE], axes=order) for order in (axes, axes[::-1]))
    assert one.runs == other.runs, "the order in which --set is given is no part of a run"


@pytest.mark.parametrize(
    ("prompt", "settings", "name"),
    [
        (SPHERE, [], "demo_a-red-sphere_seed0"),
        # What a file name cannot hold comes back as digits: sha256("A red sphere!") begins with 0b06d7.
        ("A red sphere!", [], "demo_a-red-sphere-0b06d7_seed0"),
        ("красный шар", [], "demo_красный-шар_seed0"),
        (SPHERE, [("k", (0.0, -0.5))], "demo_a-red-sphere_k=0.0,-0.5_seed0"),
        (SPHERE, [("k", ""), ("m", 1e-06)], "demo_a-red-sphere_k=_m=1e-06_seed0"),
        (SPHERE, [("k", "ViT-B/16")], "demo_a-red-sphere_k=ViT-B-16-28416b_seed0"),
    ],
)
def test_names_are_readable(prompt, settings, name):
    assert run_name("demo", prompt, settings, 0) == name


def test_long_names_end_before_the_file_system_does_and_stay_apart():
    for letter in ("x", "字"):
        texts = [letter * 300 + end for end in "ab"]
        names = {run_name("demo", text, [(f"k{i}", text) for i in range(9)], 0) for text in texts}
        assert len(names) == 2 and max(len(name.encode()) for name in names) < 200


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("k=True,False", ("True", "False")),
        ("k=(0.,0.5),(0.0, 1.)", ("(0.,0.5)", "(0.0, 1.)")),
        ("k=('a, b',),()", ("('a, b',)", "()")),
        ("k='a, b',c", ("a, b", "c")),
        ("k=potter's wheel,", ("potter's wheel", "")),
        ("k=a=b", ("a=b",)),
    ],
)
def test_values_are_split_at_commas_outside_of_brackets_and_quotes(text, values):
    assert read_axis(text) == Axis("k", values)


def test_seeds_and_prompts(tmp_path):
    assert read_seeds("3,0-2") == [3, 0, 1, 2]
    file = tmp_path / "prompts.txt"
    file.write_text("a  cat\n\n a dog \na cat\n", encoding="utf-8")
    assert read_prompts(["a bird"], str(file)) == ["a bird", "a cat", "a dog"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: read_seeds("1-0"), "--seeds=1-0: write whole numbers"),
        (lambda: read_seeds("0,1,0"), "--seeds=0,1,0: '0' stands there twice"),
        (lambda: read_seeds("0-99999999"), "more than 100,000 seeds"),
        (lambda: read_seeds("-1"), "--seeds=-1: write whole numbers"),
        (lambda: read_prompts([], ""), "no prompt is given; write one a line"),
        (lambda: read_prompts([], "/nowhere/at/all"), "--prompts=/nowhere/at/all: cannot be read"),
        (lambda: read_axis("augment.diff"), "--set augment.diff: write --set key=value,value"),
        (lambda: read_axis("seed=1"), "--set seed=1: give seeds with --seeds"),
        (lambda: read_axis("k=(1,2"), "--set k=(1,2: a bracket or a quote is not closed"),
        (lambda: read_axis("k=1),2"), "a bracket or a quote is not closed"),
        (lambda: read_axis("k=1,1"), "--set k=1,1: '1' stands there twice"),
    ],
)
def test_what_cannot_be_read_is_refused(make, words):
    with pytest.raises(UserError) as error:
        make()
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"axes": [Axis("augment.dif", ("True",))]}, "--set augment.dif=True: no such key; did you mean"),
        ({"axes": [Axis("augment.diff", ("2",))]}, "--set augment.diff=2: not True or False"),
        ({"axes": [Axis("loss.tv", ("0.1", "-1"))]}, "--set loss.tv=-1.0: must be 0 or more"),
        ({"axes": [Axis("loss.tv", ("0.1", "0.10"))]}, "--set: loss.tv=0.10 stands there twice"),
        ({"axes": [Axis("steps", ("1",))] * 2}, "--set: 'steps' stands there twice"),
        ({"axes": [Axis("steps", ("1",))], "fixed": [("steps", "2")]}, "--config.steps gives it too"),
        ({"fixed": [("prompt", "x")]}, "--config.prompt: give prompts with --prompts"),
        ({"specs": ["demo", "demo"]}, "--config: 'demo' stands there twice"),
        ({"specs": ["demo:none"]}, "unknown variant 'none'"),
    ],
)
def test_plans_that_cannot_be_are_refused(arguments, words):
    specs = arguments.pop("specs", ["demo"])
    with pytest.raises(UserError) as error:
        make_plan(specs, [SPHERE], **arguments)
    assert words in str(error.value)


def test_two_files_of_one_name_would_share_their_folders(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text((ROOT / "configs" / "demo.py").read_text())
    files = [str(tmp_path / name / "mine.py") for name in ("a", "b")]
    assert make_plan(files[:1], [SPHERE]).runs[0].name == "mine_a-red-sphere_seed0"
    with pytest.raises(UserError, match="would share the folder mine_a-red-sphere_seed0"):
        make_plan(files, [SPHERE])


def test_a_file_goes_by_its_absolute_path(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text((ROOT / "configs" / "demo.py").read_text())
    monkeypatch.chdir(tmp_path)
    assert make_plan(["mine.py:vox_imp"], [SPHERE]).runs[0].spec == f"{tmp_path}/mine.py:vox_imp"


def test_planning_needs_no_jax():
    program = (
        "import sys; from voxjax import sweep; from voxjax.sweeping import cluster, displays, outlook\n"
        "from voxjax.sweeping.plan import make_plan; make_plan(['demo:all', 'vox_exp:low'], ['a'])\n"
        "print([name for name in ('jax', 'jaxlib', 'flax', 'ray') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
