"""Several processes, on one machine or many, that train together: how they meet, and who writes.

All of them run the same loop on the same state; the first alone writes logs, checkpoints and pictures, into a
folder that all of them see. Who trains alone is the first of one.
"""

from __future__ import annotations

import jax
import numpy as np

from voxjax.errors import UserError

AUTO = "auto"
"""In place of the coordinator's address: SLURM, MPI or the cloud's environment says it all."""


def join(coordinator: str, processes: int | None, process: int | None) -> None:
    """Meets the other processes; before anything else is asked of jax.

    Args:
      coordinator: HOST:PORT of the first process, or `AUTO`.
      processes: how many there are; None where the environment says so.
      process: which this is, 0 for the first; None where the environment says so.

    Raises:
      UserError: a number without the other or out of range, nothing in the environment, or nobody answers.
    """
    flag = f"--coordinator={coordinator}"
    if coordinator == AUTO:
        given: tuple[str | None, int | None, int | None] = (None, None, None)
        if (processes, process) != (None, None):
            raise UserError(f"{flag}: the environment says how many processes there are; leave the rest away")
    elif processes is None or process is None or not 0 <= process < processes:
        raise UserError(
            f"{flag}: give --processes, how many there are, and --process, which of them this is, from 0 to "
            "one less; or --coordinator=auto under SLURM, MPI or on a cloud's cluster"
        )
    else:
        given = (coordinator, processes, process)
    try:
        jax.distributed.initialize(*given)
    except (ValueError, RuntimeError) as error:
        advice = (
            "give HOST:PORT with --processes and --process"
            if coordinator == AUTO
            else "is it the same for all?"
        )
        raise UserError(f"{flag}: {str(error).splitlines()[0]}; {advice}") from error


def count() -> int:
    """How many processes train together."""
    return jax.process_count()


def is_first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def agree(numbers: list[int]) -> list[int]:
    """The first process's numbers, in every process; as many in each."""
    if count() == 1:
        return numbers
    from jax.experimental import multihost_utils

    return [int(n) for n in multihost_utils.broadcast_one_to_all(np.asarray(numbers, np.int32))]
