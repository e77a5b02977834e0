"""Make a mesh of a run: `python -m voxjax.export --workdir=runs/bonsai --out=bonsai.glb`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from voxjax.command import Parser, run_command, whole_number
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable_file
from voxjax.mesh.export import TEXTURED_FACES, ExportOptions, export_run
from voxjax.mesh.formats import ENDINGS, ending_of
from voxjax.run import load_run


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    flags = _read_flags(arguments)
    paths = [Path(each) for each in flags.out]
    for path in paths:
        ending_of(path)
        refuse_unwritable_file(path, "--out")
    check = Path(flags.check) if flags.check else None
    if check is not None:
        if check.suffix != ".png":
            raise UserError(f"--check={check}: a picture; its name must end in .png")
        refuse_unwritable_file(check, "--check")
    twice = {path for path in paths if paths.count(path) > 1}
    if twice:
        raise UserError(f"--out={twice.pop()}: given twice; leave one away")
    options = ExportOptions(
        threshold=flags.threshold,
        keep_largest=flags.keep_largest,
        smooth=flags.smooth,
        faces=flags.faces,
        texture_px=flags.texture,
        cells=flags.cells,
    )
    done = export_run(load_run(flags.workdir), paths, options=options, check=check)
    for line in done.lines():
        print(line)
    for path in [*done.paths, *([check] if check else [])]:
        print(path)


def _read_flags(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("export")
    parser.add_argument("--workdir", required=True, help="folder of the run")
    out = f"file to write; its ending says what: {', '.join(ENDINGS)}; may be given again"
    parser.add_argument("--out", required=True, action="append", help=out)
    threshold = "opacity of a voxel at the surface (default: the surface whose outlines are the field's)"
    parser.add_argument("--threshold", type=_share, help=threshold)
    largest = "keep the largest part alone (default: only crumbs go, parts under a hundredth of it)"
    parser.add_argument("--keep-largest", action="store_true", help=largest)
    smooth = "steps of Taubin's filter (default: 0)"
    parser.add_argument("--smooth", type=whole_number(0, 1000), default=0, help=smooth)
    faces = f"triangles at most (default: all, {TEXTURED_FACES} with a texture)"
    parser.add_argument("--faces", type=whole_number(4, 10**9), help=faces)
    texture = "side of a texture in pixels (default: colours on the vertices); .glb and .obj hold it"
    parser.add_argument("--texture", type=whole_number(16, 8192), metavar="PIXELS", help=texture)
    cells = "cells sampled along the longest edge of the box (default: by the field)"
    parser.add_argument("--cells", type=whole_number(4, 1024), help=cells)
    parser.add_argument("--check", default="", help="picture of field and mesh side by side (.png)")
    parser.epilog = "One scene unit is one metre. .glb and .obj are y up, .ply, .vox and .npz z up."
    return parser.parse_args(arguments)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0 and below 1")
    return value


if __name__ == "__main__":
    run_command(main)
