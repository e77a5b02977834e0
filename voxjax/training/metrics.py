"""What a run says while it runs: scalars to files, a progress bar, and warnings in words.

Scalars go to `metrics.jsonl` (one JSON object a line, with "step") and to TensorBoard. Both are cut back to
the step that a resumed run starts from, so that no step is ever told twice.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from voxjax.files import write_text
from voxjax.run_files import METRICS


class ScalarWriter:
    """Writes scalars of a run.

    Args:
      workdir: the run's folder.
      start: steps finished when this process began; what was told about later steps is removed.
    """

    def __init__(self, workdir: str | Path, *, start: int = 0):
        from tensorboardX import SummaryWriter

        self._path = Path(workdir) / METRICS
        if self._path.exists():
            kept = [line for line in self._path.read_text().splitlines() if 0 <= _step_of(line) <= start]
            write_text(self._path, "".join(line + "\n" for line in kept))
        self._file = self._path.open("a", encoding="utf-8")
        self._board = SummaryWriter(str(workdir), purge_step=start + 1 if start else None)

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Tells the scalars of a step; a value that is not finite becomes null in the JSON."""
        line = {name: value if math.isfinite(value) else None for name, value in scalars.items()}
        self._file.write(json.dumps({"step": step, **line}) + "\n")
        self._file.flush()
        for name, value in scalars.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flushes and closes the files."""
        self._file.close()
        self._board.close()


def _step_of(line: str) -> int:
    """The step of a line of JSON; -1 for a line that a kill cut off."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return -1
