"""A run of phases: what is drawn when, how far it is, and the snapshots from which it goes on exactly."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from voxjax.errors import UserError
from voxjax.files import atomic_path
from voxjax.smallclips import training
from voxjax.smallclips.recipe import Phase
from voxjax.smallclips.training import State

Array = jax.Array
SNAPSHOT = "snapshot.msgpack"
_EASY = 0.15  # share of the steps in which clutter rises to its full amount
_RAMP = 0.2  # share of the steps in which the shift of the images rises to its full amount


@dataclasses.dataclass(frozen=True)
class Task:
    """What a world hands to the run of one phase.

    Attributes:
      draw: (key, generator, clutter) -> a batch with `images` [n, s, s, 3]; what it needs of chance comes
        from the two, so that a run which goes on draws what it would have drawn.
      loss: see `training.Loss`.
      helpers: fresh parameters of what helps in training only.
    """

    draw: Callable[[Array, np.random.Generator, Array], Any]
    loss: training.Loss
    helpers: dict[str, Any]


@dataclasses.dataclass
class Progress:
    """Where a run is.

    Attributes:
      phase: index of the phase.
      step: updates of it that are done.
      seconds: that they took, over all restarts, compilation left out.
      generator: state of the generator of batches, as JSON.
    """

    phase: int = 0
    step: int = 0
    seconds: float = 0.0
    generator: str = ""


@dataclasses.dataclass(frozen=True)
class Run:
    """How a run is kept.

    Attributes:
      folder: of the checkpoint and the snapshot.
      keep: (averaged weights, progress) -> None, writes what is of use before the end.
      keep_every: updates between two snapshots.
      log_every: updates between two lines of the log.
      minutes: each phase takes this long, its schedules stretched to fit; None: as many steps as it says.
    """

    folder: Path
    keep: Callable[[Any, Progress], None]
    keep_every: int = 500
    log_every: int = 50
    minutes: float | None = None

    def share_done(self, phase: Phase, progress: Progress) -> float:
        """How much of the phase is over, 0 to 1."""
        if self.minutes is None:
            return progress.step / phase.steps
        return progress.seconds / (60.0 * self.minutes)


def has_snapshot(folder: Path) -> bool:
    """Whether a run of this folder can go on."""
    return (folder / SNAPSHOT).is_file()


def run_phase(key: Array, index: int, phase: Phase, task: Task, clip: Any, run: Run) -> Any:
    """One phase, or what is left of it.

    Args:
      key: PRNG key; every draw comes from it.
      index: of the phase.
      phase: what is asked for.
      task: from the world.
      clip: parameters that it starts from.
      run: how it is kept.

    Returns:
      The averaged weights at its end, kept once more where the snapshot holds them already; those of a phase
      that the snapshot has left behind are not known any more, and nothing depends on them: `clip` then.

    Raises:
      UserError: a snapshot that does not fit the recipe.
    """
    optimiser = training.make_optimiser()
    progress, state = Progress(phase=index), training.begin(clip, task.helpers, optimiser)
    rng = np.random.default_rng(int(jax.random.key_data(key)[-1]))
    if has_snapshot(run.folder):
        stored, values = _read(run.folder)
        if stored.phase > index:
            return clip
        if stored.phase == index:
            progress, state = stored, _restore(state, values, run.folder)
            rng.bit_generator.state = json.loads(stored.generator)
            if run.share_done(phase, progress) >= 1.0:  # the run may have died between snapshot and `keep`
                run.keep(state.ema, progress)
    step = _make_step(key, phase, task, optimiser)
    kept = logged = progress.step
    is_first = True
    while (done := run.share_done(phase, progress)) < 1.0:
        at = int(done * phase.steps) if run.minutes else progress.step
        began = time.monotonic()
        state, n_updates, parts = step(state, rng, progress.step, at)
        jax.block_until_ready(state.ema)
        progress.step += n_updates
        progress.seconds += 0.0 if is_first else time.monotonic() - began
        over = run.share_done(phase, progress) >= 1.0
        if over or is_first or progress.step - logged >= run.log_every:
            _log(progress, parts)
            logged = progress.step
        if over or progress.step - kept >= run.keep_every:
            progress.generator = json.dumps(rng.bit_generator.state)
            _write(run.folder, progress, state)
            run.keep(state.ema, progress)
            kept = progress.step
        is_first = False
    return state.ema


def _make_step(
    key: Array, phase: Phase, task: Task, optimiser: Any
) -> Callable[..., tuple[State, int, dict]]:
    """(state, generator, steps done, place in the schedules) -> (state, number of updates, loss parts).

    One batch: an update on it as drawn and, from a part of the phase on, another on its images shifted along
    the gradient that the first one found.
    """
    update, rate = training.make_update(task.loss, optimiser), jax.jit(training.make_rate(phase))

    def step(state: State, rng: np.random.Generator, n_done: int, at: int) -> tuple[State, int, dict]:
        step_key = jax.random.fold_in(key, 100 + n_done)
        batch = task.draw(step_key, rng, jnp.float32(clutter_at(phase, at)))
        state, gradient, parts = update(state, batch.images, batch, rate(at))
        radius = radius_at(phase, at + 1)
        if radius <= 0:
            return state, 1, parts
        share = phase.adversarial_share
        shifted = training.shift_images(step_key, batch.images, gradient, jnp.float32(radius), share=share)
        state, _, hard = update(state, shifted, batch, rate(at + 1))
        return state, 2, {**parts, "hard_accuracy": hard["accuracy"]}

    return step


def clutter_at(phase: Phase, step: int) -> float:
    """How much of the clutter a step draws: a phase begins easy, unless its amount is fixed."""
    rising = float(np.clip(step / (_EASY * phase.steps) - 0.2, 0.0, 1.0))
    return rising if phase.clutter is None else phase.clutter


def radius_at(phase: Phase, step: int) -> float:
    """How far images are shifted by a step at most."""
    ramp = np.clip((step / phase.steps - phase.adversarial_from) / _RAMP, 0.0, 1.0)
    return float(phase.adversarial_radius * ramp)


def _log(progress: Progress, parts: dict[str, Array]) -> None:
    line = " ".join(f"{name} {float(value):.3f}" for name, value in parts.items())
    print(f"step {progress.step} {progress.seconds:.0f} s {line}", flush=True)


def _write(folder: Path, progress: Progress, state: State) -> None:
    stored = {"progress": dataclasses.asdict(progress), "state": serialization.to_state_dict(state)}
    with atomic_path(folder / SNAPSHOT) as part:
        part.write_bytes(serialization.msgpack_serialize(jax.device_get(stored)))


def _read(folder: Path) -> tuple[Progress, Any]:
    try:
        stored = serialization.msgpack_restore((folder / SNAPSHOT).read_bytes())
        return Progress(**stored["progress"]), stored["state"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / SNAPSHOT} is no snapshot of a run ({error}); remove it") from error


def _restore(state: State, values: Any, folder: Path) -> State:
    """The stored state; refused where a leaf has another shape than the recipe asks for."""
    try:
        restored = serialization.from_state_dict(state, values)
        fits = jax.tree.map(lambda a, b: np.shape(a) == np.shape(b), state, restored)
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder / SNAPSHOT} is of another recipe ({error}); give another folder") from error
    if not all(jax.tree.leaves(fits)):
        raise UserError(f"{folder / SNAPSHOT} is of another recipe or vocabulary; give another folder")
    return jax.tree.map(jnp.asarray, restored)
