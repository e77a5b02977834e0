"""What a sweep costs beside its runs, which do nothing: `python -m benchmarks.sweep_overhead [RUNS]`.

Prints the seconds that planning takes, those from the first order to the last ending for each run, and the
driver's resident memory after a tenth of the runs and at the end. Ray runs on this machine; a run is two
starts of Python, of the leash and of a program that does nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psutil

from voxjax.sweeping import drive
from voxjax.sweeping.cluster import Cluster
from voxjax.sweeping.displays import Lines
from voxjax.sweeping.outlook import Outlook
from voxjax.sweeping.plan import make_plan
from voxjax.sweeping.record import DONE, Record
from voxjax.sweeping.slots import cpu_slot


class _Watch(Lines):
    """Lines, and the memory of this process at each of them."""

    def __init__(self) -> None:
        super().__init__(seconds_between=10.0)
        self.memory: list[tuple[int, int]] = []

    def show(self, outlook: Outlook) -> None:
        """See `Display`."""
        super().show(outlook)
        self.memory.append((outlook.done, psutil.Process().memory_info().rss))

    def say(self, text: str) -> None:
        """See `Display`; not a line for each run."""
        if not text.endswith(": done"):
            super().say(text)


def main() -> None:
    """Measures."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    drive.TRAIN = "benchmarks.nothing"
    began = time.monotonic()
    plan = make_plan(["demo"], ["a red sphere"], seeds=range(n))
    planned = time.monotonic()
    watch = _Watch()
    with tempfile.TemporaryDirectory() as folder:
        record = Record(Path(folder), plan, ())
        record.write()
        cluster = Cluster()
        try:
            ready = time.monotonic()
            drive.Drive(plan, record, cluster, Path(folder), cpu_slot(1), watch).run()
            ended = time.monotonic()
            slots = cluster.resources()["CPU"]
        finally:
            cluster.close()
        assert len(record.names(DONE)) == n, "a run failed"
        size = (Path(folder) / "sweep.json").stat().st_size
    tenth = next(memory for done, memory in watch.memory if done >= n / 10)
    print(f"{n} runs on {slots:.0f} slots: planned in {planned - began:.2f} s")
    print(f"Ray ready after {ready - planned:.1f} s")
    print(f"{1000 * (ended - ready) / n:.0f} ms a run, {1000 * (ended - ready) * slots / n:.0f} ms of a slot")
    print(f"driver: {tenth / 2**20:.0f} MiB after a tenth, {watch.memory[-1][1] / 2**20:.0f} MiB at the end")
    print(f"sweep.json: {size / 2**10:.0f} KiB")


if __name__ == "__main__":
    main()
