"""How far a sweep is: counts, speed and the time that is left, from the record and what workers tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voxjax.sweeping.plan import Plan
from voxjax.sweeping.record import DONE, FAILED, RUNNING, Record
from voxjax.sweeping.worker import Fact


@dataclass(frozen=True)
class Running:
    """A run that is trained at this moment.

    Attributes:
      name: of the run.
      step: that it told of last.
      steps: of the whole run.
      speed: steps a second; 0 if unknown.
      node: where.
    """

    name: str
    step: int
    steps: int
    speed: float
    node: str


@dataclass(frozen=True)
class Outlook:
    """How far a sweep is.

    Attributes:
      total: runs of the plan.
      done: of them finished.
      failed: of them given up.
      running: those that are trained at this moment.
      speed: steps a second of all of them together.
      left_s: seconds until all is done, if steps go on as fast as now; None if unknown.
    """

    total: int
    done: int
    failed: int
    running: tuple[Running, ...]
    speed: float
    left_s: float | None


def look_out(plan: Plan, record: Record, facts: Mapping[str, Fact], saved: Mapping[str, int]) -> Outlook:
    """Returns how far the sweep is.

    Args:
      plan: its plan.
      record: its record.
      facts: how far the running runs are.
      saved: name -> step of the checkpoint that a run which does not run goes on from.
    """
    counts = dict.fromkeys((DONE, FAILED), 0)
    running, left_steps, longest = [], 0, 0.0
    for run in plan.runs:
        status = record[run.name].status
        if status in counts:
            counts[status] += 1
            continue
        step = saved.get(run.name, 0)
        if status == RUNNING:
            fact = facts.get(run.name)
            step = max(step, fact.step if fact else 0)
            speed = fact.speed if fact else 0.0
            running.append(Running(run.name, step, run.steps, speed, record[run.name].node or ""))
            longest = max(longest, (run.steps - step) / speed if speed else 0.0)
        left_steps += run.steps - step
    together = sum(one.speed for one in running)
    # Near the end there are fewer runs than slots, and the slowest of them decides.
    left = max(left_steps / together, longest) if together else None
    return Outlook(len(plan.runs), counts[DONE], counts[FAILED], tuple(running), together, left)
