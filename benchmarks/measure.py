"""Programs held against the clock: compiled once, run many times, beside what the machine can do at best."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Rates:
    """The best that a machine was seen to do.

    Attributes:
      flops: floating-point operations a second in a large matrix product; in the type that CLIPs compute in.
      bandwidth: bytes a second, read and written together, in a sum of two large arrays.
    """

    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Program:
    """Something to be timed.

    Attributes:
      name: for the table.
      function: of arrays.
      arguments: what it is called with.
      carry: whether its first result is its next first argument, whose memory it may take.
    """

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    carry: bool = False


@dataclass(frozen=True)
class Figures:
    """What a program took; None where XLA does not say, or nothing was run.

    Attributes:
      name: of the program.
      compile_s: seconds to trace and compile.
      median_ms, low_ms, high_ms: of a call, and the quartiles around it.
      temporary: bytes that it needs besides arguments and results.
      flops, bytes: of one call, by XLA's cost analysis, which knows nothing of what a custom kernel does.
      floor_ms: what these would take at the machine's best rates, whichever is longer.
    """

    name: str
    compile_s: float
    median_ms: float | None
    low_ms: float | None
    high_ms: float | None
    temporary: int | None
    flops: float | None
    bytes: float | None
    floor_ms: float | None


def measure(program: Program, rates: Rates, *, repeats: int) -> Figures:
    """Compiles a program and times it.

    Args:
      program: what to time.
      rates: of this machine.
      repeats: timed calls, after one that is not; 0 only compiles.
    """
    began = time.perf_counter()
    jitted = jax.jit(program.function, donate_argnums=(0,) if program.carry else ())
    compiled = jitted.lower(*program.arguments).compile()
    compile_s = time.perf_counter() - began
    cost = compiled.cost_analysis() or {}
    flops, traffic = cost.get("flops"), cost.get("bytes accessed")
    memory = compiled.memory_analysis()
    floor = max((flops or 0.0) / rates.flops, (traffic or 0.0) / rates.bandwidth) * 1e3
    times = time_calls(compiled, program.arguments, carry=program.carry, repeats=repeats)
    low, median, high = np.percentile(times, (25, 50, 75)).tolist() if times else (None, None, None)
    temporary = memory.temp_size_in_bytes if memory else None
    return Figures(program.name, compile_s, median, low, high, temporary, flops, traffic, floor or None)


def time_calls(
    function: Callable[..., Any], arguments: Sequence[Any], *, repeats: int, carry: bool = False
) -> list[float]:
    """Milliseconds of each call but the first; nothing is called where `repeats` is 0."""
    first, *rest = arguments
    if carry:  # the caller keeps its own
        first = jax.tree.map(jnp.copy, first)
    times = []
    for _ in range(repeats + 1 if repeats else 0):
        began = time.perf_counter()
        result = jax.block_until_ready(function(first, *rest))
        times.append((time.perf_counter() - began) * 1e3)
        if carry:
            first = result[0]
    return times[1:]


def best_rates(dtype: str) -> Rates:
    """Measures this machine: the best of a few matrix products and of a few sums of large arrays."""
    on_cpu = jax.default_backend() == "cpu"
    n, length = (1536, 1 << 25) if on_cpu else (8192, 1 << 28)
    square = jnp.ones((n, n), dtype)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision="default"))
    fastest = min(time_calls(product, (square,), repeats=8)) / 1e3
    vector = jnp.ones(length, jnp.float32)
    added = min(time_calls(jax.jit(lambda a: a + 1.0), (vector,), repeats=8)) / 1e3
    return Rates(2.0 * n**3 / fastest, 8.0 * length / added)
