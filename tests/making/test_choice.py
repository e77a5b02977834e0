"""Which config a prompt gets on which machine: one row a machine."""

import dataclasses
import itertools

import pytest
from helpers.small_training import ROOT

from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.guidance.shipped import Fit
from voxjax.making.choice import choose, given, needs_network, time_words
from voxjax.making.options import GIB, QUALITIES, Choice, Machine

BONSAI = ("a bonsai tree", Fit("picturebook", ("bonsai",), "the nearest that it knows: for 'bonsai' 'bison'"))
SPHERE, STRAWBERRY = ("a red sphere", Fit("pocket")), ("a strawberry", Fit("picturebook"))
B32, B16, L14 = "ViT-B/32", "ViT-B/16", "ViT-L/14"


def cpu(*cached, cores=2, online=False, gib=16):
    return Machine("cpu", False, gib * GIB, cores, frozenset(cached), online)


def gpu(gib, *cached, online=False):
    """A card of so many gigabytes, of which jax takes three quarters."""
    return Machine(f"a card of {gib} GB", True, int(gib * 0.75e9 * 1.05), 8, frozenset(cached), online)


TABLE = [
    # without an accelerator
    (SPHERE, "good", cpu(), "demo", {}),
    (SPHERE, "draft", cpu(), "demo", {"steps": "80"}),
    (SPHERE, "best", cpu(), "demo:vox_imp", {}),
    (SPHERE, "good", cpu(B32, L14, online=True), "demo", {}),
    (STRAWBERRY, "good", cpu(B32, L14, online=True), "demo", {}),
    (STRAWBERRY, "good", gpu(24, B32), "vox_exp:mid", {}),
    (BONSAI, "good", cpu(B32), "small:good", {}),
    (BONSAI, "draft", cpu(B32), "small:draft", {}),
    (BONSAI, "best", cpu(B32, B16, L14), "small:best", {}),
    (BONSAI, "good", cpu(online=True), "small:good", {}),
    (BONSAI, "good", cpu("ViT-B-32:laion2b"), "small:good", {"clip.model": "ViT-B-32:laion2b"}),
    (BONSAI, "good", cpu("ViT-B-32:laion2b", online=True), "small:good", {"clip.model": "ViT-B-32:laion2b"}),
    (BONSAI, "good", cpu("RN50", L14), "small:good", {"clip.model": "RN50"}),
    (BONSAI, "good", cpu(L14), "small:good", {"clip.model": L14}),
    # what is here is taken before what would have to be fetched, unless only the best will do
    (BONSAI, "good", gpu(8, B32), "vox_exp:low", {}),
    (BONSAI, "good", gpu(8, B32, B16, L14, online=True), "vox_exp:low", {}),
    (BONSAI, "good", gpu(8, online=True), "vox_exp:low", {}),
    (BONSAI, "best", gpu(8, B32), "vox_exp:low", {}),
    (BONSAI, "good", gpu(12, B32), "vox_exp:mid", {}),
    (BONSAI, "good", gpu(16, B32, B16), "vox_exp:mid", {}),
    (BONSAI, "good", gpu(24, B32), "vox_exp:mid", {}),
    (BONSAI, "good", gpu(24, B32, online=True), "vox_exp:mid", {}),
    (BONSAI, "good", gpu(24, B32, B16), "vox_exp:paper", {}),
    (BONSAI, "good", gpu(24, online=True), "vox_exp:paper", {}),
    (BONSAI, "best", gpu(24, B32, online=True), "vox_exp:paper", {}),
    (BONSAI, "good", gpu(24, "ViT-B-16:laion2b"), "vox_exp:paper", {"clip.model": "ViT-B-16:laion2b"}),
    (BONSAI, "good", gpu(24, "RN50"), "vox_exp:mid", {"clip.model": "RN50"}),
    (BONSAI, "good", gpu(80, B32, B16, L14), "vox_exp:paper", {}),
    (BONSAI, "best", gpu(80, B32, B16, L14), "vox_exp:ensemble", {}),
    (BONSAI, "best", gpu(80, B32, B16), "vox_exp:paper", {}),
    (BONSAI, "best", gpu(80, B32, B16, online=True), "vox_exp:ensemble", {}),
    (
        BONSAI,
        "best",
        gpu(80, B32, "ViT-L-14:laion2b"),
        "vox_exp:ensemble",
        {"clip2.model": "ViT-L-14:laion2b"},
    ),
    (BONSAI, "draft", gpu(24, B32, B16), "vox_exp:low", {"steps": "3000"}),
    # little is left on the card: micro-batches, and then the config for a CPU
    (BONSAI, "good", gpu(4, B32), "vox_exp:low", {}),
    (BONSAI, "good", gpu(2, B32), "small:good", {}),
    # words that the small CLIP knows, on an accelerator
    (SPHERE, "draft", gpu(24, B32), "demo", {"steps": "80"}),
    (SPHERE, "good", gpu(24, B32), "vox_exp:mid", {}),
    (SPHERE, "good", gpu(24), "demo", {}),
    (SPHERE, "best", gpu(8), "demo:vox_imp", {}),
]


