"""What lies in the folders of a plan already: finished runs, begun ones, and what must not be there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.files import refuse_unwritable
from voxjax.run_config import refuse_other, wanted_files
from voxjax.run_files import CHECKPOINTS, is_complete, saved_steps
from voxjax.sweeping.plan import Plan


def read_root(text: str) -> Path:
    """The folder of a sweep, absolute.

    Raises:
      UserError: an URL, or a folder that cannot hold runs.
    """
    if re.match(r"[A-Za-z][\w+.-]*://", text):
        raise UserError(
            f"--root={text}: runs are written as files of a folder, not to an URL; mount it where the runs "
            "go, and give that folder"
        )
    root = Path(os.path.expanduser(text)).absolute()
    if root.exists() and not root.is_dir():
        raise UserError(f"--root={text}: a file of this name exists; give another folder")
    if "[" in str(root):
        raise UserError(f"--root={text}: checkpoints cannot lie in a path with [; give another folder")
    refuse_unwritable(root, f"--root={text}")
    return root


def find_finished(plan: Plan, root: Path) -> set[str]:
    """Names of the runs that are finished, by their own files.

    Raises:
      UserError: the folder of a run holds one of another config.
    """
    finished = set()
    for run in plan.runs:
        workdir = root / run.name
        if workdir.exists():
            config = plan.config_of(run)
            try:
                refuse_other(workdir, config)
            except UserError as error:
                raise UserError(str(error).replace("another --workdir", "another --root")) from error
            if is_finished(workdir, config):
                finished.add(run.name)
    return finished


def is_finished(workdir: Path, config: ConfigDict) -> bool:
    """Whether the last step's checkpoint is complete, and the pictures, mesh and report are there."""
    if not is_complete(workdir / CHECKPOINTS / str(config.steps)):
        return False
    return all(path.is_file() for path in wanted_files(config, workdir))


def last_saved(workdir: Path) -> int:
    """The step of the latest checkpoint; 0 without one."""
    return max(saved_steps(workdir / CHECKPOINTS), default=0)
