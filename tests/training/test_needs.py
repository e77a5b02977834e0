"""Memory as it is reckoned, against what XLA's analysis says of the compiled step."""

import jax
import pytest

from benchmarks.memory_step import compile_step
from voxjax.config.loading import load
from voxjax.factory import make_plan
from voxjax.guidance import load_guidance
from voxjax.making.options import DEMO, LARGE, SMALL
from voxjax.training import assembly
from voxjax.training.needs import needs_of, tree_bytes

WHOLE = [("prompt", "a red sphere"), ("progressive.boundaries", "()")]
COMPILED = [
    ("demo", {}),
    pytest.param(
        "demo:dream_fields", {"dream_fields.chunk": 8192, "clip.micro_batch": 4}, marks=pytest.mark.slow
    ),
    pytest.param("demo:vox_imp", {"vox_imp.slab": 8192}, marks=pytest.mark.slow),
    pytest.param("demo", {"field.side": 96, "cameras.width_px": 96}, marks=pytest.mark.slow),
    pytest.param("vox_imp:low", {"clip.model": "pocket", "augment.n_diff": 8}, marks=pytest.mark.slow),
    pytest.param("dream_fields:lq", {"clip.model": "pocket"}, marks=pytest.mark.slow),
    # One at full size: ViT-B/32 without its weights.
    pytest.param("vox_exp:low", {}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("spec", "changes"), COMPILED)
def test_what_is_reckoned_is_within_a_quarter_of_the_compiled_step(spec, changes):
    config = load(spec, [*WHOLE, *((key, str(value)) for key, value in changes.items())])
    memory, _ = compile_step(config, "float32")
    needs = needs_of(config, dtype="float32", on_cpu=True)
    assert 0.75 < needs.temporary / memory.temp_size_in_bytes < 1.25
    arguments = needs.weights + needs.state / 2  # the first state is no argument
    assert arguments == pytest.approx(memory.argument_size_in_bytes, rel=0.05)


@pytest.mark.parametrize("spec", ["demo", "demo:vox_imp", "demo:dream_fields"])
def test_the_state_is_counted_exactly(spec):
    config = load(spec, WHOLE)
    state = jax.eval_shape(lambda: assembly.first_state(config, make_plan(config), jax.random.key(0)))
    counted = needs_of(config, dtype="float32").state
    of_state = tree_bytes((state.params, state.tracked, state.opt_state))
    assert counted == pytest.approx(2 * of_state, rel=1e-3)


def test_weights_are_those_that_guidance_keeps(tiny_clip):
    config = load("demo", [*WHOLE, ("clip.model", str(tiny_clip)), ("clip2.model", "pocket")])
    models = [load_guidance(str(tiny_clip))[0], load_guidance("pocket")[0]]
    assert needs_of(config, dtype="float32").weights == sum(tree_bytes(model.params) for model in models)


def test_the_largest_step_counts():
    """The final grid where all is alike, and the time of a second CLIP where that fills the memory."""
    base = [("prompt", "x"), ("clip.model", "pocket"), ("cameras.width_px", "64"), ("augment.n_diff", "64")]
    growing = needs_of(load("vox_exp", base), dtype="float32")
    whole = needs_of(load("vox_exp", [*base, *WHOLE]), dtype="float32")
    assert growing == whole
    early = [("clip2.model", "pocket-eval"), ("clip2.start", "0"), ("clip2.end", "0.1")]
    both = needs_of(load("vox_exp", [*base, *early]), dtype="float32")
    assert both.micro_batch == (512, 512) and both.state < growing.state and both.clips > growing.clips


MANY = [*WHOLE, ("augment.n_diff", "64")]  # images, so that the CLIP is what fills the memory


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("clip.micro_batch", 64),
        ("clip.remat", True),
        ("cameras.width_px", 24),
        ("augment.n_diff", 32),
        ("cameras.views_per_step", 2),
    ],
)
def test_what_saves_memory_is_seen_to_save_it(key, value):
    before = needs_of(load("demo", MANY), dtype="bfloat16")
    changed = [pair for pair in MANY if pair[0] != key]
    after = needs_of(load("demo", [*changed, (key, str(value)), ("augment.crop_px", "4")]), dtype="bfloat16")
    assert after.total < 0.95 * before.total


def test_free_memory_chooses_the_micro_batch():
    whole = needs_of(load("demo", MANY), dtype="bfloat16")
    assert whole.micro_batch == (512,)
    free = whole.clips // 2
    tight = needs_of(load("demo", MANY), dtype="bfloat16", free=free)
    assert tight.micro_batch[0] < 256 and tight.clips <= free / 2
    assert tight.clips == pytest.approx(whole.clips * tight.micro_batch[0] / 512)
    wanted = load("demo", [*MANY, ("clip.micro_batch", "256")])
    assert needs_of(wanted, dtype="bfloat16", free=free).micro_batch == (256,)


OPTIONS = {
    option.config: option
    for option in (*DEMO.values(), *SMALL.values(), *sum(map(tuple, LARGE.values()), ()))
}


# The larger CLIPs take seconds to count.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=[pytest.mark.slow] * (n in ("vox_exp:paper", "vox_exp:ensemble")))
        for n in OPTIONS
    ],
)
def test_what_make_believes_of_its_configs_is_what_is_reckoned(name):
    option = OPTIONS[name]
    config = load(option.config, [("prompt", "a strawberry")])
    needs = needs_of(config, dtype="bfloat16")
    assert needs.total == pytest.approx(option.needs, rel=0.12)
    models = [config.clip.model, *filter(None, [config.clip2.model])]
    assert tuple(models) == option.models
