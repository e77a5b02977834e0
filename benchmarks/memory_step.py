"""Memory of a whole training step: `python -m benchmarks.memory_step --config=configs/vox_exp.py:low`.

Prints what XLA's memory analysis says of the step at the config's final grid, compiled for CLIPs of the real
sizes whose weights do not exist, and never run. "temporary" is what the step needs at its peak besides its
arguments; "arguments" are the state (reused for the new one) and the CLIPs' parameters. Compiled for the
device at hand: on CPU the figure is that of the CPU's program, whose convolutions and fusions differ from a
GPU's.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util

from voxjax.config.loading import load, take_overrides
from voxjax.factory import make_plan
from voxjax.guidance import hf, loading
from voxjax.guidance.base import CLIP_MEAN, CLIP_SD, Checkpoint, Guidance
from voxjax.guidance.ensemble import guide_specs
from voxjax.guidance.memory import bytes_per_image
from voxjax.training import assembly
from voxjax.training.guides import Loaded
from voxjax.training.parts import Guide
from voxjax.training.step import make_step
from voxjax.training.views import choose_room, first_occupancy

LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
SIZES: dict[str, dict[str, Any]] = {
    "ViT-B/32": {},
    "ViT-B/16": {"vision_config": {"patch_size": 16}},
    "ViT-L/14": {"vision_config": {"patch_size": 14, **LARGE}, "projection_dim": 768},
}


def abstract_guidance(name: str, dtype: Any, *, remat: bool) -> Guidance:
    """A CLIP of the named one's size with shapes for parameters."""
    config = hf.make_config({"model_type": "clip", **SIZES[name]}, source=name)
    tower, size = hf.ImageTower(config, dtype), config.vision_config.image_size
    checkpoint = Checkpoint(
        tower, None, size, config.projection_dim, 77, 2, CLIP_MEAN, CLIP_SD, read=lambda shapes: {}
    )
    shapes = loading.shapes(tower, jnp.zeros((1, size, size, 3)))
    params = {
        key: jax.ShapeDtypeStruct(shape, loading.stored_type(key, dtype)) for key, shape in shapes.items()
    }
    encode = loading.make_encode(checkpoint, remat=remat)
    return Guidance(traverse_util.unflatten_dict(params), name, size, config.projection_dim, encode)


def main() -> None:
    """Prints one line for a config."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--dtype", default="bfloat16", help="type that the CLIPs compute in")
    flags, rest = parser.parse_known_args()
    # The final grid from the start: that is where a step is largest.
    fixed = [("prompt", "anything"), ("progressive.boundaries", "()"), ("cache_dir", "")]
    config = load(flags.config, [*fixed, *take_overrides(rest)])
    plan, specs = make_plan(config), guide_specs(config)
    stage, c = plan.stage_at(0), config.clip
    state = jax.eval_shape(lambda: assembly.first_state(config, plan, jax.random.key(0)))
    room = choose_room(config, plan, stage, {"occupancy": first_occupancy(config, plan, stage)})
    models = [abstract_guidance(spec.model, jnp.dtype(flags.dtype), remat=c.remat) for spec in specs]
    guides = tuple(
        Guide(spec.term, model.encode, model.image_size, micro_batch=c.micro_batch or None)
        for spec, model in zip(specs, models, strict=True)
    )
    targets = tuple(jax.ShapeDtypeStruct((1, model.embedding_size), jnp.float32) for model in models)
    negatives = tuple(jax.ShapeDtypeStruct((0, model.embedding_size), jnp.float32) for model in models)
    loaded = Loaded(specs, guides, tuple(model.params for model in models), targets, negatives)
    active = tuple(range(len(specs)))
    step = make_step(assembly.make_parts(config, plan, stage, room, loaded, active))
    inputs = loaded.inputs(jax.eval_shape(lambda: jax.random.key(0)), active)
    compiled = jax.jit(step, donate_argnums=0).lower(state, inputs).compile()
    memory: Any = compiled.memory_analysis()
    temporary, arguments = memory.temp_size_in_bytes / 2**30, memory.argument_size_in_bytes / 2**30
    kept = ", ".join(f"{model.name} {bytes_per_image(model) / 2**20:.0f} MiB an image" for model in models)
    print(f"{flags.config} {' '.join(rest)}".strip(), f"({jax.devices()[0].device_kind}, {flags.dtype})")
    print(
        f"  temporary {temporary:.2f} GiB, arguments {arguments:.2f} GiB; kept for the backward pass: {kept}"
    )


if __name__ == "__main__":
    main()
