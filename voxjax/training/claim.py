"""The folder of a run while it trains: of one config, and of one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ml_collections import ConfigDict

from voxjax.config.saved import to_json
from voxjax.errors import UserError
from voxjax.files import Busy, locked, remove_leftovers, write_text
from voxjax.run_config import refuse_other
from voxjax.run_files import CONFIG, LOCK


@contextmanager
def claim(workdir: Path, config: ConfigDict) -> Iterator[None]:
    """Makes `workdir` the folder of this config, and keeps other processes from training in it meanwhile.

    Half-written files that a killed process left there are removed.

    Raises:
      UserError: it cannot be written, or another process trains in it.
    """
    refuse_other(workdir, config)
    workdir.mkdir(parents=True, exist_ok=True)
    try:
        with locked(workdir / LOCK):
            remove_leftovers(workdir)
            refuse_other(workdir, config)
            if not (workdir / CONFIG).exists():
                write_text(workdir / CONFIG, to_json(config))
            yield
    except Busy as error:
        raise UserError(f"{workdir}: another process is training here; wait for it or stop it") from error
