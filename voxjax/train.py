"""Train: `python -m voxjax.train --config=configs/vox_exp.py --config.prompt="a bonsai tree"`, or a list."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.command import Parser, run_command, whole_number
from voxjax.config.loading import load, take_overrides
from voxjax.config.naming import default_workdir
from voxjax.config.prompts import place_prompts, read_prompts
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable
from voxjax.run_config import refuse_other
from voxjax.training.claim import claim


def main(arguments: Sequence[str]) -> None:
    """The command: trains, or goes on where an earlier call was stopped.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser("train")
    parser.add_argument("--config", required=True, help="config and variant: vox_exp:low, or path.py:variant")
    parser.add_argument("--workdir", help="folder of the run; default: runs/<config>/<prompt>")
    many = "file with a prompt a line: all of them are trained, each in <workdir>/<prompt>"
    parser.add_argument("--prompts", default="", help=many)
    one = "prompts that are trained as one; default: by the memory of the accelerator, 1 on a CPU"
    parser.add_argument("--together", type=whole_number(1, 1024), default=0, help=one)
    force = "start even if the memory of the accelerator is expected to be too small"
    parser.add_argument("--force", action="store_true", help=force)
    profile = "folder for a trace of ten steps, for Perfetto or TensorBoard"
    parser.add_argument("--profile", type=Path, help=profile)
    parser.epilog = "Any key of the config can be set with --config.key=value; configs/base.py lists them."
    flags, rest = parser.parse_known_args(arguments)
    known = ("--config", "--workdir", "--prompts", "--together", "--force", "--profile")
    objects = _objects(flags, take_overrides(rest, flags=known))
    for config, workdir in objects:
        refuse_other(workdir, config)
    if flags.profile:
        refuse_unwritable(flags.profile, f"--profile={flags.profile}")
    use_cache(objects[0][0].cache_dir)
    train(objects, together=flags.together, force=flags.force, profile_folder=flags.profile)


def _objects(flags: Namespace, settings: list[tuple[str, str]]) -> list[tuple[ConfigDict, Path]]:
    """The config and the folder of each object."""
    if not flags.prompts:
        if flags.together:
            raise UserError(f"--together={flags.together}: there is one prompt; give several with --prompts")
        config = load(flags.config, settings)
        return [(config, Path(flags.workdir or default_workdir(flags.config, config.prompt)))]
    if "prompt" in dict(settings):
        raise UserError(f"--config.prompt and --prompts={flags.prompts}: give one of them")
    places = place_prompts(read_prompts([], flags.prompts), flags.config, flags.workdir)
    return [(load(flags.config, [*settings, ("prompt", prompt)]), place) for prompt, place in places.items()]


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
    objects: Sequence[tuple[ConfigDict, Path]],
    *,
    together: int = 0,
    force: bool = False,
    profile_folder: Path | None = None,
) -> list[Path]:
    """Trains to the end and makes pictures, mesh and report; of a finished run only what is missing.

    Args:
      objects: checked configs, which differ in the prompt only, each with its folder.
      together: how many are trained as one; 0 for what fits.
      force: start even where memory is expected not to suffice.
      profile_folder: for a trace of some steps; None for no trace.

    Returns:
      Paths of what was made, or is there.

    Raises:
      UserError: see `session` and `preflight`.
    """
    from voxjax.evaluation.report import make_outputs
    from voxjax.pictures import outputs
    from voxjax.pictures.views import picture_options, view_of
    from voxjax.run import Run, open_run
    from voxjax.run_config import wanted_files
    from voxjax.training import loop, session
    from voxjax.training.member import Member

    def preview(member: Member, run: Run) -> None:
        with member.timing.phase("picture"):
            path = member.workdir / outputs.PREVIEW
            outputs.write_preview(path, view_of(run), options=picture_options(member.config))

    def finish(member: Member, state: Any, *, anew: bool) -> None:
        with member.timing.phase("picture"):
            run = open_run(member.workdir, member.config, state)
            new = make_outputs(run, member.timing, anew=anew)
        member.timing.write(member.config.steps)
        print(*new, sep="\n", flush=True)
        made.extend(new)

    loop.show_warnings()
    made, unfinished = list[Path](), list[Member]()
    for member in [Member(*each) for each in objects]:
        wanted = wanted_files(member.config, member.workdir)
        if not member.is_finished():
            unfinished.append(member)
        elif all(path.exists() for path in wanted):
            done = f"{member.workdir}: finished already, {member.config.steps} steps"
            print(f"{done}; python -m voxjax.render makes its pictures again")
            made.extend(wanted)
        else:
            with claim(member.workdir, member.config):
                finish(member, session.restore([member])[0], anew=False)
    for group in session.groups(unfinished, together=together, force=force):
        with ExitStack() as claims:
            for member in group.members:
                claims.enter_context(claim(member.workdir, member.config))
            for member, state in group.train(preview=preview, profile_folder=profile_folder):
                finish(member, state, anew=True)
    return made


if __name__ == "__main__":
    run_command(main)
