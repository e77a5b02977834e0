"""Bringing a plan to its end: orders go out, endings come in, and each is settled in the record.

What carries the orders out is handed in (`cluster.Cluster`), so that every ending can be tried without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from voxjax.sweeping import worker
from voxjax.sweeping.displays import Display
from voxjax.sweeping.found import last_saved
from voxjax.sweeping.outlook import look_out
from voxjax.sweeping.plan import Plan, PlannedRun
from voxjax.sweeping.record import DONE, FAILED, RUNNING, WAITING, Entry, Record, now
from voxjax.sweeping.slots import Slot
from voxjax.sweeping.worker import Ending, Fact, Order

TRAIN = "voxjax.train"
"""The command that trains."""

FAILURES = 3
"""Times that a run may end with an error before it is given up."""

LOSSES = 5
"""Times in a row that a run may be lost without having saved a further step before it is given up: it may
well be what takes its workers down, by their memory."""

_WAIT_S = 1.0


class Pool(Protocol):
    """What carries orders out, see `cluster.Cluster`."""

    def submit(self, order: Order, slot: Slot) -> None:
        """Has an order carried out."""

    def wait(self, seconds: float) -> Iterable[tuple[Order, Ending]]:
        """The orders that ended."""

    def facts(self) -> Mapping[str, Fact]:
        """How far the runs are that have begun."""


@dataclass
class _Chances:
    """What a run has left: the step it was known to have saved, and losses in a row since."""

    saved: int
    losses: int = 0


class Drive:
    """One sweep, from what is waiting to nothing left to do.

    Args:
      plan: of all runs.
      record: with the finished ones marked; kept up to date and written.
      pool: that carries orders out.
      root: the sweep's folder.
      slot: of each run.
      display: where it is shown.
    """

    def __init__(self, plan: Plan, record: Record, pool: Pool, root: Path, slot: Slot, display: Display):
        self._plan, self._record, self._pool, self._root = plan, record, pool, root
        self._slot, self._display = slot, display
        self._runs = {run.name: run for run in plan.runs}
        self._chances: dict[str, _Chances] = {}
        self._tickets: dict[str, int] = {}

    def run(self) -> None:
        """Trains what waits. However it is left, the record tells what is done and what is not."""
        for name in self._record.names(WAITING):
            self._chances[name] = _Chances(last_saved(self._root / name))
            self._submit(self._runs[name])
        try:
            while self._record.names(WAITING) or self._record.names(RUNNING):
                for order, ending in self._pool.wait(_WAIT_S):
                    self._settle(order, ending)
                self._look()
                self._record.write(soon=True)
        finally:
            for name in self._record.names(RUNNING):
                self._record[name].status = WAITING
            self._record.write()

    def _submit(self, run: PlannedRun) -> None:
        ticket = self._record[run.name].starts + 1
        self._tickets[run.name] = ticket
        arguments = tuple(run.arguments(self._root))
        environment = self._slot.environment
        self._pool.submit(Order(run.name, ticket, str(self._root), TRAIN, arguments, environment), self._slot)

    def _look(self) -> None:
        facts = {
            name: fact
            for name, fact in self._pool.facts().items()
            if self._tickets.get(name) == fact.ticket and self._record[name].status in (WAITING, RUNNING)
        }
        for name, fact in facts.items():
            if self._record[name].status == WAITING:
                self._begin(name, fact.node, fact.started)
        saved = {name: chances.saved for name, chances in self._chances.items()}
        self._display.show(look_out(self._plan, self._record, facts, saved))

    def _begin(self, name: str, node: str, started: str) -> None:
        entry = self._record[name]
        entry.status, entry.node, entry.started, entry.ended = RUNNING, node, started, None
        entry.starts = self._tickets[name]

    def _settle(self, order: Order, ending: Ending) -> None:
        name = order.name
        entry = self._record[name]
        if entry.status == WAITING and ending.node:
            # It was over before its beginning was heard of.
            self._begin(name, ending.node, ending.started)
        entry.ended = now()
        entry.starts = max(entry.starts, order.ticket)
        if ending.how == worker.DONE:
            entry.status, entry.last = DONE, ()
            self._display.say(f"{name}: done")
            return
        if ending.how == worker.FAILED:
            entry.failures += 1
            count, given_up = f"{entry.failures} of {FAILURES} times", entry.failures >= FAILURES
            what = "failed"
        else:
            entry.lost += 1
            given_up, count, what = self._lost(name), "no fault of its own", "lost"
        entry.last = ending.last
        self._display.say(f"{name}: {what} ({count}): {last_words(entry)}")
        if given_up:
            entry.status = FAILED
        else:
            entry.status = WAITING
            self._submit(self._runs[name])

    def _lost(self, name: str) -> bool:
        """Counts a loss; returns whether it was one too many."""
        chances, saved = self._chances[name], last_saved(self._root / name)
        chances.losses = 1 if saved > chances.saved else chances.losses + 1
        chances.saved = saved
        return chances.losses >= LOSSES


def last_words(entry: Entry) -> str:
    """The last line that a run said."""
    return entry.last[-1].removeprefix("voxjax: ") if entry.last else "nothing was said"
