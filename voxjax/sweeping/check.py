"""What only the code that trains can tell of a plan: its CLIPs, whether they take the prompts, its picture.

A process of its own (`python -m voxjax.sweeping.check`), as it needs jax, which no process of a sweep does
that stays. It reads one JSON object from stdin, `{"configs": [[spec, [[key, value], ...]], ...], "prompts":
[...], "elsewhere": whether other machines train}`, prints a line for what could not be looked at, and ends
like a command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from voxjax.command import run_command
from voxjax.config.loading import load
from voxjax.factory import make_plan, make_stage_field
from voxjax.guidance.ensemble import guide_specs, prompt_plan
from voxjax.guidance.pixels import read_picture
from voxjax.guidance.texts import refuse_unfit


def main(arguments: Sequence[str]) -> None:
    """Checks what stands on stdin.

    Raises:
      UserError: the first thing that would stop a run.
    """
    wanted = json.load(sys.stdin)
    texts: dict[tuple[str, str], dict[str, None]] = {}
    for spec, settings in wanted["configs"]:
        config = load(spec, [*map(tuple, settings), ("prompt", wanted["prompts"][0])]).unlock()
        plan = make_plan(config)
        make_stage_field(config, plan, plan.stage_at(0))
        picture = config.prompts.image
        if picture and (_is_here(picture) or not wanted["elsewhere"]):
            read_picture(picture, 1)
        for prompt in wanted["prompts"]:
            config.prompt = prompt
            read = dict.fromkeys((*prompt_plan(config).texts, *config.clip.negatives))
            for guide in guide_specs(config):  # by the words of the prompt, where `clip.model` is "auto"
                texts.setdefault((guide.model, guide.path), {}).update(read)
    unseen = []
    for (model, path), of_guide in texts.items():
        if path and wanted["elsewhere"] and not _is_here(path):
            unseen.append(path)
        elif not refuse_unfit(model, path, of_guide):
            unseen.append(model)
    if unseen:
        print(f"{', '.join(unseen)}: not on this machine, so at most very long prompts were looked for")


def _is_here(path: str) -> bool:
    return os.path.exists(os.path.expanduser(path))


if __name__ == "__main__":
    run_command(main)
