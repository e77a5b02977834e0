"""Every run of a table on one picture, none left out.

    python -m voxjax.evaluation.sheet --table=table.json --out=sheet.png --title=...

Reads a table of `voxjax.evaluate` and shows the evaluation view of each run with its prompt, its rank, and
what it is taken for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from voxjax.command import Parser, run_command
from voxjax.errors import UserError
from voxjax.evaluation.primitives import read_table
from voxjax.files import refuse_unwritable_file
from voxjax.pictures.contact_sheet import write_contact_sheet
from voxjax.pictures.outputs import EVALUATION

_COLUMNS, _TILE_PX, _FONT_PX = 10, 128, 11


def label_of(row: dict[str, Any], *, with_seed: bool) -> str:
    """Two lines under the picture of a run of the table."""
    seed = f", seed {row['seed']}" if with_seed else ""
    taken = "" if row["rank"] == 1 else f": {row['nearest'].rstrip('.')}"
    return f"{row['prompt'].rstrip('.')}{seed}\nrank {row['rank']}{taken}"


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: the table, or a picture of one of its runs, cannot be read.
    """
    parser = Parser(prog="voxjax.evaluation.sheet", description="Every run of a table on one picture.")
    parser.add_argument("--table", required=True, help="from python -m voxjax.evaluate")
    parser.add_argument("--out", required=True, help="file for the picture")
    parser.add_argument("--title", default="", help="heading")
    flags = parser.parse_args(arguments)
    refuse_unwritable_file(flags.out, "--out")
    rows = read_table(flags.table)["runs"]
    several = len({row["seed"] for row in rows}) > 1
    pictures = [_picture(Path(row["workdir"]) / EVALUATION) for row in rows]
    labels = [label_of(row, with_seed=several) for row in rows]
    columns = min(_COLUMNS, len(rows))
    write_contact_sheet(
        flags.out, pictures, labels, columns=columns, tile_px=_TILE_PX, font_px=_FONT_PX, title=flags.title
    )
    print(flags.out)


def _picture(path: Path) -> np.ndarray:
    try:
        with Image.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except OSError as error:
        raise UserError(f"{path}: {error}; train the run to its end again") from error


if __name__ == "__main__":
    run_command(main)
