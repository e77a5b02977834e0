"""`launch/voxjax_colab.ipynb`: executed whole on the CPU, and what the stored file must and must not hold."""

import base64
import html
import io
import json
import re
import types

import nbformat
import numpy as np
import pytest
import trimesh
from helpers.small_training import ROOT, environment
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from PIL import Image

from voxjax import notebook as wing
from voxjax.config.loading import load
from voxjax.guidance.names import find
from voxjax.mesh.formats import ENDINGS

FILE = ROOT / "launch" / "voxjax_colab.ipynb"
# A lump that is solid after six steps, made of programs that compile fast.
SMALL = {
    "field.side": 16,
    "field.alpha_init": 0.05,
    "loss.kl": 5.0,
    "optimiser.rate_density": 1.0,
    "cameras.width_px": 16,
    "cameras.views_per_step": 1,
    "progressive.occupancy_every": 0.0,  # or the step is compiled twice
    "augment.crop_px": 2,
    "dream_fields.width": 16,
    "dream_fields.hidden": 16,
    "dream_fields.n_features": 8,
    "dream_fields.n_samples": 16,
    "dream_fields.n_test_samples": 16,
    "log.every": 1,
    "output.preview_every": 3,
    "output.preview_width_px": 24,
    "output.eval_width_px": 32,
    "output.turntable_width_px": 32,
    "output.turntable_frames": 3,
    "output.mesh": False,
    "output.report": False,
}


def read():
    return nbformat.read(FILE, as_version=4)


def code():
    """Id of each code cell -> its text."""
    return {cell.id: cell.source for cell in read().cells if cell.cell_type == "code"}


def field(name, value):
    """(pattern of a field of the form, what one makes of it by filling it in)."""
    return re.compile(rf"(?m)^{name} = .*?(?=  # @param)"), f"{name} = {value!r}"


@pytest.fixture(scope="module")
def executed(tmp_path_factory, compile_cache):
    """(outputs of each cell by its id, the folder of everything that was made)."""
    folder, filled = tmp_path_factory.mktemp("notebook"), read()
    extra = " ".join(
        f"--config.{key}={value}" for key, value in {**SMALL, "cache_dir": compile_cache}.items()
    )
    for name, value in {"STEPS": 6, "EXTRA": extra}.items():
        pattern, text = field(name, value)
        (cell,) = (cell for cell in filled.cells if pattern.search(cell.source))
        cell.source = pattern.sub(lambda _, text=text: text, cell.source)
    surroundings = environment(
        IPYTHONDIR=str(folder / "ipython"),
        JUPYTER_PLATFORM_DIRS="1",
        JAX_DISABLE_MOST_OPTIMIZATIONS="1",  # half of the time is compiling
    )
    client = NotebookClient(filled, timeout=300, resources={"metadata": {"path": str(folder)}})
    client.execute(env=surroundings)
    (made,) = (folder / "runs" / "notebook").iterdir()
    return {cell.id: cell.outputs for cell in filled.cells if cell.cell_type == "code"}, made


def shown(outputs):
    """The HTML of a cell's outputs."""
    return [each.data["text/html"] for each in outputs if each.output_type == "display_data"]


def held(text):
    """(MIME type, bytes) of the addresses in a text that hold their data."""
    return [
        (kind, base64.b64decode(data, validate=True))
        for kind, data in re.findall(r'(?:src|href)="data:([^;"]+);base64,([^"]*)"', text)
    ]


def framed(text):
    """The page inside a frame."""
    (page,) = re.findall(r'srcdoc="([^"]*)"', text)
    return html.unescape(page)


def test_every_cell_ran_without_an_error_or_a_warning(executed):
    outputs, made = executed
    kinds = {name: [each.output_type for each in each_outputs] for name, each_outputs in outputs.items()}
    assert all(kinds.values()) and "error" not in sum(kinds.values(), [])
    words = {name: "".join(o.get("text", "") for o in each) for name, each in outputs.items()}
    assert (
        "No GPU: the demo" in words["install"]
        and words["form"] == f"demo makes runs/notebook/{made.name}/demo\n"
    )
    assert not any(words[name] for name in words if name not in ("install", "form"))


def test_training_was_watched_and_its_last_preview_stays(executed):
    outputs, made = executed
    state, picture = shown(outputs["train"])
    assert "\x1b" not in (made / "demo.log").read_text()  # plain lines, as the bar shows some of them
    assert "<progress" in state and "a strawberry: demo" in state and "step 6 of 6 · CLIP " in state
    ((kind, content),) = held(picture)
    assert kind == "image/png" and content == (made / "demo" / "preview.png").read_bytes()
    assert np.asarray(Image.open(io.BytesIO(content))).std() > 10


def test_both_turntables_are_in_the_cell(executed):
    outputs, made = executed
    (videos,) = shown(outputs["turntable"])
    files = [made / "demo" / name for name in ("turntable.mp4", "turntable_depth.mp4")]
    assert held(videos) == [("video/mp4", file.read_bytes()) for file in files]


def test_the_mesh_is_in_its_page_and_in_the_link(executed):
    outputs, made = executed
    content = (made / "demo" / "mesh.glb").read_bytes()
    (view,), (link,) = shown(outputs["mesh"]), shown(outputs["download"])
    assert base64.b64encode(content).decode() in framed(view)
    assert held(link) == [("model/gltf-binary", content)] and 'download="mesh.glb"' in link
    mesh = trimesh.load(io.BytesIO(content), file_type="glb", force="mesh")
    assert len(mesh.faces) > 50 and np.ptp(mesh.vertices, axis=0).min() > 0.3


