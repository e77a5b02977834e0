"""`python -m voxjax.guidance`: the list, fetching from a hub on this machine, and what a model says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import small_hub
from PIL import Image
from safetensors.numpy import load_file

from voxjax.errors import UserError
from voxjax.guidance import catalogue, check, load_guidance, loading, names, openclip
from voxjax.guidance.__main__ import main
from voxjax.pocket import captions

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"
POCKET = Path(names.__file__).parents[1] / "pocket" / "pocket"

# Millions of parameters of image tower and in all, as open_clip's published profile of its models has them.
PUBLISHED = {
    "ViT-B/32": (87.85, 151.28),
    "ViT-B/16": (86.19, 149.62),
    "ViT-L/14": (303.97, 427.62),
    "ViT-L/14@336px": (304.29, 427.94),
    "RN50": (38.32, 102.01),
    "RN101": (56.26, 119.69),
    "RN50x4": (87.14, 178.30),
    "RN50x16": (167.33, 290.98),
    "ViT-B-32:laion2b": (87.85, 151.28),
    "ViT-B-16:laion2b": (86.19, 149.62),
    "ViT-L-14:laion2b": (303.97, 427.62),
    "ViT-B-16-plus-240:laion400m": (117.21, 208.38),
}
# The same in full, as counted on OpenAI's own models.
EXACT = {
    "ViT-B/32": 151_277_313,
    "ViT-L/14": 427_616_513,
    "ViT-L/14@336px": 427_944_193,
    "RN50": 102_007_137,
    "RN101": 119_688_033,
    "RN50x4": 178_300_601,
}


def command(*lines, cache, **environment):
    """Runs command lines in one fresh process, as the hub's address is read at import.

    Returns:
      Exit code and text of each; `cut FILE` stands for taking away the file's last 1000 bytes.
    """
    program = """
import contextlib, io, json, os, sys
from voxjax.command import run_command
from voxjax.guidance.__main__ import main
for line in json.loads(sys.argv[1]):
    if line[0] == "cut":
        os.truncate(line[1], os.path.getsize(line[1]) - 1000)
        continue
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            run_command(main, line)
        except SystemExit as end:
            code = end.code
    print("RESULT", json.dumps([code, text.getvalue()]))
