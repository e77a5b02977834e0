"""Who may know whom: the import table of docs/architecture.md, read from the source with `ast`."""

import ast
import functools
from pathlib import Path

import pytest

from voxjax import command

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "voxjax"

GROUND = {"structs", "errors", "files", "run_files", "command", "cameras", "schedules", "devices", "heap"}
ROOT_ROOMS = {"factory", "progressive", "checkpoint", "run_config", "run"}
COMMANDS = {"guidance.__main__" if name == "guidance" else name for name in command.COMMANDS} | {"__main__"}
BELOW = GROUND | ROOT_ROOMS | {"config", "fields", "rendering", "augment", "guidance"}
"""What training stands on."""
SHOWN = {"training.displays", "training.progress", "training.timing"}
"""What of it shows and reads times, without jax."""

# Rooms of voxjax, and the rooms that each may import besides itself. A module belongs to the longest name
# that fits; one that fits none fails the test.
ALLOWED = {
    # ground: known to all, and knows nothing but the ground
    "structs": set(),
    "errors": set(),
    "files": {"errors"},
    "run_files": {"files"},
    "command": {"errors", "heap"},
    "heap": set(),
    "cameras": {"structs"},
    "schedules": {"structs"},
    "devices": set(),
    # wings and rooms that training stands on
    "config": GROUND,
    "fields": {"structs"},
    "rendering": {"structs"},
    "augment": {"structs"},
    "guidance": GROUND,
    "smallclips": GROUND | {"guidance"},
    "pocket": GROUND | {"guidance", "smallclips"},
    "picturebook": GROUND | {"guidance", "smallclips", "mesh.raster"},
    "factory": GROUND | {"config", "fields", "progressive"},
    "progressive": GROUND | {"fields"},
    "checkpoint": GROUND,
    "run_config": GROUND | {"config"},
    "run": GROUND | {"config", "run_config", "checkpoint", "factory", "progressive"},
    "lattice": {"structs", "run"},
    # training
    "training": BELOW,
    "training.timing": GROUND | {"__version__"},
    "training.losses": {"structs"},
    "training.optimiser": {"structs", "schedules"},
    "training.sharing": {"structs"},
    "training.parts": {"structs", "schedules", "training.optimiser", "training.sharing"},
    "training.step": GROUND | {"training.losses", "training.optimiser", "training.parts"},
    "training.parallel": set(),
    # what looks at runs
    "pictures": GROUND | {"fields", "rendering", "run"},
    "mesh": GROUND | {"fields", "rendering", "run", "lattice", "pictures"},
    "viewer": GROUND | {"config", "fields", "rendering", "run", "lattice", "pictures"},
    "evaluation": BELOW | {"pictures", "mesh", "pocket", "training.timing"},
    # what the cells of a notebook call; it starts the commands as processes
    "notebook": GROUND | {"config", "run", "pictures", "evaluation"},
    # runs many of them on Ray; what needs jax to be checked is a process of its own
    "sweeping": GROUND | {"__version__", "config", "run_config", *SHOWN},
    "sweeping.check": GROUND | {"config", "factory", "guidance"},
    "making": GROUND | {"config", "guidance", "evaluation"},
    # the paper's items as data; it starts the commands as processes
    "reproduction": GROUND
    | {"config", "guidance", "run", "pictures", "pocket", "evaluation", "training.timing"},
    # commands: everything below, but not one another
    "train": BELOW | {"training", "pictures", "evaluation"},
    "render": GROUND | {"run", "pictures"},
    "export": GROUND | {"run", "mesh"},
    "evaluate": BELOW | {"pictures", "evaluation"},
    "compare": BELOW | {"pictures", "evaluation"},
    "reproduce": GROUND | {"config", "evaluation", "reproduction"},
    "report": GROUND | {"run", "evaluation"},
    "view": GROUND | {"viewer"},
    "sweep": GROUND | {"config", "sweeping"},
    "make": GROUND | {"config", "guidance", "making"},
    "guidance.__main__": GROUND | {"guidance"},
    "__main__": {"errors", "command", "__version__"},
}
# What the numerical core must not even be near: disk, clock, log, randomness of the host.
PURE = ("structs", "cameras", "schedules", "fields", "rendering", "augment")
PURE += ("training.losses", "training.optimiser", "training.sharing", "training.parts")
PURE += ("training.step", "training.parallel")
OUTSIDE = {"os", "io", "time", "datetime", "logging", "pathlib", "sys", "random", "absl", "rich", "json"}
# Packages that one room alone may know.
ONLY_IN = {
    "transformers": {"guidance.hf"},
    "orbax": {"checkpoint"},
    "tensorboardX": {"training.metrics"},
    "dm_pix": {"augment"},
    "filelock": {"files"},
    "imageio_ffmpeg": {"pictures.video"},
    "huggingface_hub": {"guidance"},
    "tokenizers": {"guidance", "smallclips"},
    "psutil": {"files", "training.timing", "training.preflight", "making.machine", "notebook"},
    "trimesh": {"mesh", "evaluation.report_mesh"},
    "IPython": {"notebook", "training.displays"},
    "google": {"notebook"},
    "viser": {"viewer"},
    "skimage": {"mesh.surface"},
    "xatlas": {"mesh.texture"},
    "ray": {"sweeping.cluster"},
    "resvg_py": {"picturebook.emoji"},
}
MAY_NOT = {"config": {"jax", "flax", "optax"}, "sweeping": {"jax", "flax", "optax"}}


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name, path


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
    return {name.removeprefix("voxjax.") for name in imports(path) if name.startswith("voxjax.")}


