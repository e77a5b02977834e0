"""How well a CLIP names true renders: the judge is judged before it judges anything.

A true render shows one primitive, upright, from the evaluation elevation on a white background, under one
fixed light that neither training style uses, in the plain colours of `captions.COLOURS`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.command import Parser, run_command
from voxjax.files import refuse_unwritable_file, write_text
from voxjax.pocket import captions, shapes, tracer

Array = jax.Array

AZIMUTHS_DEG = (30.0, 120.0, 210.0, 300.0)
_FIRST_YAW_DEG, _YAW_STEP_DEG = 20.0, 17.0
_AMBIENT = 0.45
_LIGHT = (-0.35, 0.65, 0.68)


def true_renders(width_px: int, *, elevation_deg: float = 45.0, azimuths_deg=AZIMUTHS_DEG) -> Array:
    """Renders every shape in every colour from every azimuth on white.

    Args:
      width_px: side of the square images.
      elevation_deg: camera elevation.
      azimuths_deg: camera azimuths; from view to view the object is turned as well, by 17 degrees.

    Returns:
      [8 shapes, 10 colours, n_azimuths, width_px, width_px, 3] in [0, 1].
    """
    n_views = len(azimuths_deg)
    poses = jax.vmap(lambda azimuth: tracer.evaluation_pose(azimuth, elevation_deg))(
        jnp.asarray(azimuths_deg)
    )
    # Every shape looks the same after a quarter turn, so even azimuths alone would show one view four times.
    poses = dataclasses.replace(poses, yaw_deg=_FIRST_YAW_DEG + _YAW_STEP_DEG * jnp.arange(n_views))
    poses = jax.tree.map(lambda leaf: jnp.tile(leaf, (len(shapes.SHAPES),) + (1,) * (leaf.ndim - 1)), poses)
    lower = jnp.repeat(jnp.arange(len(shapes.SHAPES)), n_views)
    indices = jnp.stack([lower, jnp.zeros_like(lower)], axis=1)
    traced = tracer.trace_many(poses, indices, jnp.zeros(len(lower), bool), width_px=width_px)
    light = jnp.asarray(_LIGHT) / jnp.linalg.norm(jnp.asarray(_LIGHT))
    shade = _AMBIENT + (1 - _AMBIENT) * jnp.maximum(traced.normal @ light, 0.0)
    colours = jnp.asarray(tuple(captions.COLOURS.values()))
    split = (len(shapes.SHAPES), 1, n_views, width_px, width_px, 1)
    alpha, shade = traced.alpha.reshape(split), shade.reshape(split)
    return colours[None, :, None, None, None] * shade * alpha + 1 - alpha


def name_true_renders(
    encode_images: Callable[[Array], Array], text_embeddings: Array, *, image_size: int
) -> np.ndarray:
    """Which of the 80 captions each true render is nearest to.

    Args:
      encode_images: [n, s, s, 3] in [0, 1] -> unit [n, d].
      text_embeddings: [80, d], unit, in the order of `captions.single_captions`.
      image_size: the model's own resolution.

    Returns:
      [8, 10, n_azimuths] int, caption indices.
    """
    renders = true_renders(image_size)
    lead = renders.shape[:3]
    flat = renders.reshape(-1, *renders.shape[3:])
    embeddings = jnp.concatenate([encode_images(flat[i : i + 80]) for i in range(0, len(flat), 80)])
    return np.asarray(jnp.argmax(embeddings @ text_embeddings.T, axis=-1)).reshape(lead)


def summarise(named: np.ndarray) -> dict:
    """Accuracies of `name_true_renders`' answer.

    Returns:
      `top1` over all renders, `shape` and `colour` accuracy, `held_out` top-1 over captions.HELD_OUT,
      `worst_pairs`: {caption: views named right} of all pairs below 4.
    """
    truth = np.arange(80).reshape(8, 10, 1)
    right = named == truth
    per_pair = right.sum(-1)
    names = captions.single_captions()
    colours = list(captions.COLOURS)
    held = [(shapes.SHAPES.index(shape), colours.index(colour)) for colour, shape in captions.HELD_OUT]
    return {
        "top1": float(right.mean()),
        "shape": float((named // 10 == truth // 10).mean()),
        "colour": float((named % 10 == truth % 10).mean()),
        "held_out": float(np.mean([right[i, j].mean() for i, j in held])),
        "worst_pairs": {
            names[10 * i + j]: f"{per_pair[i, j]} of {named.shape[-1]}, named "
            + ", ".join(sorted({names[k] for k in named[i, j]}))
            for i in range(8)
            for j in range(10)
            if per_pair[i, j] < named.shape[-1]
        },
    }


def score_model(name: str) -> dict:
    """`summarise` for a model by the name or folder that `load_guidance` takes."""
    from voxjax.guidance import load_guidance

    guidance, texts = load_guidance(name, prompts=captions.single_captions(), dtype="float32")
    encode = jax.jit(guidance.encode)
    named = name_true_renders(
        lambda images: encode(guidance.params, images), texts, image_size=guidance.image_size
    )
    return summarise(named)


def main(arguments: Sequence[str]) -> None:
    """The command: scores models on true renders and prints, or writes, JSON.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: an unknown model, or an `--out` that cannot be written.
    """
    parser = Parser(prog="voxjax.pocket.score", description="Score the small CLIPs on true renders.")
    parser.add_argument("--models", nargs="+", default=["pocket", "pocket-eval"])
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args(arguments)
    if args.out:
        refuse_unwritable_file(args.out, "--out")
    text = json.dumps({name: score_model(name) for name in args.models}, indent=1)
    print(text)
    if args.out:
        write_text(args.out, text + "\n")


if __name__ == "__main__":
    run_command(main)
