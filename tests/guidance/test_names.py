"""Names of CLIPs: folders, the hub (a small one, served from this process), the cache, and no network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import small_hub

from voxjax.errors import UserError
from voxjax.guidance import catalogue, loading, names

SMALL = {"config.json", "tokenizer.json", "vocab.json", "merges.txt", "preprocessor_config.json", "README.md"}
OPENAI = SMALL | {"flax_model.msgpack", "pytorch_model.bin", "tf_model.h5"}


def folder_with(path, files):
    path.mkdir()
    for file in files:
        (path / file).write_text(file)
    return path


def test_every_name_has_its_sizes():
    assert set(names.HUB_NAMES) == set(catalogue.ARCHITECTURES), "a name needs its line in both"


def test_a_folder_is_its_own_name(tmp_path):
    folder = folder_with(tmp_path / "mine", OPENAI)
    assert names.locate(str(folder)) == folder
    assert names.locate("anything at all", path=str(folder)) == folder


def test_a_folder_wins_over_a_hub_name(tmp_path, monkeypatch):
    (tmp_path / "owner").mkdir()
    folder_with(tmp_path / "owner" / "model", OPENAI)
    monkeypatch.chdir(tmp_path)
    assert names.locate("owner/model") == Path("owner/model")


@pytest.mark.parametrize("name", ["pocket", "pocket-eval"])
def test_shipped_models_are_inside_the_package(name, monkeypatch):
    monkeypatch.setattr(names, "_complete", lambda folder: folder)
    assert names.locate(name) == Path(names.__file__).parents[1] / "pocket" / name


@pytest.mark.parametrize(
    "name", ["RN999", "vit-b/32/x", "./nowhere", "/nowhere/model", "~no-such-user/model", ""]
)
def test_an_unknown_name_is_answered_with_the_known_ones(name):
    with pytest.raises(UserError) as caught:
        names.locate(name)
    for known in (repr(name), "pocket", "pocket-eval", "ViT-B/32", "ViT-B/16", "ViT-L/14", "folder"):
        assert known in str(caught.value)


def test_a_name_that_no_hub_can_have():
    with pytest.raises(UserError, match="'a--b/c..d' cannot be the name"):
        names.locate("a--b/c..d")


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ({"config.json"}, "config.json"),
        ({"flax_model.msgpack"}, "model.safetensors or flax_model.msgpack"),
        ({"tokenizer.json", "merges.txt"}, "tokenizer.json or vocab.json and merges.txt"),
    ],
)
def test_a_folder_that_lacks_files_is_refused(tmp_path, gone, named):
    folder = folder_with(tmp_path / "part", OPENAI - gone)
    with pytest.raises(UserError, match=f"lacks {named}$"):
        names.locate(str(folder))
    with pytest.raises(UserError, match="no folder .*absent"):
        names.locate("pocket", path=tmp_path / "absent")


def test_a_link_to_nothing_is_no_file(tmp_path, monkeypatch):
    """As in a cache whose blobs were deleted, or were not copied along."""
    folder = folder_with(tmp_path / "snapshot", OPENAI - {"flax_model.msgpack"})
    for file in ("flax_model.msgpack", "open_clip_config.json"):
        (folder / file).symlink_to(tmp_path / "blob")
    fetched = folder_with(tmp_path / "fetched", OPENAI)
    monkeypatch.setattr(names, "_cached", lambda repository, revision: folder)
    monkeypatch.setattr(names, "_fetch", lambda name, repository, revision, again: fetched)
    lacking = "model.safetensors or flax_model.msgpack"
    assert names.find("ViT-B/32") == (folder, [lacking])
    assert names.locate("ViT-B/32") == fetched
    with pytest.raises(UserError, match=f"lacks {lacking}$"):
        names.locate(str(folder))
    with pytest.raises(UserError, match=r"snapshot/config\.json"):  # the layout is that of transformers
        loading.describe(folder, "float32")
    monkeypatch.setattr(names, "SHIPPED", {})
    monkeypatch.setattr(names, "HUB_NAMES", {"ViT-B/32": names.HUB_NAMES["ViT-B/32"]})
    assert [entry.place for entry in catalogue.entries("float32")] == ["in part"]


@pytest.mark.parametrize(
    ("files", "needed"),
    [
        (OPENAI, ["config.json", "preprocessor_config.json", "tokenizer.json", "flax_model.msgpack"]),
        (
            OPENAI - {"tokenizer.json"} | {"model.safetensors"},
            ["config.json", "preprocessor_config.json", "vocab.json", "merges.txt", "model.safetensors"],
        ),
        (
            {"config.json", "tokenizer.json", "vocabulary.json", "model.safetensors.index.json"}
            | {"model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"},
            ["config.json", "vocabulary.json", "tokenizer.json", "model-00001-of-00002.safetensors"]
            + ["model-00002-of-00002.safetensors", "model.safetensors.index.json"],
        ),
    ],
)
def test_only_one_form_of_everything_is_fetched_and_weights_last(files, needed):
    assert names.needed_files(files) == needed


@pytest.fixture
def hub():
    class Hub(small_hub.Hub):
        repositories = {
            "openai/clip-vit-base-patch32": {file: f"content of {file}".encode() for file in OPENAI},
            "owner/pickled": dict.fromkeys(SMALL | {"pytorch_model.bin"}, b""),
        }

    with small_hub.serve(Hub):
        yield Hub


def locate_elsewhere(cache, *wanted, **environment):
    """`names.locate` in a fresh process, as the hub's address is read at import: one line for each name."""
    program = """
import sys
from voxjax.errors import UserError
from voxjax.guidance import names
for name in sys.argv[1:]:
    try:
        print(names.locate(name))
    except UserError as error:
        print("refused:", error)
"""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment = {**inherited, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **environment}
    command = [sys.executable, "-c", program, *wanted]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(wanted)
    return lines


