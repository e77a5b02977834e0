"""Every run of a table on one picture, none left out.

    python -m voxjax.evaluation.sheet --table=table.json --out=sheet.png --title=...

Reads tables of `voxjax.evaluate` and shows the evaluation view of each run with its prompt, its rank, and
what it is taken for. Several tables, `--table` once for each, are named after their files, and the runs of a
prompt stand together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def label_of(row: dict[str, Any], *, with_seed: bool, variant: str = "") -> str:
    """Two lines under the picture of a run of the table."""
    seed = f", seed {row['seed']}" if with_seed else ""
    taken = "" if row["rank"] == 1 else f": {row['nearest'].rstrip('.')}"
    mine = f"{variant}: " if variant else ""
    return f"{row['prompt'].rstrip('.')}{seed}\n{mine}rank {row['rank']}{taken}"


def arranged(tables: Mapping[str, Sequence[dict[str, Any]]]) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """In which order runs are shown: several tables below one another, or beside where there are many runs.

    Args:
      tables: name -> its runs, of the same prompts and seeds.

    Returns:
      (table and run of each place, columns).

    Raises:
      UserError: a table has other prompts or seeds than the first.
    """
    first, *others = tables
    runs = {first: list(tables[first])} if not others else align(tables)
    n = len(runs[first])
    if not others or n <= _COLUMNS:
        return [(name, row) for name, rows in runs.items() for row in rows], min(_COLUMNS, n)
    columns = len(runs) * max(1, _COLUMNS // len(runs))
    return [(name, rows[k]) for k in range(n) for name, rows in runs.items()], columns


def align(tables: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The runs of several tables, all in the order of the first.

    Args:
      tables: name, as typed -> its runs.

    Raises:
      UserError: a table has other prompts or seeds than the first, or one of them twice.
    """
    keys = {name: [(row["prompt"], row["seed"]) for row in rows] for name, rows in tables.items()}
    first = next(iter(keys))
    for name, found in keys.items():
        if sorted(found) != sorted(keys[first]) or len(set(found)) != len(found):
            raise UserError(f"--table={name}: its prompts and seeds are not those of {first}, each once")
    places = {key: place for place, key in enumerate(keys[first])}
    return {
        name: sorted(rows, key=lambda row: places[row["prompt"], row["seed"]])
        for name, rows in tables.items()
    }


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: a table, or a picture of one of its runs, cannot be read, or the tables do not fit together.
    """
    parser = Parser(prog="voxjax.evaluation.sheet", description="Every run of some tables on one picture.")
    parser.add_argument("--table", required=True, action="append", help="from python -m voxjax.evaluate")
    parser.add_argument("--out", required=True, help="file for the picture")
    parser.add_argument("--title", default="", help="heading")
    flags = parser.parse_args(arguments)
    refuse_unwritable_file(flags.out, "--out")
    tables = {Path(file).stem: read_table(file)["runs"] for file in flags.table}
    if len(tables) < len(flags.table):
        raise UserError(f"--table={', '.join(flags.table)}: each needs a name of its own")
    shown, columns = arranged(tables)
    several = len({row["seed"] for _, row in shown}) > 1
    pictures = [_picture(Path(row["workdir"]) / EVALUATION) for _, row in shown]
    labels = [
        label_of(row, with_seed=several, variant=name if len(tables) > 1 else "") for name, row in shown
    ]
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
