"""Ray: the one room that knows it. Takes orders, gives back how they ended; nothing of a run is decided here.

Neither this process nor any of Ray's imports jax: a run is a process of its own (`worker`).
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from voxjax import __version__
from voxjax.errors import UserError
from voxjax.sweeping.record import RECORD, now
from voxjax.sweeping.slots import Slot
from voxjax.sweeping.worker import FAILED, UNFIT, Ending, Fact, Order, work

_PROBE_S = 120.0
_FACTS_S = 5.0
_LISTENS_S = 10.0
_OBJECTS = 100 * 1024**2  # bytes of shared memory for objects, of which a sweep has next to none


class Cluster:
    """A cluster of Ray, this machine alone by default.

    Args:
      address: "" to start Ray here and end it with `close`; else that of a cluster: "auto", "host:port" or
        "ray://host:port".

    Raises:
      UserError: Ray is not installed, or no cluster answers there.
    """

    def __init__(self, address: str = ""):
        # Ray would report to its makers that it was started here.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError as error:
            raise UserError(
                "a sweep runs on Ray, which is not installed: pip install 'voxjax[sweep]'"
            ) from error
        self.local = not address
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self.local:
            options |= {"include_dashboard": False, "object_store_memory": _OBJECTS}
        else:
            _refuse_deaf(address)
        try:
            ray.init(address or "local", namespace="voxjax", **options)
        except Exception as error:  # of many kinds, plain ones among them
            if self.local:
                raise UserError(f"Ray does not start here ({_in_short(error)}); try again") from error
            raise UserError(
                f"--address={address}: no cluster of Ray answers ({_in_short(error)}); start one first"
            ) from error
        self._ray = ray
        self._work = ray.remote(_work)
        self._board: Any = ray.remote(Board).options(num_cpus=0, max_restarts=-1).remote()
        self._orders: dict[Any, Order] = {}
        self._facts: dict[str, Fact] = {}

    def resources(self) -> dict[str, float]:
        """What the cluster has at this moment: "CPU", "GPU" and others."""
        return self._ray.cluster_resources()

    def refuse_blind(self, root: Path) -> None:
        """Asks every node whether it has this voxjax and sees the sweep's folder, in which the record lies.

        Raises:
          UserError: one does not, or does not answer.
        """
        ray = self._ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as OnNode

        probe = ray.remote(_probe)
        asked = {
            node["NodeID"]: probe.options(
                num_cpus=0, max_retries=0, scheduling_strategy=OnNode(node["NodeID"], soft=False)
            ).remote(str(root))
            for node in ray.nodes()
            if node["Alive"]
        }
        for node, answer in asked.items():
            try:
                name, sees, version = ray.get(answer, timeout=_PROBE_S)
            except ray.exceptions.RayError as error:
                raise UserError(
                    f"a node of the cluster ({node[:6]}) does not answer: {_in_short(error)}"
                ) from error
            if not sees:
                raise UserError(
                    f"--root={root}: {name} does not see this folder; give one that all nodes share"
                )
            if version != __version__:
                raise UserError(
                    f"{name} has voxjax {version}, and here is {__version__}; install the same on both"
                )

    def submit(self, order: Order, slot: Slot) -> None:
        """Has an order carried out once a slot is free somewhere; `wait` tells how it ended."""
        task = self._work.options(num_cpus=slot.cpus, num_gpus=slot.gpus, max_retries=0)
        self._orders[task.remote(order, self._board)] = order

    def wait(self, seconds: float) -> list[tuple[Order, Ending]]:
        """The orders that ended, at once if there are some, else after so many seconds at the latest."""
        ray, endings = self._ray, []
        if not self._orders:
            return []
        first, _ = ray.wait(list(self._orders), num_returns=1, timeout=seconds)
        ended = ray.wait(list(self._orders), num_returns=len(self._orders), timeout=0)[0] if first else []
        for reference in ended:
            order = self._orders.pop(reference)
            endings.append((order, self._ending(reference)))
            self._board.forget.remote(order.name)
        return endings

    def _ending(self, reference: Any) -> Ending:
        exceptions = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            return Ending(FAILED, "", now(), tuple(str(error).strip().splitlines()[-20:]))
        except exceptions.RayError as error:  # worker, node or memory: not what the run did
            return Ending(UNFIT, "", now(), (_in_short(error),))

    def facts(self) -> dict[str, Fact]:
        """How far the runs are that have begun, by name; as last heard where nobody answers."""
        with contextlib.suppress(self._ray.exceptions.RayError, TimeoutError):
            self._facts = self._ray.get(self._board.read.remote(), timeout=_FACTS_S)
        return self._facts

    def close(self) -> None:
        """Ends what still runs and lets go of the cluster; one that was started here ends with it."""
        for reference in self._orders:
            self._ray.cancel(reference, force=True)
        self._orders.clear()
        self._ray.shutdown()


class Board:
    """An actor that holds what workers tell of their runs; nothing is lost with it that is not told again."""

    def __init__(self) -> None:
        self._facts: dict[str, Fact] = {}

    def tell(self, name: str, fact: Fact) -> None:
        """Takes the news of a run."""
        self._facts[name] = fact

    def forget(self, name: str) -> None:
        """The run has ended."""
        self._facts.pop(name, None)

    def read(self) -> dict[str, Fact]:
        """All of it."""
        return self._facts


def _refuse_deaf(address: str) -> None:
    """Raises UserError where nobody listens at host:port: Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_LISTENS_S).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"--address={address}: nobody listens there ({error}); start a cluster first"
        ) from error


def _work(order: Order, board: Any) -> Ending:
    return work(order, _node_name(), lambda fact: board.tell.remote(order.name, fact))


def _probe(root: str) -> tuple[str, bool, str]:
    return _node_name(), (Path(root) / RECORD).exists(), __version__


def _node_name() -> str:
    import ray

    return f"{socket.gethostname()}-{ray.get_runtime_context().get_node_id()[:6]}"


def _in_short(error: Exception) -> str:
    """Which error, and its first sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).split('. ')[0][:300]}"