def test_the_hub_gives_what_is_needed_and_no_pickle_and_then_the_cache_does(hub, tmp_path):
    wanted = ("ViT-B/32", "owner/pickled", "owner/nothing")
    found, pickled, nothing = locate_elsewhere(tmp_path, *wanted, HF_ENDPOINT=hub.address())
    needed = ["config.json", "flax_model.msgpack", "preprocessor_config.json", "tokenizer.json"]
    assert sorted(hub.fetched) == needed and hub.fetched[-1] == "flax_model.msgpack"
    assert sorted(file.name for file in Path(found).iterdir()) == needed
    assert (Path(found) / "config.json").read_text() == "content of config.json"
    assert "owner/pickled (revision main) lacks model.safetensors or flax_model.msgpack" in pickled
    assert "no such public repository" in nothing and "pocket, pocket-eval" in nothing

    hub.fetched.clear()
    assert locate_elsewhere(tmp_path, "openai/clip-vit-base-patch32", HF_ENDPOINT="http://127.0.0.1:9") == [
        found
    ]
    (Path(found) / "flax_model.msgpack").unlink()
    assert locate_elsewhere(tmp_path, "ViT-B/32", HF_ENDPOINT=hub.address()) == [found]
    assert (Path(found) / "flax_model.msgpack").is_file()
    assert set(hub.fetched) <= {"flax_model.msgpack"}


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"HF_HUB_OFFLINE": "1"}, "HF_HUB_OFFLINE is set"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "no connection to http://127.0.0.1:9"),
    ],
)
def test_without_a_network_one_line_says_what_to_fetch_and_where_to_put_it(tmp_path, environment, reason):
    line, other = locate_elsewhere(tmp_path, "ViT-L/14", "RN50x4", **environment)
    assert line.startswith("refused: ViT-L/14 is not in the cache")
    for part in (
        reason,
        "openai/clip-vit-large-patch14",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ):
        assert part in line
    for part in ("timm/resnet50x4_clip.openai", "open_clip_config.json", "open_clip_model.safetensors"):
        assert part in other
    for place in ("--config.clip.path", "HF_HOME", str(tmp_path)):
        assert place in line and place in other


def test_looking_up_a_name_imports_no_transformers():
    program = "import sys, voxjax.guidance; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "voxjax.guidance.names" in loaded
    assert not loaded & {"transformers", "huggingface_hub", "torch"}
