"""Make the pictures of a run again: `python -m voxjax.render --workdir=runs/bonsai --width=512`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.console import Console
from rich.progress import Progress

from voxjax.command import Parser, run_command, whole_number
from voxjax.files import refuse_unwritable, remove_leftovers
from voxjax.pictures.outputs import write_pictures
from voxjax.pictures.views import picture_options, view_of
from voxjax.run import load_run


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser("render")
    parser.add_argument("--workdir", required=True, help="folder of the run")
    size, count = whole_number(16, 8192), whole_number(1, 100_000)
    parser.add_argument("--width", type=size, help="pixels of eval.png and the turntables")
    parser.add_argument("--preview-width", type=size, help="pixels of a view in preview.png")
    parser.add_argument("--frames", type=count, help="frames of a turntable")
    parser.add_argument("--fps", type=whole_number(1, 240), help="frames of a turntable per second")
    rays = "rays at a time; fewer need less memory"
    parser.add_argument("--chunk-rays", type=whole_number(1, 2**24), help=rays)
    parser.epilog = "Sizes and numbers that are left away come from the run's config."
    flags = parser.parse_args(arguments)

    run = load_run(flags.workdir)
    refuse_unwritable(flags.workdir, f"--workdir={flags.workdir}")
    remove_leftovers(flags.workdir)
    asked = {
        "preview_px": flags.preview_width,
        "eval_px": flags.width,
        "turntable_px": flags.width,
        "n_frames": flags.frames,
        "fps": flags.fps,
    }
    options = dataclasses.replace(
        picture_options(run.config), **{name: value for name, value in asked.items() if value is not None}
    )
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("turntable", total=options.n_frames)
        paths = write_pictures(
            flags.workdir,
            view_of(run, chunk_rays=flags.chunk_rays),
            options=options,
            progress=lambda done, _: bar.update(task, completed=done),
        )
    for path in paths:
        print(path)


if __name__ == "__main__":
    run_command(main)
