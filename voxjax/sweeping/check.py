"""What only the code that trains can tell of a plan: its CLIPs, and whether they take the prompts.

A process of its own (`python -m voxjax.sweeping.check`), as it needs jax, which no process of a sweep does
that stays. It reads one JSON object from stdin, `{"configs": [[spec, [[key, value], ...]], ...], "prompts":
[...]}`, prints a line for what could not be looked at, and ends like a command.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from voxjax.command import run_command
from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.factory import make_plan, make_stage_field
from voxjax.guidance import names
from voxjax.guidance.ensemble import guide_specs, prompt_plan
from voxjax.guidance.tokens import known_words, tokenise

_MOST_TOKENS = 77
"""Of every CLIP that is fetched by name, start and end included."""


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
        for guide in guide_specs(config):
            of_guide = texts.setdefault((guide.model, guide.path), {})
            for prompt in wanted["prompts"]:
                config.prompt = prompt
                of_guide |= dict.fromkeys((*prompt_plan(config).texts, *config.clip.negatives))
    unseen = [path or model for (model, path), of_guide in texts.items() if not _fit(model, path, of_guide)]
    if unseen:
        print(f"{', '.join(unseen)}: not on this machine, so only very long prompts were looked for")


def _fit(model: str, path: str, texts: Iterable[str]) -> bool:
    """Raises UserError for a text that the model cannot take; returns whether the model is here to ask."""
    folder, missing = (Path(path), []) if path else names.find(model)
    if folder is None or missing or not folder.is_dir():
        for text in texts:
            # A word is a token at least.
            if len(text.split()) + 2 > _MOST_TOKENS:
                raise UserError(
                    f"the prompt has {len(text.split())} words, and {model} takes {_MOST_TOKENS} tokens, "
                    f"start and end included: {text!r}"
                )
        return False
    tokenizer, max_tokens, eos_token_id = _reader(folder)
    tokenise(known_words(list(texts), folder), tokenizer, max_tokens=max_tokens, eos_token_id=eos_token_id)
    return True


@functools.cache
def _reader(folder: Path) -> tuple:
    from voxjax.guidance import hf, loading  # takes seconds

    described = loading.describe(folder, "float32")
    return hf.read_tokenizer(folder), described.max_tokens, described.eos_token_id


if __name__ == "__main__":
    run_command(main)
