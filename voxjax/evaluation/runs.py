"""The finished runs among folders, opened to be judged."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from voxjax.errors import UserError
from voxjax.evaluation.judge import normalise_prompt
from voxjax.run import CONFIG, Run, kept_steps, load_run, read_config

NO_RUN, UNFINISHED, UNREADABLE = f"no {CONFIG}", "not finished", "cannot be read"
"""How the reasons begin for which folders are left out."""


def matching_runs(patterns: Sequence[str]) -> tuple[set[Path], dict[str, str]]:
    """The runs among the folders that match; nothing is read.

    Args:
      patterns: globs of workdirs.

    Returns:
      (workdirs, reason why each other folder is left out).

    Raises:
      UserError: no run matches one of the patterns.
    """
    found: set[Path] = set()
    left_out = {}
    for pattern in patterns:
        folders = {Path(match) for match in glob.glob(pattern) if Path(match).is_dir()}
        runs = {folder for folder in folders if (folder / CONFIG).is_file()}
        if not runs:
            raise UserError(f"--runs={pattern}: no run there; name workdirs, such as 'runs/demo/*'")
        found |= runs
        left_out.update({str(folder): NO_RUN for folder in sorted(folders - runs)})
    return found, left_out


def find_runs(
    patterns: Sequence[str], prompts: Sequence[str], prompts_file: str
) -> tuple[list[Path], dict[str, str]]:
    """The runs among the folders that match; no checkpoint is read.

    Args:
      patterns: globs of workdirs.
      prompts: normalised captions.
      prompts_file: their file, for the message.

    Returns:
      (workdirs in sorted order, reason why each other folder is left out).

    Raises:
      UserError: no run matches one of the patterns, or the prompt of a run is not among the captions.
    """
    found, left_out = matching_runs(patterns)
    readable = []
    for folder in sorted(found):
        try:
            prompt = normalise_prompt(read_config(folder).prompt)
        except (UserError, AttributeError) as error:
            left_out[str(folder)] = f"{UNREADABLE}: {error}"
            continue
        if prompt not in prompts:
            raise UserError(f"{folder}: its prompt {prompt!r} is not a line of {prompts_file}")
        readable.append(folder)
    return readable, left_out


def finished_runs(folders: Sequence[Path], left_out: dict[str, str]) -> Iterator[Run]:
    """Opens the finished runs, one at a time: hundreds of grids need not fit into memory together.

    Args:
      folders: workdirs.
      left_out: reason why a folder is left out, to which this adds; it begins with `UNFINISHED` or
        `UNREADABLE`.

    Yields:
      Those that are finished.

    Raises:
      UserError: none of them is.
    """
    n_finished = 0
    for folder in folders:
        try:
            run = load_run(folder)
        except (UserError, ValueError, KeyError, OSError) as error:
            begun = not isinstance(error, UserError) or kept_steps(folder)
            left_out[str(folder)] = f"{UNREADABLE if begun else UNFINISHED}: {error}"
            continue
        if run.finished:
            n_finished += 1
            yield run
        else:
            left_out[str(folder)] = f"{UNFINISHED}: step {run.step} of {run.config.steps}"
    if not n_finished:
        reasons = "; ".join(f"{folder}: {reason}" for folder, reason in left_out.items())
        raise UserError(f"--runs: no finished run ({reasons})")
