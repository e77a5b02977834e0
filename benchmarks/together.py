"""Objects an hour when prompts are trained as one: `python -m benchmarks.together --config=demo`.

The step of 1, 2, 4, ... objects at the config's final grid, with CLIPs of the real sizes and random weights;
an hour's objects are reckoned from its median time and the config's steps, pictures and compiling left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import jax

from benchmarks.guides import LARGEST, outlined, with_random_weights
from benchmarks.measure import Figures, Program, best_rates, measure
from benchmarks.stages import first_step
from voxjax.command import run_command
from voxjax.config.loading import load, take_overrides
from voxjax.training.step import make_step
from voxjax.training.together import Together


def measure_counts(
    spec: str, overrides: list[tuple[str, str]], counts: Sequence[int], *, repeats: int
) -> tuple[int, list[Figures]]:
    """Measures the step of several objects.

    Args:
      spec: config as `voxjax train` takes it.
      overrides: pairs of key and value.
      counts: numbers of objects.
      repeats: timed calls for each.

    Returns:
      (steps of a run, figures for each count).
    """
    config = load(spec, [*LARGEST, *overrides])
    dtype = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    rates, guides = best_rates(dtype), with_random_weights(outlined(config, dtype)[0])
    first, figures = first_step(config, guides), list[Figures]()
    step = make_step(first.parts)
    for count in counts:
        together = Together(count)
        given = (together.stack([first.state] * count), together.inputs([first.inputs] * count))
        program = Program(str(count), together.map(step), given, carry=True)
        figures.append(measure(program, rates, repeats=repeats))
    return config.steps, figures


def main(arguments: Sequence[str]) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", required=True, help="any key of it can be set with --config.key=value")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--repeats", type=int, default=10, help="timed calls for each")
    flags, rest = parser.parse_known_args(arguments)
    steps, found = measure_counts(flags.config, take_overrides(rest), flags.counts, repeats=flags.repeats)
    print("| objects | step, ms | for each | objects an hour | temporary, MiB |")
    print("| --- | --- | --- | --- | --- |")
    for each in found:
        count, median = int(each.name), each.median_ms or float("nan")
        hour = 3.6e6 * count / (steps * median)
        memory = "-" if each.temporary is None else f"{each.temporary / 2**20:.0f}"
        print(f"| {count} | {median:.1f} | {median / count:.1f} | {hour:.0f} | {memory} |")


if __name__ == "__main__":
    run_command(main)
