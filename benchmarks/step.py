"""Time, memory and arithmetic of a training step by stage: `python -m benchmarks.step --config=vox_exp:low`.

At the config's final grid, with CLIPs of the real sizes whose weights are random, so that nothing has to be
fetched. The floor is what XLA's count of operations and bytes would take at the best rates that this machine
showed a moment before. The stages are programs of their own: their sum is not the step's time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from benchmarks.guides import LARGEST, outlined, with_random_weights
from benchmarks.measure import Figures, Rates, best_rates, measure
from benchmarks.stages import make_programs
from voxjax.command import run_command
from voxjax.config.loading import load, take_overrides


def measure_step(spec: str, overrides: list[tuple[str, str]], *, dtype: str, repeats: int) -> dict[str, Any]:
    """Measures the step of a config.

    Args:
      spec: config as `voxjax train` takes it.
      overrides: pairs of key and value.
      dtype: type that the CLIPs compute in; "auto" for bfloat16 on an accelerator and float32 on CPU.
      repeats: timed calls of each program.

    Returns:
      What was measured, for JSON: the machine, its rates, and `Figures` of each program.

    Raises:
      UserError: a config that cannot be loaded, or a CLIP whose sizes are not known.
    """
    config = load(spec, [*LARGEST, *overrides])
    on_cpu = jax.default_backend() == "cpu"
    dtype = ("float32" if on_cpu else "bfloat16") if dtype == "auto" else dtype
    rates = best_rates(dtype)
    guides = with_random_weights(outlined(config, dtype)[0])
    figures = [measure(each, rates, repeats=repeats) for each in make_programs(config, guides)]
    stats = jax.local_devices()[0].memory_stats() or {}
    return {
        "config": " ".join([spec, *(f"{key}={value}" for key, value in overrides)]),
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "dtype": dtype,
        "rates": dataclasses.asdict(rates),
        "peak_bytes": stats.get("peak_bytes_in_use"),
        "programs": [dataclasses.asdict(each) for each in figures],
    }


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rates = Rates(**found["rates"])
    lines = [
        f"`{found['config']}`, {found['device']}, jax {found['jax']}, CLIPs in {found['dtype']}; "
        f"best rates seen: {rates.flops / 1e12:.3g} TFLOP/s, {rates.bandwidth / 1e9:.3g} GB/s",
        "",
        "| stage | median, ms | quartiles | compiling, s | temporary, MiB | GFLOP | GB | floor, ms | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in (Figures(**row) for row in found["programs"]):
        spread = "-" if each.low_ms is None else f"{each.low_ms:.3g} to {each.high_ms:.3g}"
        over = each.median_ms / each.floor_ms if each.median_ms and each.floor_ms else None
        cells = [
            each.name,
            _cell(each.median_ms),
            spread,
            f"{each.compile_s:.1f}",
            _cell(None if each.temporary is None else each.temporary / 2**20),
            _cell(None if each.flops is None else each.flops / 1e9),
            _cell(None if each.bytes is None else each.bytes / 1e9),
            _cell(each.floor_ms),
            _cell(over),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def main(arguments: Sequence[str]) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", required=True, help="any key of it can be set with --config.key=value")
    parser.add_argument("--dtype", default="auto", help="type that the CLIPs compute in")
    parser.add_argument("--repeats", type=int, default=20, help="timed calls; 0 only compiles")
    parser.add_argument("--json", type=Path, help="file for the figures")
    flags, rest = parser.parse_known_args(arguments)
    found = measure_step(flags.config, take_overrides(rest), dtype=flags.dtype, repeats=flags.repeats)
    if flags.json:
        flags.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    run_command(main)