"""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment = {**inherited, "HF_HOME": str(cache), "NO_PROXY": "127.0.0.1", **environment}
    process = [sys.executable, "-c", program, json.dumps(lines)]
    done = subprocess.run(process, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return [tuple(json.loads(line.removeprefix("RESULT "))) for line in found]


def run_module(*line, cache):
    environment = {**os.environ, "HF_HOME": str(cache), "HF_ENDPOINT": NOWHERE}
    process = [sys.executable, "-m", "voxjax.guidance", *line]
    done = subprocess.run(process, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def put_into_cache(cache, repository, files):
    folder = cache / "hub" / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / small_hub.Hub.sha
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(small_hub.Hub.sha)
    for file, size in files.items():
        (snapshot / file).write_bytes(bytes(size))


@pytest.mark.slow
def test_every_named_model_is_listed_without_a_network(tmp_path):
    whole = {"open_clip_config.json": 10, "tokenizer.json": 10, "open_clip_model.safetensors": 7_300_000}
    put_into_cache(tmp_path, "timm/resnet50_clip.openai", whole)
    put_into_cache(tmp_path, "openai/clip-vit-base-patch32", {"config.json": 10})
    header, *rows = run_module("list", cache=tmp_path)
    assert " ".join(header.split()) == "name image tower in all pixels embedding memory disk where"
    table = {row.split()[0]: " ".join(row.split()[1:]) for row in rows[: rows.index("")]}
    assert list(table) == [*names.SHIPPED, *names.HUB_NAMES]
    # A stand-in for the weights, so the size is that of the file; of what is not whole, that of float32.
    assert table["RN50"] == "38.3 M 102.0 M 224 1024 153 MB 7 MB in the cache"
    assert table["ViT-B/32"] == "87.8 M 151.3 M 224 512 351 MB ~605 MB in part"
    assert table["RN50x4"] == "87.1 M 178.3 M 288 640 349 MB ~713 MB to fetch"
    assert table["pocket"].endswith(" 4 MB shipped")
    assert len({len(row[: row.index("MB")]) for row in rows[: rows.index("")]}) == 1, "columns line up"
    assert str(tmp_path / "hub") in rows[-1]


@pytest.mark.parametrize("name", names.HUB_NAMES)
def test_published_architectures_count_what_was_published(name):
    image, text = catalogue.published_shapes(catalogue.ARCHITECTURES[name])
    whole = catalogue.count(image) + catalogue.count(text) + 1
    assert (catalogue.count(image) / 1e6, whole / 1e6) == pytest.approx(PUBLISHED[name], abs=0.0051)
    assert whole == EXACT.get(name, whole)


@pytest.mark.parametrize(("layers", "patch_size"), [((3, 1, 4, 2), None), (4, 16)])
def test_repeated_layers_are_those_of_the_whole_tower(layers, patch_size):
    small = catalogue.Architecture(64, 24, layers, 64, 128, patch_size=patch_size)
    image_tower, text_tower = openclip.towers(small.model_cfg(), np.float32, source=Path("small"))
    image, text = catalogue.published_shapes(small)
    assert image == loading.image_tower_shapes(image_tower, 64)
    assert text == loading.text_tower_shapes(text_tower, 77)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_shipped_model_is_as_large_as_its_file_and_its_guidance(dtype, monkeypatch):
    monkeypatch.setattr(names, "SHIPPED", {"pocket": "pocket"})
    monkeypatch.setattr(names, "HUB_NAMES", {})
    (entry,) = catalogue.entries(np.dtype(jax.numpy.dtype(dtype)))
    tensors = load_file(POCKET / "model.safetensors")
    assert entry.parameters == sum(tensor.size for tensor in tensors.values())
    of_image = [tensor.size for name, tensor in tensors.items() if name.startswith("vis")]
    assert entry.image_parameters == sum(of_image)
    guidance, _ = load_guidance("pocket", dtype=dtype)
    assert entry.memory_bytes == sum(leaf.nbytes for leaf in jax.tree.leaves(guidance.params))
    assert entry.disk_bytes == (POCKET / "model.safetensors").stat().st_size
    assert (entry.image_size, entry.embedding_size) == (48, 128)


@pytest.fixture
def hub(tiny_clip):
    whole = {file.name: file.read_bytes() for file in Path(tiny_clip).iterdir()}
    deeper = json.loads(whole["config.json"])
    deeper["vision_config"]["num_hidden_layers"] += 1

    class Hub(small_hub.Hub):
        repositories = {
            "owner/tiny": whole,
            "owner/lacking": {**whole, "config.json": json.dumps(deeper).encode()},
        }

    with small_hub.serve(Hub):
        yield Hub


def test_fetching_goes_on_where_it_stopped_and_sees_that_all_is_there(hub, tmp_path):
    weights = hub.repositories["owner/tiny"]["model.safetensors"]
    folder = tmp_path / "hub" / "models--owner--tiny" / "snapshots" / hub.sha
    blob = tmp_path / "hub" / "models--owner--tiny" / "blobs" / "model.safetensors"
    blob.parent.mkdir(parents=True)
    blob.with_name("model.safetensors.incomplete").write_bytes(weights[:1000])
    wrong, first, second, damaged, again, lacking, absent, shipped = command(
        ["fetch", "owner/tiny", "no such thing"],
        ["fetch", "owner/tiny"],
        ["fetch", "owner/tiny"],
        ["cut", str(blob)],
        ["fetch", "owner/tiny"],
        ["fetch", "--again", "owner/tiny"],
        ["fetch", "owner/lacking"],
        ["fetch", "owner/absent"],
        ["fetch", "pocket"],
        cache=tmp_path,
        HF_ENDPOINT=hub.address(),
    )
    n_tensors = len(load_file(folder / "model.safetensors"))
    assert first[0] == second[0] == again[0] == shipped[0] == 0
    assert f"owner/tiny: fetched, all {n_tensors} parameter arrays are there: {folder}" in first[1]
    assert f"owner/tiny: already complete, all {n_tensors} parameter arrays" in second[1]
    assert "owner/tiny: fetched" in again[1] and (folder / "model.safetensors").read_bytes() == weights
    assert shipped[1].startswith("pocket: already complete")
    asked = [ask for file, ask in zip(hub.fetched, hub.ranges, strict=True) if file == "model.safetensors"]
    assert asked == ["bytes=1000-", None, None], "the rest, then all anew, then that of another repository"

    for (code, text), parts in (
        (wrong, ["no CLIP called 'no such thing'"]),
        (damaged, ["not a complete safetensors file", "fetch --again"]),
        (lacking, ["missing: vision_model.encoder.layers."]),
        (absent, ["no such public repository", "--config.clip.path", "HF_HOME", str(tmp_path)]),
    ):
        assert code == 2 and all(part in text for part in parts), text
        assert text.splitlines()[-1].startswith("voxjax: ") and text.count("voxjax: ") == 1
    assert all(text.count("\n") == 1 for _, text in (wrong, damaged, absent))


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A blue sphere on white under one light, larger than the models take it."""
    y, x = np.mgrid[:96, :96] / 47.5 - 1
    z = np.sqrt(np.maximum(0.49 - x**2 - y**2, 0)) / 0.7
    light = 0.45 + 0.55 * np.maximum(0.7 * z - 0.5 * x / 0.7 - 0.5 * y / 0.7, 0)
    render = np.where(z[..., None] > 0, light[..., None] * captions.COLOURS["blue"], 1.0)
    file = tmp_path_factory.mktemp("picture") / "sphere.png"
    Image.fromarray(np.uint8(255 * render.clip(0, 1) + 0.5)).save(file)
    return file


