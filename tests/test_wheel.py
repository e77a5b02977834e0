"""Installed, not only checked out: the wheel in an empty folder, far from the sources."""

import os
import subprocess
import sys
import zipfile

import pytest
from helpers.small_training import ROOT

from voxjax.config.naming import shipped_names
from voxjax.guidance.names import SHIPPED


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """(wheel, python of an environment that holds it, an empty folder)."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy, as building writes beside the sources.
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, files.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("voxjax-*.whl")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # What voxjax needs is taken from this environment: fetching it again would take minutes.
    packages = [path for path in sys.path if path.endswith("site-packages")]
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip()
    with open(os.path.join(site, "runtime.pth"), "w") as file:
        file.writelines(f"{path}\n" for path in packages)
    (folder / "empty").mkdir()
    return wheel, python, folder / "empty"


def call(installed, *arguments):
    _, python, empty = installed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [python, *arguments], cwd=empty, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_wheel_holds_every_module_config_and_weight(installed):
    held = set(zipfile.ZipFile(installed[0]).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "voxjax").rglob("*.py")}
    wanted |= {f"voxjax/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").glob("*.py")}
    for model, world in SHIPPED.items():
        folder = ROOT / "voxjax" / world / model
        wanted |= {path.relative_to(ROOT).as_posix() for path in folder.iterdir()}
    assert wanted <= held, sorted(wanted - held)
    (metadata,) = (name for name in held if name.endswith("/METADATA"))
    told = zipfile.ZipFile(installed[0]).read(metadata).decode()
    assert "License-Expression: Apache-2.0 AND CC-BY-SA-4.0\n" in told  # the latter of picturebook-eval
    tops = {name.split("/")[0] for name in held}
    assert all(top.startswith("voxjax") for top in tops), "nothing beside the package is installed"


def test_the_installed_package_is_the_one_that_runs(installed):
    done = call(installed, "-c", "import voxjax, sys; print(voxjax.__file__)")
    assert str(installed[1].parent.parent) in done.stdout


def test_a_config_that_ships_is_found_by_name_and_trains(installed):
    small = [
        "--config.steps=2",
        "--config.field.side=10",
        "--config.cameras.width_px=16",
        "--config.augment.crop_px=2",
        "--config.cameras.views_per_step=1",
        "--config.output.preview_width_px=16",
        "--config.output.eval_width_px=16",
        "--config.output.turntable_width_px=16",
        "--config.output.turntable_frames=2",
        "--config.cache_dir=",
    ]
    script = installed[1].parent / "voxjax"
    command = [script, "train", "--config=demo", "--config.prompt=a red sphere", *small]
    _, _, empty = installed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=empty, env=environment | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    run = empty / "runs" / "demo" / "a-red-sphere"
    assert (run / "eval.png").is_file() and (run / "checkpoints" / "2").is_dir()
    # The module is the same command: it finds the run finished.
    again = call(
        installed, "-m", "voxjax.train", "--config=demo:vox_exp", "--config.prompt=a red sphere", *small,
        f"--workdir={run}",
    )  # fmt: skip
    assert again.returncode == 0 and "finished already" in again.stdout


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("vox_imp:lwo", "unknown variant 'lwo'"),
        ("vox_ipm", f"those that ship are {', '.join(shipped_names())}"),
        ("configs/vox_imp.py", "no such file; those that ship go by name: "),
    ],
)
def test_a_wrong_config_is_one_line(installed, spec, words):
    done = call(installed, "-m", "voxjax.train", f"--config={spec}", "--config.prompt=x")
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
