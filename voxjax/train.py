"""Train: `python -m voxjax.train --config=configs/vox_exp.py --config.prompt="a bonsai tree"`, or a list."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from voxjax.command import run_command
from voxjax.errors import UserError
from voxjax.files import refuse_unwritable
from voxjax.run_config import refuse_other
from voxjax.training.claim import claim
from voxjax.training.flags import read_flags


def main(arguments: Sequence[str]) -> None:
    """The command: trains, or goes on where an earlier call was stopped.

    Raises:
      UserError: for anything that the user can put right.
    """
    flags, objects = read_flags(arguments)
    for config, workdir in objects:
        refuse_other(workdir, config)
    if flags.profile:
        refuse_unwritable(flags.profile, f"--profile={flags.profile}")
    use_cache(objects[0][0].cache_dir)
    if flags.coordinator:
        from voxjax.training import hosts

        hosts.join(flags.coordinator, flags.processes, flags.process)
    train(objects, together=flags.together, force=flags.force, profile_folder=flags.profile)


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
      UserError: see `session` and `preflight`; or objects diverged, after all others were trained.
    """
    from voxjax.evaluation.report import make_outputs
    from voxjax.pictures import outputs
    from voxjax.pictures.views import picture_options, view_of
    from voxjax.run import Run, open_run
    from voxjax.run_config import wanted_files
    from voxjax.training import hosts, loop, session
    from voxjax.training.member import Member, Stuck

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
    made, lost, writes = list[Path](), list[Stuck](), hosts.is_first()
    members = [Member(*each) for each in objects]
    done = hosts.agree([member.is_finished() for member in members])
    for member in [member for member, finished in zip(members, done, strict=True) if finished and writes]:
        wanted = wanted_files(member.config, member.workdir)
        if all(path.exists() for path in wanted):
            words = f"{member.workdir}: finished already, {member.config.steps} steps"
            print(f"{words}; python -m voxjax.render makes its pictures again")
            made.extend(wanted)
        else:
            with claim(member.workdir, member.config):
                member.timing.begin()
                finish(member, member.restore(session.first_state(member.config)), anew=False)
    left = [member for member, finished in zip(members, done, strict=True) if not finished]
    for group in session.groups(left, together=together, force=force):
        with ExitStack() as claims:
            for member in group.members if writes else ():
                claims.enter_context(claim(member.workdir, member.config))
            finished, stuck = group.train(preview=preview, profile_folder=profile_folder)
            for member, state in finished if writes else ():
                finish(member, state, anew=True)
            lost += stuck
    hosts.agree([0])  # whoever does not write waits for the pictures, or would be missed
    if lost:
        also = f"; and so did {', '.join(str(each.member.workdir) for each in lost[1:])}" if lost[1:] else ""
        raise UserError(f"{lost[0]}{also}")
    return made


if __name__ == "__main__":
    run_command(main)
