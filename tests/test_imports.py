"""Who may know whom: the import table of the architecture, read from the source with `ast`."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "voxjax"

# Rooms of voxjax, longest name first, and the rooms that each may import besides itself. "errors" is known
# to all: it is one exception and imports nothing.
ALLOWED = {
    "structs": set(),
    "schedules": {"structs"},
    "cameras": {"structs"},
    "visibility": set(),
    "fields": {"structs"},
    "render": {"structs"},
    "augment": {"structs"},
    "guidance": {"structs"},
    "losses": {"structs"},
    "optimiser": {"structs", "schedules"},
    "step": {
        "structs",
        "schedules",
        "cameras",
        "fields",
        "render",
        "augment",
        "guidance",
        "losses",
        "optimiser",
    },
    "progressive": {"structs", "schedules", "fields.grid"},
    "parallel": set(),
    "files": set(),
    "checkpoint": {"structs", "files"},
    "metrics": {"structs", "files"},
    "timing": {"files"},
    "errors": set(),
    "validation": set(),
    "config": {"config_file", "validation"},
    "config_file": set(),
    "factory": {"structs", "schedules", "cameras", "fields", "progressive"},
    "prompts": {"structs"},
    "ensemble": {"prompts", "schedules"},
    "memory": {"guidance"},
    "guides": {"structs", "ensemble", "prompts", "memory", "guidance", "step"},
    "training_views": {"prompts", "structs", "cameras", "visibility", "fields", "progressive", "render"},
    "run": {"structs", "config", "checkpoint", "factory", "progressive"},
}
# What the outputs may know, and what only one room may import from outside.
OUTPUTS = ["render.__main__", "pictures", "video", "contact_sheet", "outputs", "views", "evaluate", "judge"]
OUTPUTS += [
    "guidance.__main__",
    "scores",
    "silhouette",
    "report",
    "compare",
    "comparison",
    "compare_page",
    "gallery",
]
OUTPUTS_NEVER = {"step", "losses", "augment", "optimiser", "loop", "assembly", "train", "parallel"}
ONLY_IN = {
    "transformers": {"guidance.hf"},
    "orbax": {"checkpoint"},
    "tensorboardX": {"metrics"},
    "dm_pix": {"augment"},
}


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path):
    """Dotted names that a file imports anywhere in it, functions included; `from a import b` gives a.b."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(name, room):
    return name == room or name.startswith(room + ".")


def rooms(path):
    """Names within voxjax that a file imports, without the leading `voxjax.`."""
    names = (name for name in imports(path) if inside(name, "voxjax"))
    return {name.removeprefix("voxjax.") for name in names if name != "voxjax.__version__"}


def test_the_reader_sees_every_form(tmp_path):
    file = tmp_path / "x.py"
    file.write_text("import voxjax.step\nfrom voxjax import losses\ndef f():\n    from voxjax.a.b import c\n")
    assert rooms(file) == {"step", "losses", "a.b.c"}


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_rooms_know_only_whom_they_may(room):
    found = [(name, path) for name, path in modules() if inside(name, room) and name not in OUTPUTS]
    assert found, f"there is no room {room}"
    for name, path in found:
        for other in rooms(path):
            allowed = ALLOWED[room] | {room, "errors"}
            assert any(inside(other, one) for one in allowed), f"{name} imports {other}"


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_know_nothing_of_training(name):
    path = dict(modules())[name]
    for other in rooms(path):
        assert not any(inside(other, never) for never in OUTPUTS_NEVER), f"{name} imports {other}"
        knows_clip = name in ("evaluate", "judge", "report", "compare", "guidance.__main__")
        assert knows_clip or not inside(other, "guidance"), f"{name} imports {other}"


@pytest.mark.parametrize("package", sorted(ONLY_IN))
def test_heavy_packages_stay_in_their_room(package):
    for name, path in modules():
        if any(inside(other, package) for other in imports(path)):
            assert any(inside(name, room) for room in ONLY_IN[package]), f"{name} imports {package}"


def test_pmap_stays_in_one_file():
    users = {
        name
        for name, path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr == "pmap"
    }
    assert users == {"parallel"}


def test_the_step_touches_no_disk_clock_or_log():
    outside = {"os", "io", "time", "datetime", "logging", "pathlib", "sys", "random", "absl", "rich", "json"}
    for name in ("step", "losses", "schedules", "cameras", "optimiser"):
        tops = {each.split(".")[0] for each in imports(dict(modules())[name])}
        assert not tops & outside, f"{name} imports {tops & outside}"


def test_launch_computes_nothing():
    for path in (ROOT / "launch").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & {"jax", "flax", "voxjax"}, path
