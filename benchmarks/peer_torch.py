"""The Vox_Exp step beside the same step in plain PyTorch: `python -m benchmarks.peer_torch --config=demo`.

Both do the step of one config at its final grid, in one process, in turns, so that whatever else the machine
does meets both: a round is a few steps of voxjax's compiled program and as many of the peer's
(`benchmarks/peer/`), the order changing from round to round, and the first step of each turn is not timed.
Both have CLIPs of the config's sizes with random weights, so that nothing is fetched. The scene is that of
the first step: nothing is switched off yet. It needs PyTorch, `pip install 'voxjax[parity]'`.

`--threads` holds the whole process to so many cores; PyTorch and XLA then use as many threads. `--memory`
runs each side once more in a process of its own for its peak of resident memory, compiling and the imports of
both jax and transformers included; on an accelerator it is that of device memory. There, set
XLA_PYTHON_CLIENT_PREALLOCATE=false, so that PyTorch finds memory beside jax.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from benchmarks.guides import LARGEST, outlined, with_random_weights
from benchmarks.peer import known
from benchmarks.stages import first_step
from voxjax.command import Parser, run_command, whole_number
from voxjax.config.loading import load, take_overrides
from voxjax.devices import count_cores
from voxjax.errors import UserError
from voxjax.factory import make_plan
from voxjax.training import assembly
from voxjax.training.step import make_step
from voxjax.training.timing import peak_memory

SIDES = ("voxjax", "PyTorch")


def ours(config: ConfigDict, dtype: str) -> tuple[Callable[[], Any], dict[str, Any]]:
    """voxjax's step, compiled.

    Args:
      config: with its final grid from the start.
      dtype: type that the CLIPs compute in.

    Returns:
      (takes a step and waits for it, what the latest step's metrics are kept in).
    """
    guides = with_random_weights(outlined(config, dtype)[0])
    first = first_step(config, guides, seed=config.seed)
    parts, state, room = first.parts, first.state, first.room
    inputs = jax.device_put(first.inputs)
    compiled = jax.jit(make_step(parts), donate_argnums=0).lower(state, inputs).compile()
    here, seen = [state], {"room": room.samples.capacity if room.samples else 0}

    def step() -> None:
        here[0], metrics = jax.block_until_ready(compiled(here[0], inputs))
        seen["overflow"] = metrics["overflow"]

    return step, seen


def theirs(config: ConfigDict, dtype: str, n_steps: int) -> tuple[Callable[[], Any], Any]:
    """The peer's step; arguments as in `ours`, and the most steps that it will take.

    Returns:
      (takes a step and waits for it, the peer).

    Raises:
      UserError: jax has an accelerator, and this PyTorch has none.
    """
    import torch

    from benchmarks.peer.step import Peer

    device = "cpu" if jax.default_backend() == "cpu" else "cuda"
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            f"jax has {jax.devices()[0].device_kind} and this PyTorch no GPU; set JAX_PLATFORMS=cpu to time "
            "both on the CPU"
        )
    torch.set_num_threads(count_cores())
    torch.manual_seed(config.seed)
    plan = make_plan(config)
    state = jax.jit(lambda k: assembly.first_state(config, plan, k))(jax.random.key(config.seed))
    kind = getattr(torch, dtype)
    peer = Peer(config, plan, plan.stage_at(0), state, n_steps=n_steps, device=device, dtype=kind)
    return peer.step, peer  # a step ends with its loss on the host


def in_turns(steps: dict[str, Callable[[], Any]], *, rounds: int, per_round: int) -> dict[str, list[float]]:
    """Times functions in turns.

    Args:
      steps: by name.
      rounds: turns of each.
      per_round: timed calls of a turn; one before them is not timed.

    Returns:
      Milliseconds of each timed call, by name.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(rounds):
        for name in sorted(steps, key=list(steps).index, reverse=i % 2 == 1):
            for j in range(per_round + 1):
                began = time.perf_counter()
                steps[name]()
                if j:
                    times[name].append((time.perf_counter() - began) * 1e3)
    return times


def compare(
    spec: str, overrides: Sequence[tuple[str, str]], *, dtype: str, rounds: int, per_round: int
) -> dict[str, Any]:
    """Times both sides of a config.

    Args:
      spec: config as `voxjax train` takes it.
      overrides: pairs of key and value.
      dtype: type that the CLIPs compute in; "auto" for bfloat16 on an accelerator and float32 on CPU.
      rounds: turns of each side.
      per_round: timed steps of a turn.

    Returns:
      What was measured, for JSON: the machine, what both did, and the milliseconds of every timed step.

    Raises:
      UserError: no PyTorch; or a config that cannot be loaded, or asks for what the peer does not do.
    """
    config, dtype = prepared(spec, overrides, dtype)
    load_before = os.getloadavg()[0]
    step, seen = ours(config, dtype)
    peer_step, peer = theirs(config, dtype, rounds * (per_round + 1))
    times = in_turns(dict(zip(SIDES, (step, peer_step), strict=True)), rounds=rounds, per_round=per_round)
    c = config.cameras
    return {
        "config": " ".join([spec, *(f"{key}={value}" for key, value in overrides)]),
        "device": jax.devices()[0].device_kind,
        "cores": count_cores(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("jax", "torch", "transformers")},
        "dtype": dtype,
        "load_before": load_before,
        "rays": c.views_per_step * c.width_px**2,
        "images": c.views_per_step * config.augment.n_diff * config.augment.n_back,
        "samples": {"PyTorch": peer.n_samples, "room of voxjax": seen["room"]},
        "left_out": int(seen["overflow"]),
        "times_ms": times,
    }


def prepared(spec: str, overrides: Sequence[tuple[str, str]], dtype: str) -> tuple[ConfigDict, str]:
    """The config with its final grid from the start, and the type of its CLIPs; arguments as in `compare`."""
    known.require_torch()
    config = load(spec, [*LARGEST, *overrides])
    known.check(config)
    on_cpu = jax.default_backend() == "cpu"
    return config, ("float32" if on_cpu else "bfloat16") if dtype == "auto" else dtype


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown, the ratio of the medians under them."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = [
        f"`{found['config']}`, {found['device']}, {found['cores']} cores, {versions}, CLIPs in "
        f"{found['dtype']}; load {found['load_before']:.1f} before",
        f"{found['rays']} rays, {found['images']} images; samples in the box: {found['samples']['PyTorch']} "
        f"(room of voxjax: {found['samples']['room of voxjax']}, left out: {found['left_out']})",
        "",
        "| step | median, ms | quartiles | timed | peak memory, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    medians = {}
    for name, times in found["times_ms"].items():
        low, medians[name], high = np.percentile(times, (25, 50, 75))
        peak = found.get("peak_bytes", {}).get(name)
        cells = (f"{medians[name]:.4g}", f"{low:.4g} to {high:.4g}", len(times))
        lines.append(f"| {name} | {' | '.join(map(str, cells))} | {f'{peak / 2**20:.0f}' if peak else '-'} |")
    lines += ["", f"PyTorch over voxjax: {medians['PyTorch'] / medians['voxjax']:.2f}"]
    return "\n".join(lines)


def peak_alone(side: str, arguments: Sequence[str]) -> int:
    """Most memory that a process of one side holds over a few steps, bytes."""
    program = [sys.executable, "-m", "benchmarks.peer_torch", *arguments, f"--only={side}"]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _run_alone(side: str, config: ConfigDict, dtype: str) -> int:
    """The peak of this process, which takes three steps of one side."""
    step, _ = ours(config, dtype) if side == "voxjax" else theirs(config, dtype, 3)
    for _ in range(3):
        step()
    if side == "PyTorch" and jax.default_backend() != "cpu":
        import torch

        return torch.cuda.max_memory_allocated()
    return peak_memory([device.memory_stats() for device in jax.local_devices()])[1]


def main(arguments: Sequence[str]) -> None:
    """Command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="any key of it can be set with --config.key=value")
    parser.add_argument("--dtype", default="auto", help="type that the CLIPs compute in")
    parser.add_argument("--rounds", type=whole_number(1, 1000), default=5, help="turns of each side")
    parser.add_argument("--steps", type=whole_number(1, 1000), default=4, help="timed steps of a turn")
    parser.add_argument("--threads", type=whole_number(1, 1024), help="cores to use; all if not given")
    parser.add_argument("--memory", action="store_true", help="each side's peak memory, too")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--only", choices=SIDES, help=argparse.SUPPRESS)
    flags, rest = parser.parse_known_args(arguments)
    known.require_torch()
    if flags.threads and hasattr(os, "sched_setaffinity"):  # before XLA and OpenMP make their threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: flags.threads])
    overrides = take_overrides(rest)
    if flags.only:
        print(_run_alone(flags.only, *prepared(flags.config, overrides, flags.dtype)))
        return
    found = compare(flags.config, overrides, dtype=flags.dtype, rounds=flags.rounds, per_round=flags.steps)
    if flags.memory:
        threads = [f"--threads={flags.threads}"] if flags.threads else []
        given = [f"--config={flags.config}", f"--dtype={flags.dtype}", *threads, *rest]
        found["peak_bytes"] = {side: peak_alone(side, given) for side in SIDES}
    if flags.json:
        flags.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    run_command(main)
