"""Several fields on the same primitives.

    python -m voxjax.evaluation.gallery --table=NAME=FILE --table=NAME=FILE --out=FOLDER

Reads one table of `voxjax.evaluate` for each field, examines its runs as `primitives` does, and writes
`gallery.json`, `gallery.md` and one contact sheet with the fields side by side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxjax.command import Parser, run_command
from voxjax.errors import UserError
from voxjax.evaluation.primitives import examine, markdown, read_table, shape_and_colour, totals
from voxjax.evaluation.sheet import align
from voxjax.files import refuse_unwritable, write_text
from voxjax.pictures.contact_sheet import write_contact_sheet

# Up to so many objects stand beside each other, the fields below one another; more take a row each.
_WIDEST = 10
Examined = list[tuple[dict[str, Any], np.ndarray]]


def read_tables(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Reads the tables.

    Args:
      given: `NAME=FILE` of each, as typed.

    Returns:
      Name of a field -> table of `voxjax.evaluate`, its runs in the order of the first table.

    Raises:
      UserError: a file cannot be read, or the tables are not of the same prompts and seeds.
    """
    tables: dict[str, dict[str, Any]] = {}
    for each in given:
        name, equals, path = each.partition("=")
        if not (name and equals) or name in tables:
            raise UserError(f"--table={each}: write NAME=FILE, each name once")
        tables[name] = read_table(path)
    for name, runs in align({name: table["runs"] for name, table in tables.items()}).items():
        tables[name]["runs"] = runs
    return tables


def sheet(fields: Mapping[str, Examined]) -> tuple[list[np.ndarray], list[str], int]:
    """What the contact sheet shows, in order.

    Args:
      fields: name of a field -> (figures, picture) of its runs, in the same order for each field.

    Returns:
      (pictures, labels, columns).
    """
    n = len(next(iter(fields.values())))
    if n <= _WIDEST:
        order = [(name, k) for name in fields for k in range(n)]
    else:
        order = [(name, k) for k in range(n) for name in fields]
    seeds = {figures["seed"] for each in fields.values() for figures, _ in each}
    pictures, labels = [], []
    for name, k in order:
        figures, picture = fields[name][k]
        seed = f", seed {figures['seed']}" if len(seeds) > 1 else ""
        pictures.append(picture)
        labels.append(
            f"{figures['prompt']}{seed}\n{name}: {figures['views_right']}/{figures['n_views']}, "
            f"IoU {figures['iou']:.2f}"
        )
    return pictures, labels, n if n <= _WIDEST else len(fields)


def overview(title: str, sums: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures over all runs, one line for each field.

    Args:
      title: heading.
      sums: name of a field -> `report.totals` of its runs.
    """
    lines = [
        f"# {title}",
        "",
        "![the fields side by side](contact_sheet.png)",
        "",
        "Below each picture: from how many views the judge names the object right, and how well its "
        "silhouettes fit the true primitive.",
        "",
        "Floaters: runs with solid parts away from the largest, and their share of what is solid. Occupied: "
        "vertices that are on after each third of the run. Steps/s is the median; runs went side by side.",
        "",
        "| field | runs | R-P per view | R-P per object | colour right, per view | silhouette IoU | "
        "floaters | occupied | steps/s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, sums_of_field in sums.items():
        f = sums_of_field["all"]
        lines.append(
            f"| {name} | {f['runs']} | {f['r_precision_per_view']:.1%} | {f['r_precision_per_object']:.1%} | "
            f"{f['colour_per_view']:.1%} | {f['silhouette_iou']:.2f} | "
            f"{f['with_floaters']:.0%}, {f['floating_share']:.2%} | "
            f"{', '.join(f'{each:.0%}' for each in f['occupied']) or '-'} | "
            f"{'-' if f['steps_per_second'] is None else format(f['steps_per_second'], '.2f')} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: a table cannot be read, or does not fit the others.
    """
    parser = Parser(prog="voxjax.evaluation.gallery", description="Fields side by side on the same prompts.")
    parser.add_argument(
        "--table",
        required=True,
        action="append",
        help="NAME=FILE, a table of python -m voxjax.evaluate; once for each field",
    )
    parser.add_argument("--out", required=True, help="folder for the gallery")
    parser.add_argument("--title", default="Fields side by side", help="heading of the gallery")
    flags = parser.parse_args(arguments)
    refuse_unwritable(flags.out, f"--out={flags.out}")
    tables = read_tables(flags.table)
    for table in tables.values():
        for row in table["runs"]:
            shape_and_colour(row["prompt"])
    fields = {name: [examine(row) for row in table["runs"]] for name, table in tables.items()}
    rows = {name: [figures for figures, _ in each] for name, each in fields.items()}
    sums = {name: totals(each) for name, each in rows.items()}
    out = Path(flags.out)
    judges = {name: table["judge"] for name, table in tables.items()}
    result = {"title": flags.title, "judges": judges, "totals": sums, "runs": rows}
    write_text(out / "gallery.json", json.dumps(result, indent=1) + "\n")
    sections = [markdown(name, tables[name], sums[name]) for name in tables]
    write_text(out / "gallery.md", "\n".join([overview(flags.title, sums), *sections]))
    pictures, labels, columns = sheet(fields)
    path = out / "contact_sheet.png"
    write_contact_sheet(path, pictures, labels, columns=columns, tile_px=128, font_px=11, title=flags.title)
    print(out / "gallery.md")


if __name__ == "__main__":
    run_command(main)
