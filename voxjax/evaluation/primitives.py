"""What a small guide can make, without flattery.

    python -m voxjax.evaluation.primitives --table=table.json --out=FOLDER

Reads the table that `voxjax.evaluate` wrote for runs whose prompts name one primitive, adds what no CLIP can
be fooled by (silhouettes against the true primitive, the hole of the torus), and writes `report.json`,
`report.md` and `contact_sheet.png`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from voxjax.cameras import camera_rays, focal_px, orbit_pose
from voxjax.command import Parser, run_command
from voxjax.errors import UserError
from voxjax.evaluation.course import course_of
from voxjax.evaluation.judge import EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG
from voxjax.evaluation.silhouette import TrueMasks, fit_silhouettes, has_hole, mask_of
from voxjax.files import refuse_unwritable, write_text
from voxjax.pictures.contact_sheet import write_contact_sheet
from voxjax.pictures.images import colour_image, opacity_image
from voxjax.pictures.outputs import orbit_azimuths
from voxjax.pictures.views import view_of
from voxjax.pocket import captions, shapes
from voxjax.run import Run, load_run

N_VIEWS, SIZE_PX, ELEVATION_DEG, STEEP_DEG = 8, 64, 30.0, 60.0
_TRACE_STEPS = 64
# Turn about the vertical axis after which a shape looks the same, degrees; 0 if it is round.
_YAW_PERIOD = {"cube": 90.0, "pyramid": 90.0, "cross": 90.0}


def shape_and_colour(prompt: str) -> tuple[str, str]:
    """The shape and the colour that a prompt such as "a red sphere." names.

    Raises:
      UserError: it does not name exactly one of each.
    """
    words = prompt.lower().replace(".", " ").replace(",", " ").split()
    found = [[word for word in words if word in known] for known in (shapes.SHAPES, captions.COLOURS)]
    if [len(each) for each in found] != [1, 1]:
        raise UserError(f"prompt {prompt!r}: the report needs one shape and one colour in it")
    return found[0][0], found[1][0]


@functools.partial(jax.jit, static_argnames="shape")
def _hits(poses: jax.Array, focal: jax.Array, *, shape: str) -> jax.Array:
    rays = camera_rays(poses, width_px=SIZE_PX, height_px=SIZE_PX, focal=focal)

    def march(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        t, nearest = carry
        distance = shapes.signed_distance(shape, rays.origins + t[..., None] * rays.directions)
        return (t + distance, jnp.minimum(nearest, distance)), None

    start = jnp.zeros(rays.directions.shape[:-1])
    (_, nearest), _ = jax.lax.scan(march, (start, start + 1e3), None, length=_TRACE_STEPS)
    return nearest < 2e-3


def true_masks(shape: str) -> TrueMasks:
    """Silhouettes of a primitive as made (size 1, upright, at the origin) from any poses."""
    focal = jnp.float32(focal_px(SIZE_PX))
    return lambda poses: np.asarray(_hits(jnp.asarray(poses, jnp.float32), focal, shape=shape))


def silhouette_figures(run: Run, shape: str) -> dict[str, Any]:
    """Silhouette IoU from 8 azimuths, and whether the object can be looked through from above.

    Args:
      run: a finished run.
      shape: the primitive that it should be.

    Returns:
      `iou` in [0, 1] (best over scale, shift and yaw) and `hole`.
    """
    view = view_of(run)
    azimuths = orbit_azimuths(N_VIEWS)
    opacity = np.stack([opacity_image(view(float(a), ELEVATION_DEG, SIZE_PX)) for a in azimuths])
    masks = mask_of(opacity.reshape(*opacity.shape[:3], -1)[..., 0] / 255.0)
    poses = np.stack([np.asarray(orbit_pose(float(a), ELEVATION_DEG, 4.0)) for a in azimuths])
    fit = fit_silhouettes(
        masks,
        poses,
        true_masks(shape),
        focal=focal_px(SIZE_PX),
        yaw_period_deg=_YAW_PERIOD.get(shape, 0.0),
    )
    steep = np.stack([opacity_image(view(float(a), STEEP_DEG, SIZE_PX)) for a in azimuths[::2]])
    return {"iou": fit.iou, "hole": has_hole(mask_of(steep.reshape(*steep.shape[:3], -1)[..., 0] / 255.0))}


def examine(row: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    """One run of the table: its figures, and its picture from the evaluation view.

    Args:
      row: of the table of `voxjax.evaluate`.

    Returns:
      (figures, [height, width, 3] uint8).
    """
    shape, colour = shape_and_colour(row["prompt"])
    run = load_run(row["workdir"])
    named = [shape_and_colour(view["nearest"]) for view in row["views"]]
    figures = {
        "prompt": row["prompt"].rstrip("."),
        "seed": row["seed"],
        "shape": shape,
        "colour": colour,
        "held_out": (colour, shape) in captions.HELD_OUT,
        "views_right": sum(view["rank"] == 1 for view in row["views"]),
        "views_colour_right": sum(c == colour for _, c in named),
        "n_views": len(named),
        "object_right": row["rank"] == 1,
        "named": row["nearest"].rstrip("."),
        **silhouette_figures(run, shape),
        **course_of(run),
    }
    picture = colour_image(view_of(run)(EVAL_AZIMUTH_DEG, EVAL_ELEVATION_DEG, 192))
    return figures, picture


def totals(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures over all runs, over the pairs that the guide never saw, and per shape."""

    def share(part: Sequence[dict[str, Any]], name: str) -> float:
        return sum(row[name] for row in part) / max(1, sum(row["n_views"] for row in part))

    def figures(part: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {
            "runs": len(part),
            "r_precision_per_view": share(part, "views_right"),
            "r_precision_per_object": float(np.mean([row["object_right"] for row in part])),
            "colour_per_view": share(part, "views_colour_right"),
            "silhouette_iou": float(np.mean([row["iou"] for row in part])),
            "with_hole": float(np.mean([row["hole"] for row in part])),
            "with_floaters": float(np.mean([row["floaters"] > 0 for row in part])),
            "floating_share": float(np.mean([row["floating_share"] for row in part])),
            "steps_per_second": _median([row["steps_per_second"] for row in part]),
            "occupied": [
                float(np.mean(each)) for each in zip(*(row["occupied"] for row in part), strict=True)
            ],
        }

    by_shape = {shape: [row for row in rows if row["shape"] == shape] for shape in shapes.SHAPES}
    held = [row for row in rows if row["held_out"]]
    return {
        "all": figures(rows),
        **({"held_out": figures(held)} if held else {}),
        **{shape: figures(part) for shape, part in by_shape.items() if part},
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def markdown(title: str, table: dict[str, Any], sums: dict[str, Any]) -> str:
    """The report for reading."""
    lines = [
        f"## {title}",
        "",
        f"Judge: `{table['judge']}`, {table['n_captions']} captions, elevation {table['elevation_deg']:.0f} "
        f"degrees, azimuths {', '.join(f'{a:.0f}' for a in table['azimuths_deg'])}. R-P: R-Precision@1. IoU: "
        f"silhouettes from {N_VIEWS} azimuths against the true primitive. Hole: runs that can be looked "
        "through from above.",
        "",
        "| over | runs | R-P per view | R-P per object | colour right, per view | silhouette IoU | hole |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, f in sums.items():
        lines.append(
            f"| {name.replace('_', ' ')} | {f['runs']} | {f['r_precision_per_view']:.1%} | "
            f"{f['r_precision_per_object']:.1%} | {f['colour_per_view']:.1%} | {f['silhouette_iou']:.2f} | "
            f"{f['with_hole']:.0%} |"
        )
    return "\n".join(lines) + "\n"


def read_table(path: str) -> dict[str, Any]:
    """Returns what `voxjax.evaluate` wrote.

    Raises:
      UserError: the file cannot be read.
    """
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"--table={path}: cannot read it ({error})") from error


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: the table cannot be read, or a prompt does not name one primitive.
    """
    parser = Parser(prog="voxjax.evaluation.primitives", description="Report on runs of single primitives.")
    parser.add_argument("--table", required=True, help="JSON written by python -m voxjax.evaluate")
    parser.add_argument("--out", required=True, help="folder for the report")
    parser.add_argument("--title", default="What the pocket CLIP makes", help="heading of the report")
    flags = parser.parse_args(arguments)
    refuse_unwritable(flags.out, f"--out={flags.out}")
    table = read_table(flags.table)
    for row in table["runs"]:
        shape_and_colour(row["prompt"])
    examined = [examine(row) for row in table["runs"]]
    rows, pictures = [figures for figures, _ in examined], [picture for _, picture in examined]
    sums = totals(rows)
    out = Path(flags.out)
    out.mkdir(parents=True, exist_ok=True)
    report = {"title": flags.title, "judge": table["judge"], "totals": sums, "runs": rows}
    write_text(out / "report.json", json.dumps(report, indent=1) + "\n")
    write_text(out / "report.md", markdown(flags.title, table, sums))
    seeds = len({row["seed"] for row in rows})
    labels = [
        f"{row['prompt']}{' *' if row['held_out'] else ''}, seed {row['seed']}: "
        f"{row['views_right']}/{row['n_views']}, IoU {row['iou']:.2f}"
        for row in rows
    ]
    write_contact_sheet(
        out / "contact_sheet.png",
        pictures,
        labels,
        columns=4 * seeds if seeds <= 3 else 10,
        tile_px=128,
        font_px=11,
        title=f"{flags.title} (* pair never shown in training)",
    )
    print(out / "report.md")


if __name__ == "__main__":
    run_command(main)
