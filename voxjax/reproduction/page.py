"""The page of an item: one HTML file with its table and pictures that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from voxjax.evaluation.page_parts import alarms, captioned, document, picture, table
from voxjax.reproduction.items import COURSE, GRADIENTS, SIDE_BY_SIDE
from voxjax.reproduction.results import cells, notes, troubles

MADE_BY = "voxjax reproduce"
_CAPTIONS = {
    SIDE_BY_SIDE: "From the evaluation view",
    GRADIENTS: "Mean size of the gradients over all vertices",
    COURSE: "Through the run, with the windows of sphere prior and total variation",
}
_STYLE = ".figures { display: grid; gap: 1.5rem; } .figures img { width: auto; max-width: 100%; }"


def page(result: Mapping[str, Any], drawn: Sequence[str], folder: Path) -> str:
    """The whole page.

    Args:
      result: of `results.results`.
      drawn: names of the pictures.
      folder: where they lie.

    Returns:
      HTML without a reference to anything outside it.
    """
    heads, rows = cells(result)
    figures = [
        captioned(_CAPTIONS[Path(name).stem], picture(folder / name, f"{result['title']}: {name}"))
        for name in drawn
    ]
    keys = [
        (row["name"], [row["config"], ", ".join(f"{key}={value}" for key, value in row["settings"].items())])
        for row in result["variants"]
    ]
    body = [
        f"<header><h1>{escape(result['title'])}</h1><p>{escape(result['about'])}</p>",
        *alarms(troubles(result)),
        "</header><main>",
        *(f"<p>{escape(note)}</p>" for note in notes(result)),
        table(heads, [(row[0], row[1:]) for row in rows]),
        '<h2>Pictures</h2><div class="figures">' + "".join(figures) + "</div>" if figures else "",
        "<h2>How they were trained</h2>",
        f"<p>Prompts: {escape('; '.join(result['prompts']))}</p>",
        table(["", "config", "keys"], keys),
        "</main>",
    ]
    return document(result["title"], body, style=_STYLE, made_by=MADE_BY)
