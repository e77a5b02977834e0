"""Memory of a field's forward and backward pass: `python -m benchmarks.memory_fields`.

Prints what XLA's memory analysis says of programs that are compiled for arrays that do not exist and are
never run, so that sizes count which no machine at hand could hold. "temporary" is what a program needs at its
peak besides its arguments and results: activations, gradients under way. "arguments" are parameters and
inputs.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from voxjax.fields.grid import grid_resolution
from voxjax.fields.implicit import VoxImp
from voxjax.fields.mipnerf import MipNerf
from voxjax.structs import Samples


@dataclass(frozen=True)
class Case:
    """A program to be measured: its name, the function, and the shapes of its arguments."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def gaussians(vectors: jax.Array) -> Samples:
    """As many samples as vectors [n, 3], each a Gaussian: the shapes are all that counts."""
    return Samples(vectors, jnp.ones(()), vectors, vectors[:, 0], vectors[:, 0])


def mip_nerf_cases(flags: argparse.Namespace) -> Iterator[Case]:
    """Gradient of Dream Fields' field to its parameters, at its default sizes, with and without chunks."""
    for width in flags.widths:
        n = width * width * flags.samples
        samples = jax.eval_shape(gaussians, jax.ShapeDtypeStruct((n, 3), jnp.float32))
        whole = [n] if width <= flags.whole_up_to else []
        for chunk in [*flags.chunks, *whole]:
            field = MipNerf(chunk=chunk, dtype=flags.dtype)
            variables = jax.eval_shape(lambda key, f=field: f.init(key, method="bake"), jax.random.key(0))

            def loss(params: Any, tracked: Any, samples: Samples, field: MipNerf = field) -> jax.Array:
                scene: Any = field.apply({"params": params, "tracked": tracked}, method="bake")
                density, colour = field.query(scene, samples)
                return jnp.sum(density**2) + jnp.sum(colour**2)

            how = "whole" if chunk == n else f"chunks of {chunk}"
            name = f"mip_nerf {width}^2 x {flags.samples}, {how}"
            yield Case(name, jax.value_and_grad(loss), (variables["params"], variables["tracked"], samples))


def vox_imp_cases(flags: argparse.Namespace) -> Iterator[Case]:
    """Gradient of Vox_Imp's grid to its parameters, in slabs, with an empty half, and all at once."""
    lower, upper = (-1.603, -1.603, -2.373), (1.603, 1.603, 1.616)
    for side in flags.sides:
        shape = grid_resolution(lower, upper, side**3)
        total = math.prod(shape)
        for slab, capacity in [(flags.slab, None), (flags.slab, total // 2), (total, None)]:
            field = VoxImp(shape=shape, lower=lower, upper=upper, slab=slab, capacity=capacity)
            variables = jax.eval_shape(lambda key, f=field: f.init(key, method="bake"), jax.random.key(0))

            def loss(params: Any, tracked: Any, field: VoxImp = field) -> jax.Array:
                scene: Any = field.apply({"params": params, "tracked": tracked}, method="bake")
                return jnp.sum(scene.values**2)

            how = "at once" if slab == total else f"slabs of {slab}"
            how += ", half of the vertices" if capacity else ""
            arguments = (variables["params"], variables["tracked"])
            yield Case(f"vox_imp {side}^3, {how}", jax.value_and_grad(loss), arguments)


FIELDS: dict[str, Callable[[argparse.Namespace], Iterator[Case]]] = {
    "mip_nerf": mip_nerf_cases,
    "vox_imp": vox_imp_cases,
}


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", nargs="+", choices=sorted(FIELDS), default=sorted(FIELDS))
    mip_nerf = parser.add_argument_group("mip_nerf")
    mip_nerf.add_argument(
        "--widths", nargs="+", type=int, default=[88, 252], help="pixels on an image's side"
    )
    mip_nerf.add_argument("--samples", type=int, default=192, help="samples on a ray")
    mip_nerf.add_argument("--chunks", nargs="+", type=int, default=[MipNerf.chunk], help="samples at once")
    mip_nerf.add_argument("--whole-up-to", type=int, default=88, help="widths to measure without chunks too")
    mip_nerf.add_argument("--dtype", default=MipNerf.dtype, help="type that the network computes in")
    vox_imp = parser.add_argument_group("vox_imp")
    vox_imp.add_argument("--sides", nargs="+", type=int, default=[160], help="cube root of the voxels")
    vox_imp.add_argument("--slab", type=int, default=VoxImp.slab, help="vertices at once")
    return parser.parse_args()


def main() -> None:
    """Prints the table."""
    flags = parse()
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, forward + backward\n")
    print(f"| {'program':44s} | temporary, MiB | arguments, MiB |")
    print(f"|{'-' * 46}|---------------:|---------------:|")
    for field in flags.fields:
        for case in FIELDS[field](flags):
            compiled = jax.jit(case.function).lower(*case.arguments).compile()
            memory: Any = compiled.memory_analysis()
            temporary, arguments = memory.temp_size_in_bytes / 2**20, memory.argument_size_in_bytes / 2**20
            print(f"| {case.name:44s} | {temporary:14,.1f} | {arguments:14,.1f} |", flush=True)


if __name__ == "__main__":
    main()
