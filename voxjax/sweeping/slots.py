"""What a run is given of a machine, as Ray counts it and as jax does: a share of a GPU, or cores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voxjax.errors import UserError

# What N runs take together of a GPU's memory; jax alone would take 0.75 for each.
_SHARED = 0.9


@dataclass(frozen=True)
class Slot:
    """The place of one run.

    Attributes:
      gpus: share of a GPU.
      cpus: cores; 0 where a GPU is what there is little of.
      environment: variables of the training process.
    """

    gpus: float
    cpus: int
    environment: Mapping[str, str] = field(default_factory=dict)


def gpu_slot(per_gpu: int) -> Slot:
    """One of `per_gpu` runs that share a GPU; which one, Ray says in CUDA_VISIBLE_DEVICES."""
    fraction = f"{int(100 * _SHARED / per_gpu) / 100:.2f}"
    share = {"XLA_PYTHON_CLIENT_MEM_FRACTION": fraction} if per_gpu > 1 else {}
    return Slot(1 / per_gpu, 0, share)


def cpu_slot(cores: int) -> Slot:
    """A run on so many cores of a CPU."""
    many = "false" if cores == 1 else "true"
    flags = f"--xla_cpu_multi_thread_eigen={many} intra_op_parallelism_threads={cores}"
    # XLA's own pool has NPROC threads; Ray sets OMP_NUM_THREADS, and the run shall have what it is given.
    threads = {name: str(cores) for name in ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return Slot(0, cores, {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, **threads})


def choose_slot(
    per_gpu: int | None, cpus: int | None, resources: Mapping[str, float], *, may_grow: bool
) -> Slot:
    """The place of each run, by what was asked for and what there is.

    Args:
      per_gpu: runs that share a GPU; None if that was not said.
      cpus: cores of each run; None if that was not said.
      resources: "CPU" and "GPU" of the cluster.
      may_grow: whether nodes may still join it.

    Raises:
      UserError: no run would ever find a place.
    """
    gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    if per_gpu and not gpus and not may_grow:
        raise UserError(f"--per-gpu={per_gpu}: Ray finds no GPU here; give --cpus=1 to use the CPU")
    if cpus and cpus > cores and not may_grow:
        raise UserError(f"--cpus={cpus}: this machine has {cores} cores; give at most so many to a run")
    if per_gpu or (gpus and not cpus):
        return gpu_slot(per_gpu or 1)
    return cpu_slot(cpus or 1)
