"""Having the objects of an item judged, all of them in one process, by `voxjax evaluate`."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxjax.evaluation.judge import normalise_prompt
from voxjax.evaluation.processes import start
from voxjax.files import write_text
from voxjax.pocket.captions import COLOURS
from voxjax.pocket.shapes import SHAPES
from voxjax.reproduction.items import Plan
from voxjax.reproduction.runs import Job

CAPTIONS, TABLE = "captions.txt", "judged.json"


def captions_of(prompts: Sequence[str], scale: str, given: bool) -> list[str]:
    """The captions that objects are ranked among.

    Args:
      prompts: that are made.
      scale: of the plan.
      given: whether the prompts are the user's; they are the whole set then.

    Returns:
      Normalised captions, each once: at demo scale every colour and shape that the small CLIPs know.
    """
    known = [f"a{'n' * (colour[0] in 'aeiou')} {colour} {shape}" for colour in COLOURS for shape in SHAPES]
    wanted = [*prompts, *(known if scale == "demo" and not given else ())]
    return list(dict.fromkeys(normalise_prompt(prompt) for prompt in wanted))


def judge(
    plan: Plan, jobs: Sequence[Job], captions: Sequence[str], folder: Path
) -> tuple[dict[str, Any] | None, str]:
    """Shows the finished runs to every judge of a plan.

    Args:
      plan: with its judges.
      jobs: its runs.
      captions: that they are ranked among.
      folder: of the item, which gets the captions and the table.

    Returns:
      (table of `voxjax.evaluate`, None if there is none to make; what went wrong or "").
    """
    done = [job for job in jobs if job.done]
    if not plan.judges or not done:
        return None, ""
    write_text(folder / CAPTIONS, "".join(f"{caption}\n" for caption in captions))
    table = folder / TABLE
    table.unlink(missing_ok=True)
    arguments = [f"--runs={glob.escape(os.fspath(job.workdir))}" for job in done]
    arguments += [f"--clip={name}" for name in plan.judges]
    arguments += [f"--prompts={folder / CAPTIONS}", f"--out={table}", "--geometry"]
    error = start("voxjax.evaluate", arguments, name="judges")
    if error:
        return None, f"judging failed: {error}"
    return json.loads(table.read_text(encoding="utf-8")), ""
