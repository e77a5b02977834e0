"""Pictures, videos, meshes and pages in a cell: whole in its output, so that they stay when it is saved."""

from __future__ import annotations

import base64
import mimetypes
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Any

from voxjax.notebook.words import CellError
from voxjax.pictures.outputs import TURNTABLE, TURNTABLE_DEPTH


class Spot:
    """A place in the output of a cell whose content is replaced."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, html: str) -> None:
        """Puts HTML there."""
        from IPython.display import HTML, display

        if self._handle is None:
            self._handle = display(HTML(html), display_id=True)
        else:
            self._handle.update(HTML(html))


def show_turntable(workdir: str | Path) -> None:
    """Shows the run's turntables, colour and depth, side by side.

    Args:
      workdir: of a finished run.

    Raises:
      CellError: there are none.
    """
    files = [_existing(Path(workdir) / name) for name in (TURNTABLE, TURNTABLE_DEPTH)]
    style = "width: min(48%, 512px); border-radius: 8px"
    videos = [
        f'<video controls autoplay loop muted playsinline style="{style}" aria-label="{name}" '
        f'src="{data_address(file)}"></video>'
        for name, file in zip(("colour, turning", "depth, turning"), files, strict=True)
    ]
    Spot().show(f'<div style="display: flex; gap: 2%">{"".join(videos)}</div>')


def show_mesh(workdir: str | Path, *, height_px: int = 480) -> None:
    """Shows the run's mesh to be turned; makes it first where the run did not.

    Args:
      workdir: of a finished run.
      height_px: of the view.

    Raises:
      CellError: the surface is empty, or the run is not there.
    """
    from voxjax.evaluation.report_mesh import viewer_page

    show_html(viewer_page(mesh_of(workdir)), height_px=height_px, title="the mesh, to be turned")


def show_page(path: str | Path, *, height_px: int = 900) -> None:
    """Shows a page that holds all it needs, such as `report.html` or that of a comparison.

    Raises:
      CellError: there is none.
    """
    page = _existing(Path(path)).read_text(encoding="utf-8")
    show_html(page, height_px=height_px, title=Path(path).name)


def download(path: str | Path, form: str = "glb") -> None:
    """Hands a file to the browser: at once on Colab, elsewhere as a link that holds it.

    Args:
      path: of the file; of a run's folder for its mesh.
      form: of the mesh, "glb" or another that `voxjax export` writes.

    Raises:
      CellError: there is no such file.
    """
    file = mesh_of(path, form) if Path(path).is_dir() else _existing(Path(path))
    try:
        from google.colab import files
    except ImportError:
        size = file.stat().st_size / 2**20
        link = f'<a download="{escape(file.name)}" href="{data_address(file)}">{escape(file.name)}</a>'
        Spot().show(f"{link} ({size:.1f} MiB), on this machine {escape(str(file))}")
    else:
        files.download(str(file))


def mesh_of(workdir: str | Path, form: str = "glb") -> Path:
    """Returns the run's mesh, made in a process of its own where it is not there yet.

    Raises:
      CellError: it cannot be made; the command's last line.
    """
    mesh = Path(workdir) / f"mesh.{form}"
    if not mesh.is_file():
        command = [sys.executable, "-m", "voxjax.export", f"--workdir={workdir}", f"--out={mesh}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise CellError(last.removeprefix("voxjax: "))
    return mesh


def show_html(page: str, *, height_px: int, title: str) -> None:
    """Shows a whole page in a frame."""
    frame = (
        f'<iframe srcdoc="{escape(page)}" title="{escape(title)}" loading="lazy" '
        f'style="width: 100%; height: {height_px}px; border: 0"></iframe>'
    )
    Spot().show(f"<div>{frame}</div>")


def picture_html(path: Path, alt: str) -> str:
    """Returns the element that holds a picture."""
    style = "max-width: min(100%, 64rem); border-radius: 8px"
    return f'<img alt="{escape(alt)}" style="{style}" src="{data_address(path)}">'


def data_address(path: Path) -> str:
    """Returns a file as an address that holds it."""
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{content}"


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise CellError(f"{path}: no such file; train first, to the end")
    return path
