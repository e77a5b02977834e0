"""Make a mesh of a run: `python -m voxjax.export --workdir=runs/bonsai --out=bonsai.glb`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from voxjax.command import Parser, run_command, whole_number
from voxjax.files import refuse_unwritable_file
from voxjax.mesh.export import ExportOptions, export_run
from voxjax.mesh.formats import SUFFIXES, suffix_of
from voxjax.run import load_run


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser("export")
    parser.add_argument("--workdir", required=True, help="folder of the run")
    out = f"file to write, by its suffix: {', '.join(SUFFIXES)}; may be given again"
    parser.add_argument("--out", required=True, action="append", help=out)
    parser.add_argument("--threshold", type=_share, help="opacity of a voxel at the surface")
    parser.add_argument("--keep-largest", action="store_true", help="keep the largest part alone")
    parser.add_argument("--smooth", type=whole_number(0, 1000), default=0, help="steps of smoothing")
    parser.add_argument("--faces", type=whole_number(4, 100_000_000), help="triangles at most")
    flags = parser.parse_args(arguments)
    paths = [Path(each) for each in flags.out]
    for path in paths:
        suffix_of(path)
        refuse_unwritable_file(path, "--out")
    options = ExportOptions(flags.threshold, flags.keep_largest, flags.smooth, flags.faces)
    done = export_run(load_run(flags.workdir), paths, options=options)
    for line in done.lines():
        print(line)
    for path in done.paths:
        print(path)


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
