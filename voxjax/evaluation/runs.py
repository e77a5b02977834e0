"""The finished runs among folders, opened to be judged."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from voxjax.errors import UserError
from voxjax.evaluation.judge import normalise_prompt
from voxjax.run import CONFIG, Run, load_run, read_config


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
        left_out.update({str(folder): f"no {CONFIG}" for folder in sorted(folders - runs)})
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
    for folder in sorted(found):
        prompt = normalise_prompt(read_config(folder).prompt)
        if prompt not in prompts:
            raise UserError(f"{folder}: its prompt {prompt!r} is not a line of {prompts_file}")
    return sorted(found), left_out


def open_runs(folders: Sequence[Path], left_out: dict[str, str]) -> list[Run]:
    """Opens the finished runs.

    Args:
      folders: workdirs.
      left_out: reason why a folder is left out, to which this adds.

    Raises:
      UserError: none of them is finished.
    """
    runs = []
    for folder in folders:
        try:
            run = load_run(folder)
        except UserError as error:
            left_out[str(folder)] = str(error)
            continue
        if run.finished:
            runs.append(run)
        else:
            left_out[str(folder)] = f"not finished: step {run.step} of {run.config.steps}"
    if not runs:
        reasons = "; ".join(f"{folder}: {reason}" for folder, reason in left_out.items())
        raise UserError(f"--runs: no finished run ({reasons})")
    return runs
