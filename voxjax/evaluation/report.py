"""What a finished run ends with: pictures, the mesh, and the report that shows them."""

from __future__ import annotations

import sys
from pathlib import Path

from voxjax.errors import UserError
from voxjax.evaluation.report_data import collect
from voxjax.evaluation.report_page import page
from voxjax.files import write_text
from voxjax.mesh.export import export_run
from voxjax.pictures import outputs
from voxjax.pictures.views import picture_options, view_of
from voxjax.run import MESH, REPORT, Run
from voxjax.run_config import wanted_files
from voxjax.training.timing import Timing


def make_outputs(run: Run, timing: Timing, *, anew: bool) -> list[Path]:
    """Makes what a run ends with.

    Args:
      run: a finished run.
      timing: in the phase that this counts as; written before the report, which tells it.
      anew: whether what is there is to be made again; else only what is missing, and a report of it.

    Returns:
      Paths of what is there now.
    """
    wanted = wanted_files(run.config, run.workdir, anew=anew)
    missing = {path.name for path in wanted if anew or not path.exists()}
    if missing - {MESH, REPORT}:
        outputs.write_pictures(run.workdir, view_of(run), options=picture_options(run.config))
    if MESH in missing:
        timing.note_mesh(write_mesh(run))
    if run.config.output.report and missing:
        timing.write(run.step)
        write_report(run.workdir)
    return [path for path in wanted if path.exists()]


def write_mesh(run: Run) -> str:
    """Writes the surface of a run to `mesh.glb` in its workdir, or warns that there is none.

    Returns:
      Empty, or why there is none: the surface is empty. A mesh of an earlier time is then removed.
    """
    try:
        export_run(run, [run.workdir / MESH])
    except UserError as error:
        (run.workdir / MESH).unlink(missing_ok=True)
        print(f"warning: {run.workdir}: no {MESH}: {error}", file=sys.stderr)
        return str(error)
    return ""


def write_report(workdir: str | Path, out: str | Path | None = None, *, why_no_mesh: str = "") -> Path:
    """Writes the report of a run, finished or not.

    Args:
      workdir: the run's folder.
      out: place of the page; `report.html` in the workdir by default.
      why_no_mesh: said in place of the mesh where there is none; by default what the run told.

    Returns:
      Path of the page.

    Raises:
      UserError: the folder is not the workdir of a run.
    """
    path = Path(out or Path(workdir) / REPORT)
    report = collect(workdir)
    write_text(path, page(report, why_no_mesh=why_no_mesh or report.summary.get("no_mesh", "")))
    return path