def room_of(name):
    """The row of the table that a module falls under."""
    return max((room for room in ALLOWED if inside(name, room)), key=len, default=None)


MODULES = dict(modules())


def test_the_reader_sees_every_form(tmp_path):
    file = tmp_path / "x.py"
    text = "import voxjax.step\nfrom voxjax import losses\ndef f():\n    from voxjax.a.b import c\n"
    file.write_text(text)
    assert rooms(file) == {"step", "losses", "a.b.c"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_knows_only_whom_it_may(name):
    room = room_of(name)
    assert room, f"{name} is in no row of ALLOWED in tests/test_imports.py; add one"
    for other in rooms(MODULES[name]):
        assert any(inside(other, one) for one in ALLOWED[room] | {room}), f"{name} imports {other}"


def test_no_row_is_left_over():
    assert set(ALLOWED) - {room_of(name) for name in MODULES} == set()


def test_commands_do_not_know_one_another():
    for name in COMMANDS:
        others = {other for other in COMMANDS - {name} if "." not in other and other != "__main__"}
        for imported in rooms(MODULES[name]):
            assert not any(inside(imported, other) for other in others), f"{name} imports {imported}"


def test_commands_are_thin():
    long = {name: len(MODULES[name].read_text().splitlines()) for name in COMMANDS}
    assert max(long.values()) < 150, long


@pytest.mark.parametrize("package", sorted(ONLY_IN))
def test_a_package_stays_in_its_room(package):
    users = {name for name, path in modules() if any(inside(other, package) for other in imports(path))}
    assert users, f"nobody uses {package}"
    for name in users:
        assert any(inside(name, room) for room in ONLY_IN[package]), f"{name} imports {package}"


@pytest.mark.parametrize("room", sorted(MAY_NOT))
def test_a_room_stays_free_of_a_package(room):
    for name, path in modules():
        if inside(name, room):
            tops = {other.split(".")[0] for other in imports(path)}
            assert not tops & MAY_NOT[room], f"{name} imports {tops & MAY_NOT[room]}"


def test_pmap_stays_in_one_file():
    users = {
        name
        for name, path in modules()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Attribute) and node.attr == "pmap"
    }
    assert users == {"training.parallel"}


@pytest.mark.parametrize("room", PURE)
def test_the_core_touches_no_disk_clock_or_log(room):
    for name, path in modules():
        if inside(name, room) and name != "rendering.marching":  # which shares whole images among cores
            tops = {each.split(".")[0] for each in imports(path)}
            assert not tops & OUTSIDE, f"{name} imports {tops & OUTSIDE}"


def test_launch_computes_nothing():
    for path in (ROOT / "launch").rglob("*.py"):
        assert not {name.split(".")[0] for name in imports(path)} & {"jax", "flax", "voxjax"}, path


def test_tests_mirror_the_wings():
    """A test of a wing lies in the folder of the wing's name."""
    wings = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert wings == folders - {"faithful", "benchmarks"}