def test_the_comparison_is_in_the_cell(executed):
    outputs, made = executed
    *_, page = shown(outputs["compare"])
    assert framed(page) == (made / "index.html").read_text()
    table = json.loads((made / "compare.json").read_text())
    assert [run["name"] for run in table["runs"]] == ["demo", "demo-dream_fields"]
    for run in table["runs"]:
        assert run["error"] is None and run["summary"]["step"] == 6 and len(run["files"]) == 4
        assert set(run["similarity"]) == {"picturebook", "picturebook-eval"}
    # The run of the cells above was taken as it was.
    assert table["runs"][0]["summary"]["starts"] == 1


def test_a_browser_shows_what_the_cells_hold(executed, page, tmp_path):
    outputs, _ = executed
    parts = [text for name in ("train", "turntable", "mesh", "compare") for text in shown(outputs[name])]
    (tmp_path / "outputs.html").write_text(f"<!doctype html><meta charset=utf-8>{''.join(parts)}")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "outputs.html").as_uri())
    page.wait_for_function(
        "[...document.querySelectorAll('video')].every(v => v.videoWidth && v.currentTime)"
    )
    page.locator("iframe").first.scroll_into_view_if_needed()
    mesh, comparison = page.frame_locator("iframe").first, page.frame_locator("iframe").last
    mesh.locator("body[data-shown='1'] canvas").wait_for()
    page.locator("iframe").last.scroll_into_view_if_needed()
    assert "a strawberry" in comparison.locator("h1").inner_text()
    assert comparison.locator("video").count() == 4
    assert not page.errors and not [
        url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))
    ]


def test_the_stored_notebook_holds_no_results():
    stored = read()
    nbformat.validate(stored)
    for cell in stored.cells:
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None)
    assert stored.metadata.accelerator == "GPU" and "colab" in stored.metadata
    assert stored.metadata.kernelspec.name == "python3"


def test_cells_are_short_forms():
    for name, text in code().items():
        assert text.startswith("# @title ") and len(text.splitlines()) <= 25, name
    assert all(cell.metadata.cellView == "form" for cell in read().cells if cell.cell_type == "code")


def choices(name):
    (text,) = re.findall(rf"(?m)^{name} = .*# @param (\[.*?\])", "\n".join(code().values()))
    return json.loads(text)


def test_every_choice_of_the_form_is_there():
    configs, guides, forms = choices("CONFIG"), choices("GUIDANCE"), choices("FORMAT")
    assert (
        configs[0] == guides[0] == "auto" and "demo" in configs and "pocket" in guides and forms[0] == "glb"
    )
    assert {f".{form}" for form in forms} == set(ENDINGS)
    for spec in configs[1:]:
        load(spec, [("prompt", "a red sphere")])
    for name in guides[1:]:
        find(name)


PRESENT = types.SimpleNamespace(origin="there")


def install(monkeypatch, repository, *, present):
    """Runs the first cell where the modules `present` can be imported; returns what pip was asked for."""
    asked = []
    pattern, text = field("REPOSITORY", repository)
    plain = TransformerManager().transform_cell(pattern.sub(lambda _: text, code()["install"]))
    namespace = {}
    shell = types.SimpleNamespace(
        run_line_magic=lambda name, line: asked.append(
            (name, line.replace("{packages}", namespace["packages"]))
        )
    )
    namespace["get_ipython"] = lambda: shell
    monkeypatch.setattr("importlib.util.find_spec", lambda name: PRESENT if name in present else None)
    monkeypatch.setattr("importlib.metadata.version", {"numpy": "2.0.2"}.__getitem__)
    monkeypatch.setattr(wing, "find_machine", lambda: "a machine")
    exec(compile(plain, "install", "exec"), namespace)
    assert namespace["machine"] == "a machine"
    return asked


@pytest.mark.parametrize(
    ("repository", "present", "packages"),
    [
        (
            "https://a.b/c/voxjax",
            ["numpy", "jax_cuda12_plugin"],
            "git+https://a.b/c/voxjax 'jax[cuda12]' numpy==2.0.2",
        ),
        ("ssh://git@a.b/c", ["jax_cuda13_plugin"], "git+ssh://git@a.b/c 'jax[cuda13]'"),
        ("..", ["numpy"], ".. numpy==2.0.2"),
        # %pip hands its line to a shell.
        ("/content/drive/My Drive/voxjax", [], "'/content/drive/My Drive/voxjax'"),
        ("~/voxjax", [], "/home/me/voxjax"),
    ],
)
def test_installing_keeps_numpy_and_takes_the_plugin_along(monkeypatch, repository, present, packages):
    monkeypatch.setenv("HOME", "/home/me")
    assert install(monkeypatch, repository, present=present) == [("pip", f"install --quiet {packages}")]


def test_nothing_is_installed_where_voxjax_is(monkeypatch):
    assert install(monkeypatch, "", present=["voxjax", "numpy"]) == []


def test_without_an_address_the_form_asks_for_one(monkeypatch):
    with pytest.raises(ValueError, match="fill in REPOSITORY"):
        install(monkeypatch, "", present=["numpy"])