def test_the_pocket_model_names_a_render(picture, tmp_path):
    said, header, first, *others = run_module("check", "pocket", f"--image={picture}", cache=tmp_path)
    assert "48 px" in said and "over 80 captions" in said
    assert header.split() == ["share", "cosine", "caption"]
    share, _, name = first.split(maxsplit=2)
    assert name == "a blue sphere" and float(share.rstrip("%")) > 50
    assert len(others) == 4


def test_shares_are_the_softmax_under_the_models_own_scale(picture, tmp_path, capsys):
    file = tmp_path / "captions.txt"
    file.write_text("a red sphere\n\n a blue cube\na red sphere\na cyan torus\n")
    folder = POCKET
    main(["check", f"--path={folder}", f"--image={picture}", f"--captions={file}", "--top=2"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(str(folder)) and "over 3 captions" in lines[0] and len(lines) == 4
    asked = ["a red sphere", "a blue cube", "a cyan torus"]
    guidance, texts = load_guidance("pocket", prompts=asked, dtype="float32")
    pixels = Image.open(picture).convert("RGB").resize((48, 48), Image.Resampling.BICUBIC)
    image = np.asarray(pixels, np.float32)[None] / 255
    cosines = np.asarray(jax.jit(guidance.encode)(guidance.params, image) @ texts.T, np.float64)[0]
    weights = np.exp(np.exp(load_file(folder / "model.safetensors")["logit_scale"]) * cosines)
    shares = dict(zip(asked, weights / weights.sum(), strict=True))
    for line, text in zip(lines[2:], sorted(asked, key=lambda text: -shares[text]), strict=False):
        share, cosine, caption = line.split(maxsplit=2)
        assert caption == text
        assert float(share.rstrip("%")) / 100 == pytest.approx(shares[text], abs=1e-3)
        assert float(cosine) == pytest.approx(cosines[asked.index(text)], abs=1e-3)


def test_built_in_captions_are_of_words_that_the_model_knows(tmp_path):
    assert check.built_in_captions(POCKET) == captions.single_captions()
    assert check.built_in_captions(tmp_path) == list(check.CAPTIONS), "a model that knows any word"
    (tmp_path / "vocabulary.json").write_text(json.dumps({"words": ["a", "red", "bird"]}))
    with pytest.raises(UserError, match="lists no captions.*--captions.*a, red, bird"):
        check.built_in_captions(tmp_path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ([], "command"),
        (["teach"], "'teach'.*list.*fetch.*check"),
        (["fetch"], "NAME"),
        (["fetch", "RN999"], "no CLIP called 'RN999'"),
        (["list", "--all"], "--all"),
        (["check", "pocket"], "--image"),
        (["check", "--image=x.png"], "NAME.*--path"),
        (["check", "pocket", "--image=x.png", "--top=0"], "1 to 1000"),
        (["check", "pocket", "--image=absent.png"], "absent.png: cannot be read as a picture"),
        (["check", "--path=absent", "--image=x.png"], "no folder absent"),
        (["check", "pocket", "--image=x.png", "--captions=absent.txt"], "--captions=absent.txt"),
        (["check", "pocket", "--image=x.png", "--captions=one.txt"], "holds 1 captions"),
        (["check", "pocket", "--image={picture}", "--captions=bonsai.txt"], "does not know 'bonsai'"),
    ],
)
def test_mistakes_are_named(line, message, picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("one.txt").write_text("a red sphere\n\na red sphere\n")
    Path("bonsai.txt").write_text("a red sphere\na bonsai\n")
    with pytest.raises(UserError, match=message) as caught:
        main([word.format(picture=picture) for word in line])
    assert "\n" not in str(caught.value)
