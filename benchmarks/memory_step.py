"""Memory of a whole training step: `python -m benchmarks.memory_step --config=configs/vox_exp.py:low`.

Prints what XLA's memory analysis says of the step at the config's final grid, compiled for CLIPs of the real
sizes whose weights do not exist, and never run. "temporary" is what the step needs at its peak besides its
arguments; "arguments" are the state (reused for the new one) and the CLIPs' parameters. The last line is
what `voxjax train` reckons with before it starts. Compiled for the device at hand: on CPU the figure is that
of the CPU's program, whose convolutions and fusions differ from a GPU's.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
from ml_collections import ConfigDict

from benchmarks.guides import LARGEST, outlined
from voxjax.config.loading import load, take_overrides
from voxjax.factory import make_plan
from voxjax.guidance import Guidance
from voxjax.guidance.memory import bytes_per_image
from voxjax.training import assembly
from voxjax.training.needs import needs_of
from voxjax.training.room import choose_room, first_occupancy
from voxjax.training.step import make_step


def compile_step(config: ConfigDict, dtype: str) -> tuple[Any, list[Guidance]]:
    """Compiles the largest step of a config without making any of its arrays.

    Args:
      config: with its final grid from the start.
      dtype: type that the CLIPs compute in.

    Returns:
      XLA's memory analysis, and the CLIPs as outlines.
    """
    plan = make_plan(config)
    stage = plan.stage_at(0)
    state = jax.eval_shape(lambda: assembly.first_state(config, plan, jax.random.key(0)))
    room = choose_room(config, plan, stage, {"occupancy": first_occupancy(config, plan, stage)})
    loaded, models = outlined(config, dtype)
    active = tuple(range(len(loaded.specs)))
    step = make_step(assembly.make_parts(config, plan, stage, room, loaded, active))
    inputs = loaded.inputs(jax.eval_shape(lambda: jax.random.key(0)), active)
    lowered = jax.jit(step, donate_argnums=0).lower(state, inputs)
    # Where the arrays lie is settled before the code is, which nobody will run.
    compiled = lowered.compile(compiler_options={"xla_backend_optimization_level": 0})
    return compiled.memory_analysis(), models


def main() -> None:
    """Prints three lines for a config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--dtype", default="bfloat16", help="type that the CLIPs compute in")
    flags, rest = parser.parse_known_args()
    config = load(flags.config, [*LARGEST, *take_overrides(rest)])
    memory, models = compile_step(config, flags.dtype)
    temporary, arguments = memory.temp_size_in_bytes / 2**30, memory.argument_size_in_bytes / 2**30
    kept = ", ".join(f"{model.name} {bytes_per_image(model) / 2**20:.0f} MiB an image" for model in models)
    needs = needs_of(config, dtype=flags.dtype, on_cpu=jax.default_backend() == "cpu")
    reckoned = needs.temporary / 2**30
    print(f"{flags.config} {' '.join(rest)}".strip(), f"({jax.devices()[0].device_kind}, {flags.dtype})")
    print(
        f"  temporary {temporary:.2f} GiB, arguments {arguments:.2f} GiB; kept for the backward pass: {kept}"
    )
    print(f"  reckoned by voxjax train: temporary {reckoned:.2f} GiB, {reckoned / temporary:.2f} of that")


if __name__ == "__main__":
    main()
