"""What every page of voxjax is made of: its looks, and a file that holds all it shows and asks for nothing.

Texts are escaped here and nowhere else: who calls these functions hands over plain text, apart from arguments
that are called `html` or `body`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c1d20; --quiet: #62666d; --line: #dcdee3;
  --card: #f5f6f8; --alarm: #b3261e; --accent: #2f5fd0; --amber: #b4700a; --violet: #8048c0;
  --green: #237a4b; --grey: #7d828b; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --ink: #e8e9ec; --quiet: #9ba0a8;
  --line: #33373d; --card: #1e2125; --alarm: #ff8a80; --accent: #84aaff; --amber: #e5a44a;
  --violet: #bb93f0; --green: #6cc795; --grey: #8a9099; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(.75rem, 3vw, 2.5rem) 4rem; max-width: 88rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: clamp(1.4rem, 4vw, 2.1rem); line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .25rem; font-size: 1.15rem; }
p { margin: .25rem 0 .75rem; color: var(--quiet); max-width: 46rem; }
a { color: var(--accent); }
.over { margin: 0 0 .35rem; font-size: .85rem; letter-spacing: .02em; }
figure { margin: 0; }
figcaption { margin-bottom: .3rem; font-weight: 600; font-size: .9rem; overflow-wrap: anywhere; }
video, img { display: block; width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: .5rem; }
.missing { display: grid; place-content: center; aspect-ratio: 1; padding: .75rem; border-radius: .5rem;
  border: 1px dashed var(--line); background: var(--card); color: var(--quiet); text-align: center;
  overflow-wrap: anywhere; }
.alarm { padding: .6rem .9rem; border-left: .25rem solid var(--alarm); background: var(--card);
  color: var(--ink); overflow-wrap: anywhere; max-width: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem 1.1rem .4rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
thead th { white-space: nowrap; }
tbody th { font-weight: 400; color: var(--quiet); min-width: 9rem; }
tr > :first-child { position: sticky; left: 0; background: var(--paper); }
@media (max-width: 40rem) { table { font-size: .8rem; } th, td { padding-right: .6rem; }
  thead th { white-space: normal; overflow-wrap: anywhere; } tbody th { min-width: 6rem; } }
button { font: inherit; padding: .3rem .9rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--card); color: var(--ink); cursor: pointer; }
"""
TURN_BUTTON = '<button type="button" id="turn" hidden>Stop turning</button>'
# All videos stop and go together; who asked their system for less motion starts with them stopped.
TURN_SCRIPT = """
const videos = [...document.querySelectorAll('video')], button = document.querySelector('#turn');
const go = on => { button.textContent = on ? 'Stop turning' : 'Turn';
  videos.forEach(v => { if (on) { v.currentTime = videos[0].currentTime; v.play(); } else v.pause(); }); };
button.hidden = !videos.length;
button.onclick = () => go(videos[0].paused);
if (matchMedia('(prefers-reduced-motion: reduce)').matches) go(false);
"""
_TYPES = {".mp4": "video/mp4", ".png": "image/png", ".jpg": "image/jpeg"}
# The browser, too, refuses whatever would come from elsewhere.
_POLICY = (
    "default-src 'none'; img-src data: blob:; media-src data:; connect-src data: blob:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


def document(
    title: str, body: Iterable[str], *, style: str = "", script: str = "", columns: int = 1, made_by: str = ""
) -> str:
    """A whole page.

    Args:
      title: of the window.
      body: HTML of header, main and footer.
      style: CSS behind the common one.
      script: of the page, run at its end.
      columns: of a row, for the CSS variable `--runs`.
      made_by: the command that wrote it, kept in the page.

    Returns:
      HTML without a reference to anything outside it but links.
    """
    generator = f'<meta name="generator" content="{escape(made_by)}">' if made_by else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{generator}'
        # An empty icon, or browsers ask the server for one.
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f'<style>{STYLE}{style}</style></head>\n<body style="--runs: {columns}">'
        + "\n".join(body)
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )


def data_uri(file: Path) -> str:
    """Returns a picture or video as an address that holds it."""
    return data_address(file.read_bytes(), _TYPES[file.suffix])


def data_address(content: bytes, kind: str) -> str:
    """Returns bytes of a MIME type as an address that holds them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def picture(file: Path | None, alt: str) -> str:
    """Returns the element that shows a picture, or a video in a loop; a box where there is none."""
    if file is None:
        return '<div class="missing">no picture</div>'
    source, alt = f'src="{data_uri(file)}"', escape(alt)
    if file.suffix == ".mp4":
        return f'<video autoplay muted loop playsinline role="img" aria-label="{alt}" {source}></video>'
    return f'<img alt="{alt}" {source}>'


def captioned(caption: str, html: str) -> str:
    """Returns a figure with its caption above."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{html}</figure>"


def alarms(texts: Iterable[str]) -> list[str]:
    """Returns a paragraph that catches the eye for each text."""
    return [f'<p class="alarm" role="alert">{escape(text)}</p>' for text in texts]


def table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Returns a table that scrolls sideways where it is too wide.

    Args:
      heads: of the columns, that of the rows' names first.
      rows: (name, values).
    """
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(v)}</td>" for v in values)}</tr>'
        for name, values in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
