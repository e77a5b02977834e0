"""The table of what a step costs, and how the cost grows: `python -m benchmarks.run --out=runs/benchmarks`.

Steps (a) to (d) are the paper's sizes: (a) Vox_Exp at 168 px, ViT-B/32, 64 images; (b) at 224 px, ViT-B/16;
(c) Vox_Imp of 160^3 vertices, 32 images; (d) Vox_Exp under ViT-B/32 and ViT-L/14. Then `vox_imp:low` and
`dream_fields:lq`. On a CPU all of them are reduced (`--full` does not), and the table says so. Every program
runs in a process of its own, so that one that does not fit takes nothing with it; what was measured before is
read again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from benchmarks.growth import AXES, BASE, Axis, exponent, picture
from voxjax.pictures.images import save_png

CASES = {
    "a": ("figure6:vox_exp", {"clip.model": "ViT-B/32"}),
    "b": ("vox_exp:paper", {"clip.model": "ViT-B/16"}),
    "c": ("vox_imp:paper", {"clip.model": "ViT-B/16"}),
    "d": ("vox_exp:paper", {"clip.model": "ViT-B/32", "clip2.model": "ViT-L/14", "clip2.start": 0.0}),
    "vox_imp-low": ("vox_imp:low", {}),
    "dream_fields-lq": ("dream_fields:lq", {}),
}
REDUCED = {
    "cameras.width_px": 64,
    "field.side": 64,
    "cameras.views_per_step": 1,
    "augment.n_diff": 2,
    "augment.n_back": 2,
}


def measured(
    out: Path, name: str, config: str, settings: Mapping[str, Any], repeats: int
) -> dict[str, Any] | None:
    """The figures of one config, from an earlier call or from a new process; None if it failed."""
    file = out / f"{name}.json"
    if not file.exists():
        keys = [f"--config.{key}={value}" for key, value in settings.items()]
        flags = [f"--config={config}", *keys, f"--repeats={repeats}", f"--json={file}"]
        program = [sys.executable, "-m", "benchmarks.step", *flags]
        done = subprocess.run(program, capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}", file=sys.stderr)
            return None
    return json.loads(file.read_text(encoding="utf-8"))


def of(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The row of a program."""
    return next(row for row in found["programs"] if row["name"] == name)


def row(name: str, found: Mapping[str, Any] | None) -> str:
    """One line of the table of steps."""
    if found is None:
        return f"| {name} | failed | - | - | - | - | - |"
    step = of(found, "step")
    parts = "; ".join(
        f"{each['name'].removesuffix(', and backward')} {each['median_ms']:.1f}"
        for each in found["programs"]
        if each["name"].endswith(", and backward") or each["name"] in ("priors", "optimiser")
    )
    cells = (
        f"{name}: `{found['config']}`",
        f"{step['median_ms']:.1f}",
        f"{step['floor_ms']:.1f}",
        f"{step['median_ms'] / step['floor_ms']:.1f}",
        parts,
        f"{step['compile_s']:.0f}",
        f"{step['temporary'] / 2**30:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder for the figures")
    parser.add_argument("--full", action="store_true", help="no reduced sizes on a CPU")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--no-growth", action="store_true", help="leave the curves away")
    flags = parser.parse_args()
    flags.out.mkdir(parents=True, exist_ok=True)
    reduced = jax.default_backend() == "cpu" and not flags.full
    lines = [
        f"{jax.devices()[0].device_kind}, jax {jax.__version__}"
        + (", **reduced sizes: 64 px, 64^3 voxels, 4 images**" if reduced else ""),
        "",
        "| step | ms | floor, ms | ratio | its stages with backward, ms | compiling, s | temporary, GiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in flags.cases:
        config, settings = CASES[name]
        label, smaller = (f"{name}-reduced", REDUCED) if reduced else (name, {})
        lines.append(row(name, measured(flags.out, label, config, {**settings, **smaller}, flags.repeats)))
    print("\n".join(lines), flush=True)
    if not flags.no_growth:
        print("\n| cost over | sizes | ms | exponent |\n| --- | --- | --- | --- |")
        for axis in AXES:
            print(_grow(flags.out, axis, flags.repeats), flush=True)


def _grow(out: Path, axis: Axis, repeats: int) -> str:
    """Measures one axis, draws its curve, and returns its line."""
    sizes, times = [], []
    for value in axis.values:
        settings = {**BASE, **axis.settings(value), "clip.model": "pocket"}
        key = "-".join(str(settings[each]) for each in BASE)
        found = measured(out, f"growth-{key}", "vox_exp:paper", settings, repeats)
        if found is not None:
            sizes.append(value)
            times.append(of(found, "step")["median_ms"])
    if len(sizes) < 2:
        return f"| {axis.name} | - | - | - |"
    save_png(out / f"growth-{axis.name.split()[0]}.png", picture(axis.name, sizes, times))
    joined = ", ".join(map(str, sizes)), ", ".join(f"{each:.0f}" for each in times)
    return f"| {axis.name} | {joined[0]} | {joined[1]} | {exponent(sizes, times):.2f} |"


if __name__ == "__main__":
    main()
