"""Time and memory of rendering: `python -m benchmarks.bench_render --width=48 --voxels=48`.

Prints what the renderer was given room for, the temporary memory of the compiled programs (from XLA, so that
`--no-run` gives it for sizes that would take long or not fit), and the time of forward and of forward plus
backward. Wall time is the best and the middle of all repeats; process time tells what the work costs on a
machine that others use too.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax import cameras
from voxjax.fields import grid, make_field
from voxjax.rendering import SampleBudget, budget_for, render_rays

RADIUS, ELEVATION_DEG, STEP_VOXELS = 4.0, 30.0, 0.5


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=48, help="pixels on a side of the image")
    parser.add_argument("--voxels", type=int, default=48, help="cube root of the number of voxels")
    parser.add_argument("--occupied-radius", type=float, help="only this sphere is occupied (default: all)")
    parser.add_argument("--dense", action="store_true", help="query every slot instead of a flat list")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--no-run", action="store_true", help="compile only")
    return parser.parse_args()


def make_programs(flags: argparse.Namespace) -> tuple[dict[str, Any], tuple[Any, ...], str]:
    """Forward and forward-plus-backward, their arguments, and a line about the sizes."""
    focal = cameras.focal_px(flags.width)
    box = cameras.frustum_box(
        elevation_deg=ELEVATION_DEG, radius=RADIUS, width_px=flags.width, height_px=flags.width, focal=focal
    )
    lower, upper = box[0].tolist(), box[1].tolist()
    shape = grid.grid_resolution(lower, upper, flags.voxels**3)
    field = make_field("vox_exp", shape=shape, lower=lower, upper=upper)
    occupancy = jnp.ones(shape, bool)
    if flags.occupied_radius is not None:
        occupancy = (
            grid.inside_sphere(jnp.array(lower), jnp.array(upper), shape, radius=flags.occupied_radius) > 0
        )
    params = field.init(jax.random.key(0), occupancy, method="bake")["params"]
    # A mist: every ray keeps some light to the end, so that nothing is skipped.
    noise = jax.random.normal(jax.random.key(1), params["grid"].shape)
    params = dict(params, grid=noise + jnp.array([12.0, 0.0, 0.0, 0.0]))
    scene = field.apply({"params": params}, occupancy, method="bake")

    near, far = cameras.near_far(RADIUS)
    geometry: dict[str, Any] = {"lower": scene.lower, "upper": scene.upper, "near": near, "far": far}
    geometry["step_size"] = STEP_VOXELS * grid.voxel_size(lower, upper, flags.voxels**3)
    if flags.occupied_radius is not None:
        geometry |= {"clip": field.occupied_box(scene), "occupied": field.occupied}
    poses = cameras.orbit_pose(jnp.arange(4) * 90.0 / 4, ELEVATION_DEG, RADIUS)
    rays = cameras.camera_rays(poses, width_px=flags.width, height_px=flags.width, focal=focal)
    budget = budget_for(scene, rays, **geometry)
    every_slot = budget.per_ray * flags.width**2
    if flags.dense:
        budget = SampleBudget(budget.per_ray, every_slot)

    def loss(params: Any, rays: Any) -> tuple[jax.Array, jax.Array]:
        scene = field.apply({"params": params}, occupancy, method="bake")
        out = render_rays(field.query, scene, rays, **geometry, interval=STEP_VOXELS, budget=budget)
        return jnp.sum(out.colour**2) + jnp.sum(out.transmittance) + jnp.sum(out.depth), out.overflow

    line = f"grid {shape}, {flags.width}^2 rays, {budget}, {budget.capacity / every_slot:.0%} of all slots"
    programs = {"forward": jax.jit(loss), "forward + backward": jax.jit(partial(_gradient, loss))}
    return programs, (params, jax.tree.map(lambda leaf: leaf[1], rays)), line


def _gradient(loss: Callable[..., Any], *arguments: Any) -> Any:
    return jax.value_and_grad(loss, has_aux=True)(*arguments)


def main() -> None:
    """Runs the benchmark."""
    flags = parse()
    programs, arguments, line = make_programs(flags)
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}: {line}")
    for name, program in programs.items():
        start = time.perf_counter()
        compiled = program.lower(*arguments).compile()
        seconds = time.perf_counter() - start
        memory = compiled.memory_analysis().temp_size_in_bytes / 2**20
        print(f"{name:18s}: {memory:8.1f} MiB temporary, compiled in {seconds:.1f} s", end="")
        if flags.no_run:
            print()
            continue
        wall, process = [], []
        for _ in range(flags.repeats + 1):
            times = time.perf_counter(), time.process_time()
            jax.block_until_ready(compiled(*arguments))
            wall.append((time.perf_counter() - times[0]) * 1e3)
            process.append((time.process_time() - times[1]) * 1e3)
        wall, process = wall[1:], process[1:]
        print(f", {min(wall):.1f} ms best, {np.median(wall):.1f} ms median, {min(process):.1f} ms of CPU")


if __name__ == "__main__":
    main()
