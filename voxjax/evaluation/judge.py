"""What objects are judged by: captions, and views.

Pictures are on white, from the evaluation view (azimuth 30 degrees, elevation 45, radius as trained) and from
even turns of it.
"""

from __future__ import annotations

from pathlib import Path

from voxjax.errors import UserError
from voxjax.files import read_lines

EVAL_AZIMUTH_DEG = 30.0
EVAL_ELEVATION_DEG = 45.0


def normalise_prompt(text: str) -> str:
    """The form in which captions are compared and judged (that of Dream Fields' caption file).

    Args:
      text: a caption.

    Returns:
      Lower case, white space made single, no blanks, dots and commas at either end, one dot added.
    """
    return " ".join(text.split()).lower().strip(" .,") + "."


def read_prompts(path: str | Path) -> list[str]:
    """Read captions, one a line; blank lines are passed over.

    Args:
      path: a UTF-8 text file.

    Returns:
      Normalised captions, in the order of the file.

    Raises:
      UserError: the file cannot be read, holds no caption, or one twice.
    """
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_lines(path, "--prompts"), start=1):
        prompt = normalise_prompt(line)
        if prompt == ".":
            continue
        if prompt in first_line:
            # It could never be told from its twin: the ranks of both would count a tie against them.
            raise UserError(
                f"--prompts={path}: line {number} repeats line {first_line[prompt]}, {prompt!r}; take one out"
            )
        first_line[prompt] = number
    prompts = list(first_line)
    if not prompts:
        raise UserError(f"--prompts={path}: no caption in it; write one a line")
    return prompts


def eval_azimuths(n: int) -> list[float]:
    """The evaluation view's azimuth and even turns of it.

    Args:
      n: number of views, at least 1.

    Returns:
      [n] degrees, the first is 30.
    """
    return [(EVAL_AZIMUTH_DEG + 360.0 * k / n) % 360.0 for k in range(n)]
