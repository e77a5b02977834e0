"""Train one object: `python -m voxjax.train --config=configs/vox_exp.py --config.prompt="a bonsai tree"`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_collections import ConfigDict

from voxjax.command import Parser, run_command
from voxjax.config.loading import load, take_overrides
from voxjax.config.naming import default_workdir
from voxjax.files import refuse_unwritable
from voxjax.run_config import refuse_other
from voxjax.training.claim import claim


def main(arguments: Sequence[str]) -> None:
    """The command: trains, or goes on where an earlier call was stopped.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser("train")
    parser.add_argument("--config", required=True, help="config and variant: vox_exp:low, or path.py:variant")
    parser.add_argument("--workdir", help="folder of the run; default: runs/<config>/<prompt>")
    force = "start even if the memory of the accelerator is expected to be too small"
    parser.add_argument("--force", action="store_true", help=force)
    profile = "folder for a trace of ten steps, for Perfetto or TensorBoard"
    parser.add_argument("--profile", type=Path, help=profile)
    parser.epilog = "Any key of the config can be set with --config.key=value; configs/base.py lists them."
    flags, rest = parser.parse_known_args(arguments)
    config = load(flags.config, take_overrides(rest, flags=("--config", "--workdir", "--force", "--profile")))
    workdir = Path(flags.workdir or default_workdir(flags.config, config.prompt))
    refuse_other(workdir, config)
    if flags.profile:
        refuse_unwritable(flags.profile, f"--profile={flags.profile}")
    use_cache(config.cache_dir)
    train(config, workdir, force=flags.force, profile_folder=flags.profile)


def use_cache(folder: str) -> None:
    """Keeps compiled programs in a folder, so that the next run of this size starts at once.

    Args:
      folder: "auto" for ~/.cache/voxjax (or $XDG_CACHE_HOME/voxjax), "" for none, or a path.
    """
    if not folder:
        return
    import jax

    if folder == "auto":
        folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "voxjax")
    jax.config.update("jax_compilation_cache_dir", os.path.expanduser(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def train(
    config: ConfigDict, workdir: Path, *, force: bool = False, profile_folder: Path | None = None
) -> list[Path]:
    """Trains to the end and makes pictures, mesh and report; of a finished run only what is missing.

    Args:
      config: a checked config.
      workdir: its folder.
      force: start even where memory is expected not to suffice.
      profile_folder: for a trace of some steps; None for no trace.

    Returns:
      Paths of what was made, or is there.

    Raises:
      UserError: see `loop.Trainer` and `preflight`.
    """
    from voxjax.evaluation.report import make_outputs
    from voxjax.pictures import outputs
    from voxjax.pictures.views import picture_options, view_of
    from voxjax.run import Run, open_run
    from voxjax.run_config import wanted_files
    from voxjax.training import loop
    from voxjax.training.outlook import outlook
    from voxjax.training.preflight import memory_here, preflight

    def preview(run: Run) -> None:
        with trainer.timing.phase("picture"):
            outputs.write_preview(workdir / outputs.PREVIEW, view_of(run), options=picture_options(config))

    loop.show_warnings()
    trainer = loop.Trainer(config, workdir)
    finished, wanted = trainer.is_finished(), wanted_files(config, workdir)
    if finished and all(path.exists() for path in wanted):
        print(
            f"{workdir}: finished already, {config.steps} steps; "
            "python -m voxjax.render makes its pictures again"
        )
        return wanted
    opening = ""
    if not finished:
        # Before the folder is claimed: a prompt that the model does not know must not occupy it, nor a
        # config that the memory does not hold.
        memory = memory_here()
        opening = outlook(config, preflight(config, memory, force=force), memory)
        trainer.load_guides()
    with claim(workdir, config):
        state = trainer.restore()
        start = int(state.step)
        if start < config.steps:
            if start:
                print(f"{workdir}: going on from step {start} of {config.steps}", file=sys.stderr)
            state = trainer.train(state, preview=preview, opening=opening, profile_folder=profile_folder)
        with trainer.timing.phase("picture"):
            run = open_run(workdir, config, state)
            made = make_outputs(run, trainer.timing, anew=start < config.steps)
        trainer.timing.write(config.steps)
    for path in made:
        print(path)
    return made


if __name__ == "__main__":
    run_command(main)
