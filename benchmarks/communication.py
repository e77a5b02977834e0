"""What devices exchange in one step, counted in the program: `python -m benchmarks.communication`.

A step is traced as it is mapped over devices, at the sizes of a config but for its grid; nothing is compiled
or run, and CLIPs are outlines, so that nothing is fetched. The collective operations whose results are needed
are added up, those of a loop as often as it turns. Bytes are those of the whole
array: what is reduced, what a gather ends with, what a scattered sum begins with.

The second table is a *prediction*, arithmetic with assumed bandwidths and no latency: around a ring of n
devices each sends (n - 1) / n of the bytes, twice that in an all-reduce, and the slowest link sets the pace.
No such device took part. Of several nodes it assumes that all their devices are one axis of the step.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend.core import Literal
from ml_collections import ConfigDict

from benchmarks.guides import LARGEST, outlined
from voxjax.command import Parser, run_command, whole_number
from voxjax.config.loading import load, take_overrides
from voxjax.factory import make_plan
from voxjax.training import assembly
from voxjax.training.parallel import AXIS_NAME
from voxjax.training.room import choose_room, first_occupancy
from voxjax.training.sharing import Share
from voxjax.training.step import make_step

FIELDS = {"vox_exp": "vox_exp:paper", "vox_imp": "vox_imp:paper", "dream_fields": "dream_fields:mq"}
WAYS = ("split", "views")
KINDS = {"psum": "all-reduce", "all_gather": "all-gather", "reduce_scatter": "reduce-scatter"}
PASSES = {"all-reduce": 2, "all-gather": 1, "reduce-scatter": 1}
"""How often the bytes go around a ring."""
OTHER = {"pmax", "pmin", "ppermute", "all_to_all", "ragged_all_to_all"}
"""Collective operations that no step has had so far: what they cost would have to be said first."""

# Assumed, from their makers' data sheets, bytes a second that one GPU sends. NVLink 4 of an H100 or H200: 900
# GB/s in both directions together. InfiniBand NDR: 400 Gbit/s a port, one port for each GPU.
NVLINK_4 = 450e9
INFINIBAND_NDR = 50e9
CLUSTERS = (("8 GPUs, one node", 8, NVLINK_4), ("8 nodes of 8", 64, INFINIBAND_NDR))


@dataclasses.dataclass(frozen=True)
class Exchange:
    """Collective operations of one kind in a step.

    Attributes:
      calls: how many arrays are exchanged.
      bytes: of the whole arrays, all calls together.
    """

    calls: int = 0
    bytes: int = 0

    def __add__(self, other: Exchange) -> Exchange:
        return Exchange(self.calls + other.calls, self.bytes + other.bytes)

    def times(self, n: int) -> Exchange:
        """The same n times."""
        return Exchange(self.calls * n, self.bytes * n)


Exchanged = dict[str, Exchange]
"""By kind, "all-reduce", "all-gather" or "reduce-scatter"."""


def exchanged(jaxpr: Any) -> Exchanged:
    """Adds up the collective operations of a program.

    Args:
      jaxpr: a `jax.extend.core.Jaxpr`; what nobody reads in it is left out, as a compiler does.

    Returns:
      Of each kind that there is. Of the branches of a condition that which exchanges most counts.

    Raises:
      ValueError: a collective of another kind, or one in a loop of unknown length.
    """
    total: Exchanged = {}
    for equation in _needed(jaxpr):
        name = equation.primitive.name.removesuffix("_invariant")
        if name in OTHER:
            raise ValueError(f"{name}: it is not known what this costs")
        if name in KINDS:
            wide = equation.outvars if name == "all_gather" else equation.invars
            sizes = [int(np.prod(v.aval.shape)) * v.aval.dtype.itemsize for v in wide]
            inner = {KINDS[name]: Exchange(len(sizes), sum(sizes))}
        else:
            parts = [exchanged(each) for each in _inside(equation.params)]
            if name == "while" and any(parts):
                raise ValueError("devices exchange something in a loop of unknown length")
            if name == "cond":
                parts = [max(parts, key=lambda part: sum(each.bytes for each in part.values()))]
            times = equation.params["length"] if name == "scan" else 1
            inner = {kind: each.times(times) for kind, each in _sum(parts).items()}
        total = _sum([total, inner])
    return total


def _needed(jaxpr: Any) -> list[Any]:
    """The operations of a program on which its results depend, last to first."""
    wanted, kept = {id(v) for v in jaxpr.outvars}, []
    for equation in reversed(jaxpr.eqns):
        if any(id(v) in wanted for v in equation.outvars):
            wanted |= {id(v) for v in equation.invars if not isinstance(v, Literal)}
            kept.append(equation)
    return kept


def _inside(params: Any) -> Iterator[Any]:
    """The programs among the parameters of an operation."""
    for value in params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            each = getattr(each, "jaxpr", each)  # a closed one
            if hasattr(each, "eqns"):
                yield each


def _sum(parts: Sequence[Exchanged]) -> Exchanged:
    kinds = [kind for kind in PASSES if any(kind in part for part in parts)]
    return {kind: sum((part.get(kind, Exchange()) for part in parts), Exchange()) for kind in kinds}


def of_step(config: ConfigDict, way: str, devices: int) -> Exchanged:
    """What devices exchange in the first step of a config.

    Args:
      config: with its final grid from the start.
      way: "split" or "views", as the key `parallel`.
      devices: how many, 2 or more.

    Returns:
      By kind; see `exchanged`.
    """
    plan = make_plan(config)
    stage = plan.stage_at(0)
    state = jax.eval_shape(lambda: assembly.first_state(config, plan, jax.random.key(0)))
    room = choose_room(config, plan, stage, {"occupancy": first_occupancy(config, plan, stage)})
    loaded, _ = outlined(config, "bfloat16")
    active = tuple(range(len(loaded.specs)))
    share = Share(AXIS_NAME, devices) if way == "split" else None
    parts = assembly.make_parts(config, plan, stage, room, loaded, active, share)
    inputs = loaded.inputs(jax.eval_shape(lambda: jax.random.key(0)), active)
    step = make_step(parts, axis_name=AXIS_NAME)
    return exchanged(jax.make_jaxpr(step, axis_env=[(AXIS_NAME, devices)])(state, inputs).jaxpr)


def sent(found: Exchanged, devices: int) -> float:
    """Bytes that one of a ring of devices sends."""
    around = sum(PASSES[kind] * each.bytes for kind, each in found.items())
    return around * (devices - 1) / devices


def measured(
    sides: Sequence[int], overrides: Sequence[tuple[str, str]], *, fields: Sequence[str]
) -> list[dict[str, Any]]:
    """What devices exchange, by field, grid side and way of sharing.

    Args:
      sides: cube roots of the final number of voxels; a field without a grid has one row.
      overrides: pairs of key and value, of every config.
      fields: names of `FIELDS`.

    Returns:
      Rows for JSON: "field", "config", "side" (None without a grid), "parallel", and as "exchanged", for each
      number of devices in `CLUSTERS`, the exchanges by kind.
    """
    rows = []
    for field in fields:
        for side in (None,) if field == "dream_fields" else sides:
            pairs = [] if side is None else [("field.side", str(side))]
            config = load(FIELDS[field], [*LARGEST, *pairs, *overrides])
            for way in WAYS:
                found = {
                    n: {kind: dataclasses.asdict(each) for kind, each in of_step(config, way, n).items()}
                    for _, n, _ in CLUSTERS
                }
                row = {"field": field, "config": FIELDS[field], "side": side, "parallel": way}
                rows.append({**row, "exchanged": found})
    return rows


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """The bytes, and what they predict, as Markdown."""
    first = CLUSTERS[0][1]
    kinds = " | ".join(f"{kind}, MiB (arrays)" for kind in PASSES)
    counted = [
        f"Counted in the step's program for {first} devices, bytes of whole arrays in one step:",
        "",
        f"| config | grid | parallel | {kinds} | sent by each of {first}, MiB |",
        f"| --- | --- | --- | {'--- | ' * (len(PASSES) + 1)}".rstrip(),
    ]
    named = ", ".join(f"{name} at {rate / 1e9:.0f} GB/s" for name, _, rate in CLUSTERS)
    predicted = [
        f"*Prediction*, not measured: what a ring takes to exchange that, without latency; {named}:",
        "",
        f"| config | grid | parallel | {' | '.join(f'{name}, predicted ms' for name, _, _ in CLUSTERS)} |",
        f"| --- | --- | --- | {'--- | ' * len(CLUSTERS)}".rstrip(),
    ]
    for row in rows:
        grid = "-" if row["side"] is None else f"{row['side']}^3"
        start = f"| `{row['config']}` | {grid} | {row['parallel']} |"
        of = {
            n: {kind: Exchange(**each) for kind, each in found.items()}
            for n, found in row["exchanged"].items()
        }
        cells = [of[first].get(kind, Exchange()) for kind in PASSES]
        shown = [f"{each.bytes / 2**20:.2f} ({each.calls})" if each.calls else "-" for each in cells]
        counted.append(f"{start} {' | '.join(shown)} | {sent(of[first], first) / 2**20:.2f} |")
        times = [f"{sent(of[n], n) / rate * 1e3:.3f}" for _, n, rate in CLUSTERS]
        predicted.append(f"{start} {' | '.join(times)} |")
    return "\n".join([*counted, "", *predicted])


def main(arguments: Sequence[str]) -> None:
    """Command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=whole_number(2, 1024), nargs="+", default=[48, 100, 160])
    parser.add_argument("--fields", nargs="+", choices=list(FIELDS), default=list(FIELDS))
    parser.add_argument("--json", type=Path, help="file for the figures")
    flags, rest = parser.parse_known_args(arguments)
    rows = measured(flags.sides, take_overrides(rest), fields=flags.fields)
    if flags.json:
        flags.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(tables(rows))


if __name__ == "__main__":
    run_command(main)
