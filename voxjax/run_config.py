"""A run's config: read, held against another, and the files that a run of it ends with. Needs no jax."""

from __future__ import annotations

import os
from pathlib import Path

from ml_collections import ConfigDict

from voxjax.config.saved import differences, from_json
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable
from voxjax.run_files import CHECKPOINTS, CONFIG, MESH, PICTURES, REPORT, read_summary

# What changes nothing but time and memory: a run that did not fit goes on with other values of these.
_FREE = ("cameras.ray_parts: ", "clip.micro_batch: ", "clip.remat: ", "cache_dir: ")


def read_config(workdir: str | Path) -> ConfigDict:
    """Reads the config of a run.

    Raises:
      UserError: the folder is not the workdir of a run, or its config cannot be read.
    """
    path = Path(workdir) / CONFIG
    try:
        return from_json(path.read_text())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{workdir}: not the workdir of a run, it holds no {CONFIG}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise UserError(f"{path}: not a config: {error}") from error


def refuse_other(workdir: Path, config: ConfigDict) -> None:
    """Looks whether `workdir` is free for this config, and changes nothing.

    Raises:
      UserError: it holds a run of another config, or something that is no run, or cannot hold one.
    """
    # Not by Path, which raises where it may not look.
    if os.path.exists(workdir) and not os.path.isdir(workdir):
        raise UserError(f"--workdir={workdir}: a file of this name exists; give another folder")
    refuse_unwritable(workdir, f"--workdir={workdir}")
    # orbax takes its own path for a glob: what it saves there cannot be read.
    if "[" in str(workdir.absolute()):
        raise UserError(f"--workdir={workdir}: checkpoints cannot lie in a path with [; give another folder")
    if (workdir / CONFIG).exists():
        changed = differences(read_config(workdir), config)
        # The number of devices changes nothing but time only where they split one step.
        free = (*_FREE, *(("devices: ",) if config.parallel == "split" else ()))
        changed = [each for each in changed if not each.startswith(free)]
        if changed:
            more = f"; and {len(changed) - 3} more" if len(changed) > 3 else ""
            raise UserError(
                f"{workdir} holds a run of another config ({'; '.join(changed[:3])}{more}); "
                "give another --workdir, or delete that folder"
            )
    elif (workdir / CHECKPOINTS).exists():
        raise UserError(f"{workdir} holds checkpoints without a {CONFIG}; give another --workdir")


def wanted_files(config: ConfigDict, workdir: Path, *, anew: bool = False) -> list[Path]:
    """What a finished run has in its folder: pictures, a mesh, the report; the latter two by its config.

    Args:
      config: of the run.
      workdir: its folder.
      anew: whether it has just been trained; else a mesh that is known not to be possible is left out.
    """
    names = list(PICTURES)
    if config.output.mesh and (anew or not read_summary(workdir).get("no_mesh")):
        names.append(MESH)
    if config.output.report:
        names.append(REPORT)
    return [workdir / name for name in names]
