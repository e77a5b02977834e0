"""Checkpoints that survive a kill at any moment, in orbax's format.

A checkpoint is one folder `checkpoints/<step>`; orbax writes it under a temporary name and renames it when it
is complete, so a kill leaves either the whole checkpoint or none. Last of all comes a list of its files with
their sizes and checksums: orbax does not notice every damaged byte, and a run should fall back by one
checkpoint rather than train on noise. Arrays are stored as plain nested dicts, so that nothing has to know
their shapes before reading (the grid grows during a run).
"""

from __future__ import annotations

import itertools
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization

from voxjax import run_files
from voxjax.structs import TrainState

_ITEM = "state"


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: where they lie; made on the first save.
      keep: how many of the latest are kept, at least 1.
    """

    def __init__(self, folder: str | Path, *, keep: int = 3):
        self._folder = Path(folder).absolute()
        self._keep = keep
        self._manager: Any = None

    def steps(self) -> list[int]:
        """Returns the steps of the checkpoints, ascending; some may turn out to be damaged."""
        return run_files.saved_steps(self._folder)

    def save(self, state: TrainState) -> None:
        """Writes `state` under its step and forgets all but the last few; nothing to do if it is there.

        Returns after the checkpoint is complete on disk.
        """
        step = int(state.step)
        if step in self.steps():
            return
        import orbax.checkpoint as ocp

        if self._manager is None:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=None,  # orbax would remove the oldest before the newest has its list
                create=False,  # orbax refuses to where one process of several writes
                multiprocessing_options=_alone(),
                cleanup_tmp_directories=True,  # what a killed process left
                enable_async_checkpointing=False,
            )
            self._folder.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        tree = jax.tree.map(np.asarray, serialization.to_state_dict(state))
        items = ocp.args.Composite(**{_ITEM: ocp.args.StandardSave(tree)})
        self._manager.save(step, args=items, force=True)
        run_files.write_list(self._folder / str(step))
        for older in self.steps()[: -self._keep]:
            with suppress(FileNotFoundError):  # put there by hand meanwhile: orbax knows nothing of it
                self._manager.delete(older)

    def damage(self, step: int) -> str:
        """Returns what is wrong with the files of a checkpoint, in words; empty if it is sound.

        Raises:
          OSError: they cannot be read now.
        """
        return run_files.damage(self._folder / str(step))

    def fingerprint(self, step: int) -> str:
        """Returns a digest of a checkpoint's content, taken from the list of its files and checksums.

        Raises:
          OSError: there is no such complete checkpoint.
        """
        return run_files.fingerprint(self._folder / str(step))

    def restore(self, step: int) -> dict[str, Any]:
        """Reads one checkpoint.

        Returns:
          Nested dict of NumPy arrays, with the attributes of TrainState as keys.

        Raises:
          ValueError: the checkpoint is damaged (the message says how).
          OSError: it cannot be read now.
        """
        damage = self.damage(step)
        if damage:
            raise ValueError(damage)
        import orbax.checkpoint as ocp

        # Without the manager: a look at a run in progress must not tidy up its saves.
        with ocp.StandardCheckpointer(multiprocessing_options=_alone()) as reader:
            return reader.restore(self._folder / str(step) / _ITEM)

    def restore_latest(self) -> dict[str, Any] | None:
        """Reads the latest sound checkpoint, skipping damaged ones with a warning.

        Returns:
          As `restore`, or None if there is no checkpoint.

        Raises:
          ValueError: there are some, and all of them are damaged.
          OSError: one that may be sound cannot be read now.
        """
        damaged = []
        for step in reversed(self.steps()):
            try:
                tree = self.restore(step)
            except ValueError as error:
                damaged.append((step, error))
                continue
            for later, why in damaged:
                warnings.warn(
                    f"checkpoint {later} is damaged ({why}); going back to that of step {step}", stacklevel=2
                )
            return tree
        if damaged:
            others = f" and so are the {len(damaged) - 1} before it" if damaged[1:] else ""
            latest, why = damaged[0]
            raise ValueError(f"the checkpoint of step {latest} is damaged ({why}){others}")
        return None

    def discard_after(self, step: int) -> None:
        """Removes the checkpoints later than `step` (damaged ones, which a resumed run will write anew)."""
        self.close()
        for later in self.steps():
            if later > step:
                shutil.rmtree(self._folder / str(later), ignore_errors=True)

    def set_aside(self) -> Path:
        """Moves all checkpoints out of the way of a new beginning; returns the folder where they are now."""
        self.close()
        n = next(n for n in itertools.count(1) if not self._folder.with_name(f"damaged-{n}").exists())
        return self._folder.rename(self._folder.with_name(f"damaged-{n}"))

    def close(self) -> None:
        """Lets go of orbax's threads."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None


def _alone() -> Any:
    """Orbax's options for a process that waits for no other: of several all read, the first alone writes."""
    import orbax.checkpoint as ocp

    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    own = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process{own}"
    )


def to_state(tree: dict[str, Any], *, opt_state: Any) -> TrainState:
    """Returns the TrainState of a restored tree.

    Args:
      tree: what `Checkpoints.restore` returned.
      opt_state: an optimiser state of the same structure; its values and shapes do not matter. None leaves
        the stored moments aside, for those who only look at the field.
    """
    rest = {name: tree[name] for name in ("step", "params", "tracked", "skipped", "skipped_in_row")}
    moments = None if opt_state is None else serialization.from_state_dict(opt_state, tree["opt_state"])
    return jax.tree.map(jax.numpy.asarray, TrainState(opt_state=moments, **rest))
