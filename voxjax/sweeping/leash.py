"""`python -m voxjax.sweeping.leash PARENT MODULE ...` becomes `python -m MODULE ...`, and dies with PARENT.

A worker of Ray may be killed at any moment, and its run begun on another node. The training process must not
outlive it: Linux is asked to kill it together with its parent, which a call of `exec` leaves as it is. Where
there is no such thing, the lock of the run's folder still keeps two processes from training in it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> NoReturn:
    """Ties this process to its parent and becomes the other program."""
    parent, module, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(parent):  # it died before it could be asked for
        sys.exit(1)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


if __name__ == "__main__":
    main()
