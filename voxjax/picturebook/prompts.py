"""What the guide is measured on: prompts drawn once, and the captions that their objects are ranked among.

python -m voxjax.picturebook.prompts --prompts=launch/things_prompts.txt --out=captions.txt
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voxjax.command import Parser, run_command
from voxjax.files import read_lines, refuse_unwritable_file, write_text
from voxjax.picturebook import names

N_PLAIN, N_COLOURED, N_TUNING, SEED = 30, 10, 15, 40


def draw_prompts() -> tuple[list[str], list[str]]:
    """The draw that was made before any object was: prompts of the report, and others to choose settings on.

    Returns:
      40 prompts, the last ten with a colour; and 15 of other things. `launch/` has both as files.
    """
    rng = np.random.default_rng(SEED)
    things, colours = names.things(), list(names.COLOURS)
    order = [things[i].name for i in rng.permutation(len(things))]
    plain, coloured = order[:N_PLAIN], order[N_PLAIN : N_PLAIN + N_COLOURED]
    coloured = [f"{colours[rng.integers(len(colours))]} {name}" for name in coloured]
    tuning = order[N_PLAIN + N_COLOURED : N_PLAIN + N_COLOURED + N_TUNING]
    phrase = names.with_article
    return [phrase(each) for each in plain + coloured], [phrase(each) for each in tuning]


def captions(prompts: Sequence[str]) -> list[str]:
    """The names of all things, and the prompts with more in them: each once, as a judge tells them apart."""
    known = names.plain_captions()
    others: dict[str, str] = {}
    for prompt in prompts:
        others.setdefault(" ".join(prompt.split()).lower().strip(" .,"), prompt)
    return known + [prompt for words, prompt in others.items() if words not in known]


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: a file that cannot be read or written.
    """
    parser = Parser(
        prog="voxjax.picturebook.prompts", description="The captions that things are ranked among."
    )
    parser.add_argument("--prompts", required=True, help="file of the prompts, one a line")
    parser.add_argument("--out", required=True, help="file for the captions")
    flags = parser.parse_args(arguments)
    refuse_unwritable_file(flags.out, "--out")
    prompts = [line.strip() for line in read_lines(flags.prompts, "--prompts") if line.strip()]
    write_text(flags.out, "".join(f"{each}\n" for each in captions(prompts)))


if __name__ == "__main__":
    run_command(main)