@pytest.mark.parametrize(("prompt", "quality", "machine", "config", "settings"), TABLE)
def test_the_table(prompt, quality, machine, config, settings):
    text, small = prompt
    choice = choose(text, small, quality, machine)
    assert (choice.config, dict(choice.settings)) == (config, settings)
    loaded = load(choice.config, [*choice.settings, ("prompt", text)])
    # The line names what it is, and says nothing that cannot be: one line, a CLIP that can be had.
    assert choice.words.startswith(config) and "\n" not in choice.words and choice.seconds > 0
    for model in filter(None, [loaded.clip.model, loaded.clip2.model]):
        assert model == "auto" or model in machine.cached or machine.online
        assert (small.model if model == "auto" else model) in choice.words
    assert choice.measured == (not machine.accelerator or loaded.clip.model == "auto")


WORDS = [
    (SPHERE, cpu(), ["demo under pocket, which ships and knows every word of it"]),
    (STRAWBERRY, cpu(), ["demo under picturebook, which ships and knows every word of it"]),
    (BONSAI, cpu(B32, cores=4), [f"small:good under {B32} (in the cache), as there are 4 cores and no GPU"]),
    (BONSAI, cpu(online=True), ["ViT-B/32 fetched first, 605 MB"]),
    (BONSAI, gpu(8, B32), ["vox_exp:low under ViT-B/32", "a card of 8 GB has 5.9 GiB free"]),
    (SPHERE, gpu(24), ["no other CLIP is in the cache and the hub does not answer"]),
]


@pytest.mark.parametrize(("prompt", "machine", "words"), WORDS)
def test_the_line_says_why(prompt, machine, words):
    choice = choose(*prompt, "good", machine)
    assert all(part in choice.words for part in words)


def test_what_nothing_here_can_make_is_one_line_that_says_what_would():
    for machine, quality in itertools.product((cpu(), gpu(24)), QUALITIES):
        with pytest.raises(UserError) as caught:
            choose(*BONSAI, quality, machine)
        words = str(caught.value)
        for part in (
            "'a bonsai tree'",
            "do not know 'bonsai'",
            "for 'bonsai' 'bison'",
            "voxjax guidance fetch ViT-B/32",
        ):
            assert part in words
        assert "\n" not in words


def test_less_memory_never_gives_a_larger_config():
    order = ["small", "vox_exp:low", "vox_exp:mid", "vox_exp:paper", "vox_exp:ensemble"]
    for quality in ("good", "best"):
        chosen = [
            choose(*BONSAI, quality, gpu(size, B32, B16, L14)).config
            for size in (1, 2, 4, 8, 12, 16, 24, 40, 80)
        ]
        ranks = [order.index(config if "vox" in config else "small") for config in chosen]
        assert ranks == sorted(ranks) and ranks[0] == 0 and len(set(ranks)) >= 4


@pytest.mark.parametrize(
    ("prompt", "quality", "machine", "wanted"),
    [
        (SPHERE, "good", cpu(), False),
        (BONSAI, "good", cpu(B32), False),
        (BONSAI, "good", cpu(), True),
        (BONSAI, "good", cpu("RN50"), True),  # ViT-B/32 would be better
        (BONSAI, "good", gpu(24, B32), False),
        (BONSAI, "best", gpu(24, B32), True),
        (BONSAI, "best", gpu(24, B32, B16), False),
        (SPHERE, "good", gpu(24), True),
        (SPHERE, "draft", gpu(24), False),
    ],
)
def test_the_network_is_asked_only_where_it_matters(prompt, quality, machine, wanted):
    assert needs_network(*prompt, quality, machine) == wanted


def test_more_cores_take_less_time_up_to_a_point():
    seconds = [choose(*BONSAI, "good", cpu(B32, cores=n)).seconds for n in (1, 2, 4, 16, 64)]
    assert seconds[0] == 2 * seconds[1] == 4 * seconds[2] and seconds[3] == seconds[4]
    drafts = [choose(*BONSAI, quality, cpu(B32)).seconds for quality in QUALITIES]
    assert drafts == sorted(drafts)


@pytest.mark.parametrize(
    ("config", "changed", "seconds"),
    [
        ("demo", False, 50),
        (f"{ROOT}/configs/demo.py", False, 50),
        ("demo:vox_imp", False, 110),
        ("demo", True, None),
        ("demo:dream_fields", False, None),
        ("vox_exp:low", False, None),
    ],
)
def test_what_the_user_names_is_taken(config, changed, seconds):
    choice = given(config, 2, changed=changed)
    assert (choice.config, choice.settings, choice.seconds) == (config, (), seconds)
    assert choice.words == f"{config}, as --config says"


def test_another_file_of_the_same_name_is_another_config(tmp_path):
    (tmp_path / "demo.py").write_text("")
    assert given(str(tmp_path / "demo.py"), 2, changed=False).seconds is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "its first steps tell how long it takes"),
        (3, "about 10 seconds"),
        (52, "about 50 seconds"),
        (110, "about 2 minutes"),
        (1650, "about 30 minutes"),
        (10000, "about 2.8 hours"),
    ],
)
def test_times_in_words(seconds, words):
    choice = Choice("demo", (), "", seconds)
    assert time_words(choice) == words
    if seconds:
        reckoned = time_words(dataclasses.replace(choice, measured=False))
        assert reckoned == f"{words}, reckoned and never measured on such a device"
