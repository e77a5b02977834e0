"""How the viewer ends: whatever ends it, trainings that were started here end with it."""

import os
import signal
import sys
import threading
import time

import pytest

from voxjax.viewer.house import House
from voxjax.viewer.server import serve, serving


class Gone:
    """Where a closed terminal was."""

    def write(self, text):
        raise OSError(5, "Input/output error")

    flush = write


class Ending(House):
    """A house that notes that it was closed, and whose trainings take some time to stop."""

    closed = 0

    def close(self):
        os.kill(os.getpid(), self.again)
        time.sleep(0.1)
        self.closed += 1
        return [self.runs / "a-red-sphere"]


@pytest.fixture
def house(tmp_path):
    made = Ending([], tmp_path, full_px=64)
    made.again = 0
    return made


def serve_until(house, ending):
    """Serves, and ends that by a signal once it is awaited; returns what became of SIGHUP meanwhile."""
    before, seen = signal.getsignal(signal.SIGTERM), []

    def wait_until(condition):
        deadline = time.monotonic() + 20.0
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)

    def end():
        wait_until(lambda: signal.getsignal(signal.SIGTERM) is not before)
        time.sleep(0.1)  # SIGHUP's is next
        seen.append(signal.getsignal(signal.SIGHUP))
        os.kill(os.getpid(), ending)
        wait_until(lambda: house.closed)
        if not house.closed:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    serve(house, host="127.0.0.1", port=0)
    thread.join()
    return seen[0]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_does_not_cut_the_end_short(house, monkeypatch, ending):
    """A terminal that is closed tells its shell and its programs, and the shell tells them too."""
    monkeypatch.setattr(sys, "stderr", Gone())
    leaked = []
    before = signal.signal(ending, lambda *_: leaked.append(ending))
    house.again = ending
    mine = signal.getsignal(ending)
    try:
        serve_until(house, ending)
        assert house.closed == 1 and leaked == [] and signal.getsignal(ending) is mine
    finally:
        signal.signal(ending, before)


def test_trainings_stop_whatever_else_fails(house):
    class Stuck:
        def close(self):
            raise RuntimeError("stuck")

    with pytest.raises(RuntimeError, match="stuck"), serving(house, host="127.0.0.1", port=0):
        house.sessions[0] = Stuck()
    assert house.closed == 1


def test_nohup_is_respected(house):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert serve_until(house, signal.SIGTERM) is signal.SIG_IGN and house.closed == 1
    finally:
        signal.signal(signal.SIGHUP, before)
