"""An index of many runs: a page of thumbnails that link to the reports beside the runs."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from voxjax.checkpoint import Checkpoints
from voxjax.errors import UserError
from voxjax.evaluation.course import read_metrics
from voxjax.evaluation.page_parts import data_address, document, table
from voxjax.evaluation.report_data import similarity_of
from voxjax.evaluation.words import FIELDS, optional
from voxjax.guidance.ensemble import guide_specs
from voxjax.pictures.outputs import EVALUATION
from voxjax.run import CHECKPOINTS, REPORT, read_config

MADE_BY = "voxjax report --runs"
_THUMBNAIL_PX = 320

_STYLE = """
.bar { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: baseline;
  justify-content: space-between; }
select { font: inherit; padding: .25rem .5rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); color: var(--ink); }
.cards { display: grid; gap: 1.5rem clamp(.75rem, 2vw, 1.5rem); margin: 1.25rem 0 0; padding: 0;
  list-style: none; grid-template-columns: repeat(auto-fill, minmax(min(14rem, 44%), 1fr)); }
.cards a { display: block; color: inherit; text-decoration: none; }
.cards a:hover img, .cards a:focus-visible img { border-color: var(--accent); }
.cards img { aspect-ratio: 1; object-fit: contain; }
.cards .line { display: flex; gap: .75rem; align-items: baseline; justify-content: space-between;
  margin-top: .5rem; } .cards h2 { margin: 0; font-size: 1rem; line-height: 1.3; overflow-wrap: anywhere; }
.cards b { font-weight: 500; font-variant-numeric: tabular-nums; }
.cards p { margin: .1rem 0 0; font-size: .8rem; overflow-wrap: anywhere; }
"""
_SCRIPT = """
const list = document.querySelector('.cards'), order = document.querySelector('select');
if (list && order) { const cards = [...list.children];
  order.onchange = () => list.append(...(order.value === 'similarity'
    ? [...cards].sort((a, b) => b.dataset.similarity - a.dataset.similarity) : cards)); }
"""


@dataclass(frozen=True)
class Card:
    """A run in the index.

    Attributes:
      workdir: its folder.
      prompt: the text it was made from.
      about: field, guides, seed and steps, for reading.
      similarity: see `Report.similarity`.
      finished: whether all steps are done.
      trouble: empty, or why it is only listed: it is not finished, or cannot be read.
    """

    workdir: Path
    prompt: str = ""
    about: str = ""
    similarity: float | None = None
    finished: bool = False
    trouble: str = ""


def read_card(workdir: Path) -> Card:
    """Returns what the index says of a run, whatever state it is in."""
    try:
        config = read_config(workdir)
        guides = " + ".join(spec.model for spec in guide_specs(config))
        name = FIELDS.get(config.field.name, config.field.name)
        about = f"{name} · {guides} · seed {config.seed} · {config.steps:,} steps"
        step = max(Checkpoints(workdir / CHECKPOINTS).steps(), default=0)
        similarity = similarity_of(read_metrics(workdir))
    except (UserError, OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        # A config of any age or none: whatever is wrong with it is told, and the others are shown.
        return Card(workdir, trouble=f"cannot be read: {error}")
    finished = step >= config.steps
    trouble = "" if finished else f"not finished: step {step:,} of {config.steps:,}"
    return Card(workdir, config.prompt, about, similarity, finished, trouble)


def index_page(cards: Sequence[Card], left_out: dict[str, str], out: Path) -> str:
    """The whole page.

    Args:
      cards: the runs, in the order of the page.
      left_out: folder -> reason, for what is no run.
      out: place of the page, to which its links are relative.

    Returns:
      HTML that holds the thumbnails and links to the reports.
    """
    shown = [card for card in cards if card.finished]
    listed = [(_name(card.workdir, out), [card.prompt, card.trouble]) for card in cards if card.trouble]
    listed += [(_name(Path(folder), out), ["", reason]) for folder, reason in left_out.items()]
    order = (
        '<label>Order <select><option value="">by folder</option>'
        '<option value="similarity">by similarity</option></select></label>'
    )
    body = [
        f'<header><p class="over">{escape(MADE_BY)}</p><h1>Runs</h1>',
        f'<div class="bar"><p>{escape(counted(cards, left_out))}. The figure is the CLIP similarity at the '
        f"end of training.</p>{order if len(shown) > 1 else ''}</div></header><main>",
        '<ul class="cards">' if shown else "<p>No finished run.</p>",
        *(_shown(card, out) for card in shown),
        "</ul>" if shown else "",
    ]
    if listed:
        body += ["<h2>Not shown</h2>", table(["folder", "prompt", "why"], listed)]
    title = f"Runs: {len(shown)} finished"
    return document(title, [*body, "</main>"], style=_STYLE, script=_SCRIPT, made_by=MADE_BY)


def counted(cards: Sequence[Card], left_out: dict[str, str]) -> str:
    """Returns how many runs there are of each kind, in words."""
    finished = sum(card.finished for card in cards)
    unread = sum(card.trouble.startswith("cannot") for card in cards)
    others = [
        (len(cards) - finished - unread, "not finished"),
        (unread, "that cannot be read"),
        (len(left_out), "without a config"),
    ]
    words = [f"{finished} finished", *(f"{number} {what}" for number, what in others if number)]
    total = len(cards) + len(left_out)
    return f"{total} {'folder' if total == 1 else 'folders'}: {', '.join(words)}"


def _shown(card: Card, out: Path) -> str:
    picture = card.workdir / EVALUATION
    image = (
        f'<img loading="lazy" alt="{escape(f"{card.prompt}, evaluation view")}" src="{_thumbnail(picture)}">'
        if picture.is_file()
        else '<div class="missing">no picture</div>'
    )
    similarity = optional(card.similarity, lambda value: f"{value:.3f}")
    inside = (
        f'{image}<div class="line"><h2>{escape(card.prompt)}</h2><b>{similarity}</b></div>'
        f"<p>{escape(card.about)}</p><p>{escape(_name(card.workdir, out))}</p>"
    )
    report = card.workdir / REPORT
    link = f'<a href="{escape(quote(_relative(report, out)))}">{inside}</a>' if report.is_file() else inside
    return f'<li data-similarity="{card.similarity if card.similarity is not None else -2}">{link}</li>'


def _thumbnail(file: Path) -> str:
    """A small picture as an address that holds it."""
    with Image.open(file) as image:
        small = image.convert("RGB")
        small.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    content = io.BytesIO()
    small.save(content, "JPEG", quality=88)
    return data_address(content.getvalue(), "image/jpeg")


def _relative(path: Path, out: Path) -> str:
    return Path(os.path.relpath(path.absolute(), out.absolute().parent)).as_posix()


def _name(workdir: Path, out: Path) -> str:
    return _relative(workdir, out)
