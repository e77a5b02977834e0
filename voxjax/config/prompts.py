"""A list of prompts, typed or in a file, and the folders of their runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from voxjax.config.naming import default_workdir
from voxjax.errors import UserError
from voxjax.files import read_lines


def read_prompts(prompts: Sequence[str], file: str) -> list[str]:
    """The prompts of several runs: those typed, then the lines of a file; each once, white space made single.

    Args:
      prompts: as typed.
      file: text file with a prompt a line, empty lines left out; "" for none.

    Raises:
      UserError: a file that cannot be read, or no prompt at all.
    """
    lines = list(prompts)
    if file:
        lines += read_lines(file, "--prompts")
    found = list(dict.fromkeys(" ".join(line.split()) for line in lines if line.strip()))
    if not found:
        where = f"--prompts={file}: holds no prompt" if file else "no prompt is given"
        raise UserError(f"{where}; write one a line in a file for --prompts, or give --prompt='a red sphere'")
    return found


def place_prompts(prompts: Sequence[str], spec: str, folder: str | None) -> dict[str, Path]:
    """The folder of each prompt's run.

    Args:
      prompts: each once.
      spec: config and variant, as on the command line.
      folder: where the runs' folders shall lie; None for where single runs of the config go.

    Raises:
      UserError: two prompts that would share a folder.
    """
    taken = dict[Path, str]()
    for prompt in prompts:
        place = default_workdir(spec, prompt)
        place = place if folder is None else Path(folder) / place.name
        if place in taken:
            raise UserError(
                f"--prompts: {taken[place]!r} and {prompt!r} would share the folder {place}; change one"
            )
        taken[place] = prompt
    return {prompt: place for place, prompt in taken.items()}
