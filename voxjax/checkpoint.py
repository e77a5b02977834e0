"""Checkpoints that survive a kill at any moment, in orbax's format.

A checkpoint is one folder `checkpoints/<step>`; orbax writes it under a temporary name and renames it when it
is complete, so a kill leaves either the whole checkpoint or none. Beside the arrays lies a checksum of them:
orbax does not notice every damaged byte, and a run should fall back by one checkpoint rather than train on
noise. Arrays are stored as plain nested dicts, so that nothing has to know their shapes before reading (the
grid grows during a run).
"""

from __future__ import annotations

import re
import shutil
import warnings
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import serialization

from voxjax.structs import TrainState

_ARRAYS, _META = "state", "meta"


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
        """Returns the steps of the complete checkpoints, ascending."""
        if not self._folder.is_dir():
            return []
        return sorted(int(p.name) for p in self._folder.iterdir() if re.fullmatch(r"\d+", p.name))

    def save(self, state: TrainState) -> None:
        """Writes `state` under its step and forgets all but the last few; nothing to do if it is there.

        Returns after the checkpoint is complete on disk.
        """
        step = int(state.step)
        if step in self.steps():
            return
        import orbax.checkpoint as ocp

        tree = jax.tree.map(np.asarray, serialization.to_state_dict(state))
        items = ocp.args.Composite(
            **{_ARRAYS: ocp.args.StandardSave(tree), _META: ocp.args.JsonSave({"checksum": checksum(tree)})}
        )
        if self._manager is None:
            options = ocp.CheckpointManagerOptions(
                max_to_keep=self._keep,
                create=True,
                cleanup_tmp_directories=True,  # what a killed process left
                enable_async_checkpointing=False,
            )
            self._manager = ocp.CheckpointManager(self._folder, options=options)
        self._manager.save(step, args=items, force=True)

    def restore(self, step: int) -> dict[str, Any]:
        """Reads one checkpoint.

        Returns:
          Nested dict of NumPy arrays, with the attributes of TrainState as keys.

        Raises:
          ValueError: the checkpoint is damaged (the message says how).
        """
        import orbax.checkpoint as ocp

        items = ocp.args.Composite(**{_ARRAYS: ocp.args.StandardRestore(), _META: ocp.args.JsonRestore()})
        reader = None
        try:
            # Read-only, so that a look at a run in progress cannot disturb its saves.
            reader = ocp.CheckpointManager(self._folder, options=ocp.CheckpointManagerOptions(read_only=True))
            found = reader.restore(step, args=items)
            tree, wanted = found[_ARRAYS], found[_META]["checksum"]
        except Exception as error:  # orbax and tensorstore raise many kinds for the many ways to be damaged
            raise ValueError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
        finally:
            if reader is not None:
                reader.close()
        if tree is None or checksum(tree) != wanted:
            raise ValueError("its checksum does not match its arrays")
        return tree

    def restore_latest(self) -> dict[str, Any] | None:
        """Reads the latest sound checkpoint, skipping damaged ones with a warning.

        Returns:
          As `restore`, or None if there is no sound checkpoint.
        """
        for step in reversed(self.steps()):
            try:
                return self.restore(step)
            except ValueError as error:
                warnings.warn(
                    f"checkpoint {step} is damaged and skipped in favour of the one before ({error})",
                    stacklevel=2,
                )
        return None

    def discard_after(self, step: int) -> None:
        """Removes the checkpoints later than `step` (damaged ones, which a resumed run will write anew)."""
        self.close()
        for later in self.steps():
            if later > step:
                shutil.rmtree(self._folder / str(later), ignore_errors=True)

    def close(self) -> None:
        """Lets go of orbax's threads."""
        if self._manager is not None:
            self._manager.close()
            self._manager = None


def checksum(tree: Any) -> int:
    """Returns a CRC-32 over names, types, shapes and bytes of all arrays of a nested dict."""
    crc = 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        crc = zlib.crc32(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.tobytes(), crc)
    return crc


def to_state(tree: dict[str, Any], *, opt_state: Any) -> TrainState:
    """Returns the TrainState of a restored tree.

    Args:
      tree: what `Checkpoints.restore` returned.
      opt_state: an optimiser state of the same structure; its values and shapes do not matter. None leaves
        the stored moments aside, for those who only look at the field.
    """
    rest = {name: tree[name] for name in ("step", "occupancy", "skipped", "skipped_in_row")}
    moments = None if opt_state is None else serialization.from_state_dict(opt_state, tree["opt_state"])
    return jax.tree.map(jax.numpy.asarray, TrainState(params=tree["params"], opt_state=moments, **rest))
