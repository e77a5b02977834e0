"""Holding a plan against the code that will train it, in a process of its own, before anything starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from voxjax.errors import UserError
from voxjax.sweeping.plan import Plan

_CHECK = "voxjax.sweeping.check"


def refuse_unfit(plan: Plan, *, elsewhere: bool = False) -> str:
    """Looks whether every config of the plan can be trained towards every prompt.

    Args:
      plan: what is to be trained.
      elsewhere: on machines that may have files which are not here.

    Returns:
      What could not be looked at, in a line; empty if all was.

    Raises:
      UserError: the first thing that would stop a run, such as a prompt of more than 77 tokens.
    """
    wanted = {
        "configs": [[spec, list(settings)] for spec, settings in plan.configs],
        "elsewhere": elsewhere,
        "prompts": list(dict.fromkeys(run.prompt for run in plan.runs)),
    }
    done = subprocess.run(
        [sys.executable, "-m", _CHECK],
        input=json.dumps(wanted),
        env={**os.environ, "JAX_PLATFORMS": "cpu"},  # the accelerator's memory belongs to the runs
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise UserError(last.removeprefix("voxjax: "))
    return done.stdout.strip()
