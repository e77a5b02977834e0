"""Keeps the memory that a step gives back for the next step.

XLA's programs for a CPU ask for their buffers anew at every call. glibc hands blocks of this size back to the
system at once, so that every step touches all of their pages for the first time again: 90 MB in the demo's.
BENCHMARKS.md has what that costs.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

# Parameters of mallopt(3). One arena, as all but the main one are too small for such blocks and map them.
# What is larger goes back as before: kept, it made `vox_exp:low` grow from 2.4 to 5.1 GB and saved little.
_OPTIONS = {"M_ARENA_MAX": (-8, 1), "M_MMAP_THRESHOLD": (-3, 2**28), "M_TRIM_THRESHOLD": (-1, 2**31 - 1)}


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Has the C library keep freed memory for this process; to be called before threads are started.

    Args:
      environment: where the user may have set the allocator (`MALLOC_...`, `GLIBC_TUNABLES`); that stays.

    Returns:
      Whether it does: not where the user has set it, and not without glibc.
    """
    chosen = any(name.startswith("MALLOC_") for name in environment)
    if chosen or "glibc.malloc." in environment.get("GLIBC_TUNABLES", ""):
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # another system, or another C library
        return False
    done = [set_option(name, value) for name, value in _OPTIONS.values()]
    return all(each == 1 for each in done)
