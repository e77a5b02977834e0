"""Freed memory is there for the next step, counted by the system's own page faults."""

import subprocess
import sys

import pytest

from voxjax.heap import keep_freed_memory

_MIB, _TIMES = 64, 6
_COUNT = f"""
import ctypes, resource, threading
from voxjax.heap import keep_freed_memory

print(keep_freed_memory(ENVIRONMENT))

library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def work():
    for i in range({_TIMES}):
        block = library.malloc({_MIB} << 20)
        ctypes.memset(block, 1, {_MIB} << 20)
        library.free(block)
        if i == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() >> 20)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""


def _count(environment):
    """(whether it is kept, MiB that are touched for the first time by a thread that asks for them again)."""
    script = _COUNT.replace("ENVIRONMENT", repr(environment))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    kept, touched = done.stdout.split()
    return kept == "True", int(touched)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have allocators of their own")
def test_what_a_thread_gives_back_is_not_touched_for_the_first_time_again():
    kept, touched = _count({})
    user_kept, user_touched = _count({"MALLOC_ARENA_MAX": "4"})
    assert kept and touched < _MIB / 4
    # Left to itself the library maps every block anew, which is what there is to save.
    assert not user_kept and user_touched > _MIB * (_TIMES - 2)


@pytest.mark.parametrize(
    "environment", [{"MALLOC_TOP_PAD_": "1"}, {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}]
)
def test_what_the_user_has_set_stays(environment):
    assert not keep_freed_memory(environment)


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory({})
