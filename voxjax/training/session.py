"""From objects to their final states: which are trained as one, who catches up, and who is left behind."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from voxjax.errors import UserError
from voxjax.factory import make_plan
from voxjax.guidance.ensemble import guide_specs, prompt_plan
from voxjax.guidance.texts import refuse_unfit
from voxjax.run import Run
from voxjax.structs import TrainState
from voxjax.training import assembly, hosts
from voxjax.training.guides import Loaded, load_guides
from voxjax.training.loop import Trainer
from voxjax.training.member import Member, Stuck
from voxjax.training.outlook import outlook
from voxjax.training.parallel import Devices
from voxjax.training.preflight import choose_together, memory_here, preflight


@dataclass(frozen=True)
class Group:
    """Objects that are trained as one.

    Attributes:
      members: the objects; their configs differ in the prompt only.
      guides: of each.
      devices: what they train on.
      opening: the first line of the progress, what will happen.
    """

    members: tuple[Member, ...]
    guides: tuple[Loaded, ...]
    devices: Devices
    opening: str

    def train(
        self, *, preview: Callable[[Member, Run], None] | None = None, profile_folder: Path | None = None
    ) -> tuple[list[tuple[Member, TrainState]], list[Stuck]]:
        """Trains the objects from where each of them is: those that are behind catch up with the others.

        One whose steps are not finite any more stops no other.

        Args:
          preview: called with the object and its Run at its cadence.
          profile_folder: for a trace of some steps.

        Returns:
          The objects that reached their last step, with their states; and why the others did not.
        """
        left, opening = list(zip(self.members, self.guides, strict=True)), self.opening
        lost = list[Stuck]()
        states = restore(self.members)
        for member, state in zip(self.members, states, strict=True):
            if int(state.step) and hosts.is_first():
                words = f"going on from step {state.step} of {member.config.steps}"
                print(f"{member.workdir}: {words}", file=sys.stderr)
        while left:
            done = [int(state.step) for state in states]
            start, steps = min(done), self.members[0].config.steps
            if start >= steps:
                break
            behind = [k for k, step in enumerate(done) if step == start]
            members, guides = zip(*(left[k] for k in behind), strict=True)
            until = min((step for step in done if step > start), default=steps)
            show: dict[str, Any] = {"preview": preview, "opening": opening, "profile_folder": profile_folder}
            trainer = Trainer(members, guides, self.devices)
            try:
                trained = trainer.train([states[k] for k in behind], until=until, **show)
            except Stuck as stuck:
                lost.append(stuck)
                left = [pair for pair in left if pair[0] is not stuck.member]
                if left:
                    print(f"voxjax: {stuck}; the others go on from their checkpoints", file=sys.stderr)
                states = restore([member for member, _ in left])
                continue
            for k, state in zip(behind, trained, strict=True):
                states[k] = state
            opening, profile_folder = "", None
        return [(member, state) for (member, _), state in zip(left, states, strict=True)], lost


def restore(members: Sequence[Member]) -> list[TrainState]:
    """Returns each object's latest sound checkpoint, or its first state; what the first process finds."""
    if not members:
        return []
    first = first_state(members[0].config)
    if hosts.is_first():
        states = [member.restore(first) for member in members]
        hosts.agree([int(state.step) for state in states])
        return states
    steps = hosts.agree([0] * len(members))
    return [member.follow(first, step) for member, step in zip(members, steps, strict=True)]


def first_state(config: ConfigDict) -> TrainState:
    """The state before the first step, which is the same for all prompts."""
    key = jax.random.fold_in(jax.random.key(config.seed), 2**31)
    return assembly.first_state(config, make_plan(config), key)


def groups(members: Sequence[Member], *, together: int = 0, force: bool = False) -> Iterator[Group]:
    """Says which objects are trained as one, and loads what guides them, a group after the other.

    Args:
      members: objects whose configs differ in the prompt only; none of them finished.
      together: how many are trained as one; 0 for as many as fit.
      force: start even where memory is expected not to suffice.

    Raises:
      UserError: fewer devices than asked for, and see `preflight` and `load_guides`; for the prompts of all
        groups before the first.
    """
    if not members:
        return
    wanted = members[0].config.devices
    try:
        devices = Devices(wanted)
    except ValueError as error:
        raise UserError(f"--config.devices={wanted}: {error}") from error
    memory, same = memory_here(), dict[Any, list[Member]]()
    for member in members:
        specs = guide_specs(member.config)
        same.setdefault(specs, []).append(member)
        for spec in specs if len(members) > 1 else ():
            texts = [*prompt_plan(member.config).texts, *member.config.clip.negatives]
            refuse_unfit(spec.model, spec.path, texts)
    for alike in same.values():
        config = alike[0].config
        n = together or choose_together(config, memory, len(alike))
        for some in [tuple(alike[i : i + n]) for i in range(0, len(alike), n)]:
            for member in some:
                member.timing.begin()
            # Before a folder is claimed: a prompt that the model does not know must not occupy it, nor a
            # config that the memory does not hold.
            needs = preflight(config, memory, together=len(some), force=force)
            opening = outlook(config, needs, memory, together=len(some))
            guides = tuple(load_guides([member.config for member in some]))
            yield Group(some, guides, devices, opening)
