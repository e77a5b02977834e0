"""Watch and turn runs in a browser: `python -m voxjax.view --workdir=runs/bonsai`, or all under runs/."""

from __future__ import annotations

import os
from collections.abc import Sequence

from voxjax.command import Parser, run_command, whole_number
from voxjax.errors import UserError

_MANY = 6


def main(arguments: Sequence[str]) -> None:
    """The command: serves a page until Ctrl-C.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser("view")
    parser.add_argument(
        "--workdir", action="append", help="folder of a run; several: side by side; none: a start page"
    )
    parser.add_argument("--port", type=whole_number(0, 65535), default=8080, help="default 8080; 0: any")
    parser.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1: this machine alone")
    parser.add_argument("--runs", default="runs", help="folder of runs of the start page; default: runs")
    parser.epilog = "docs/viewer.md says how to reach it on another machine."
    flags = parser.parse_args(arguments)
    workdirs = list(dict.fromkeys(flags.workdir or []))
    if len(workdirs) > _MANY:
        raise UserError(f"--workdir: {len(workdirs)} runs side by side are too many; give up to {_MANY}")
    if os.path.exists(flags.runs) and not os.path.isdir(flags.runs):
        raise UserError(f"--runs={flags.runs}: not a folder")
    # A training on the same GPU needs the memory that jax would take for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        from voxjax.viewer.server import refuse_taken, serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "viser":
            raise
        raise UserError('the viewer needs viser; install it with: pip install "voxjax[view]"') from error
    refuse_taken(flags.host, flags.port)
    from voxjax.viewer.house import open_house

    serve(open_house(workdirs, flags.runs), host=flags.host, port=flags.port)


if __name__ == "__main__":
    run_command(main)
