"""A sweep on a real cluster of Ray's, of three nodes on this machine, one of which is lost on the way.

The runs are stand-ins that lock, log, save and resume as trainings do: what was trained, how often and by
which process is read from the lines that they leave.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.small_training import ROOT, environment

ray = pytest.importorskip("ray")
STEPS, EVERY, SEEDS = 12, 3, 5
PATIENCE_S = 120
# Ray starts its processes from a fork that runs a line of Python, and other tests have loaded jax here.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")

DRIVER = """
import sys
from voxjax import command, sweep
from voxjax.sweeping import drive
drive.TRAIN = "helpers.stand_in_train"
try:
    command.run_command(sweep.main)
finally:
    print("driver knows", [name for name in ("jax", "jaxlib", "flax") if name in sys.modules])
"""


def begin(node, attempts=3):
    """Starts a node of Ray, which gives up after half a minute: not long on a busy machine."""
    for attempt in range(1, attempts + 1):
        try:
            return node()
        except Exception:
            if attempt == attempts:
                raise


@pytest.fixture(scope="module")
def cluster():
    """A head with what it takes for a GPU and two nodes, a core each; a lost one is missed within seconds."""
    from ray.cluster_utils import Cluster

    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "tests"))))
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        checks = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
        checks |= {"health_check_failure_threshold": 4}
        head = {"num_cpus": 1, "num_gpus": 1, "_system_config": checks, "include_dashboard": False}
        head |= {"include_log_monitor": False}
        started = begin(lambda: Cluster(initialize_head=True, head_node_args=head))
        for _ in range(2):
            begin(lambda: started.add_node(num_cpus=1, include_log_monitor=False))
        yield started
        started.shutdown()
        signal.signal(signal.SIGTERM, before)  # Ray's own would stay


def start(cluster, root, *arguments):
    command = [sys.executable, "-c", DRIVER, "--config=demo", "--prompt=a red sphere", f"--root={root}"]
    command += [
        f"--address={cluster.address}",
        f"--config.steps={STEPS}",
        f"--config.checkpoint.every={EVERY}",
    ]
    command += ["--cpus=1", "--config.output.mesh=False", "--config.output.report=False"]
    variables = environment(
        PYTHONPATH=os.pathsep.join((str(ROOT), str(ROOT / "tests"))), RAY_USAGE_STATS_ENABLED="0"
    )
    return subprocess.Popen(
        [*command, *arguments], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until(condition, process):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.1)


def log_of(folder):
    try:
        return [line.split() for line in (folder / "steps.log").read_text().splitlines()]
    except OSError:
        return []


def trained(folder):
    """Checks that a run's processes followed one another, each from what was saved; returns their number."""
    blocks = []
    for word, number, process in log_of(folder):
        if word == "begin":
            blocks.append((int(number), process, []))
        assert process == blocks[-1][1], "two processes trained at the same time"
        if word == "step":
            blocks[-1][2].append(int(number))
    done = 0
    for saved, _, steps in blocks:
        assert saved == done - done % EVERY or saved == done == STEPS, "something that was saved was lost"
        assert steps == list(range(saved + 1, saved + 1 + len(steps)))
        done = max([done, *steps])
    assert done == STEPS
    return len(blocks)


def hold(cluster, root, n, *flags):
    """Starts a sweep; returns its process once n runs wait a step behind their first checkpoint."""
    (root / "hold").write_text(str(EVERY + 2))
    process = start(cluster, root, *flags)
    running = lambda: [run for run in record_of(root).values() if run["status"] == "running"]  # noqa: E731
    last = [["step", str(EVERY + 1)]] * n
    wait_until(
        lambda: len(running()) == n and [log_of(f)[-1][:2] for f in root.glob("demo*") if log_of(f)] == last,
        process,
    )
    return process


def record_of(root):
    try:
        return json.loads((root / "sweep.json").read_text())["runs"]
    except OSError:
        return {}


def test_a_lost_node_loses_nothing_and_nothing_is_trained_twice(cluster, tmp_path):
    flags = [f"--seeds=0-{SEEDS - 1}", "--set", "augment.diff=True"]
    process = hold(cluster, tmp_path, 3, *flags)
    lost = cluster.worker_nodes.copy().pop()
    node = lost.node_id[:6]
    victim = next(name for name, entry in record_of(tmp_path).items() if (entry["node"] or "").endswith(node))
    before = log_of(tmp_path / victim)
    cluster.remove_node(lost, allow_graceful=False)
    # The worker goes with its node, and the training, which waits in the middle, with the worker.
    wait_until(lambda: not os.path.exists(f"/proc/{before[0][2]}"), process)
    (tmp_path / "hold").unlink()
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert out.splitlines()[-2:] == [f"{SEEDS} runs in {tmp_path}: {SEEDS} done, 0 failed", "driver knows []"]
    record = record_of(tmp_path)
    assert {entry["status"] for entry in record.values()} == {"done"} and len(record) == SEEDS
    starts = {name: trained(tmp_path / name) for name in record}
    assert {name: entry["starts"] for name, entry in record.items()} == starts
    assert starts == {name: 2 if name == victim else 1 for name in record}, "one run begun again, no more"
    assert (record[victim]["lost"], record[victim]["failures"]) == (1, 0)
    assert not record[victim]["node"].endswith(node)
    assert log_of(tmp_path / victim)[: len(before)] == before
    assert f"{victim}: lost (no fault of its own): " in err


def test_only_what_is_missing_is_done_and_failures_are_told_at_the_end(cluster, tmp_path):
    process = start(cluster, tmp_path, "--seeds=0")
    assert process.communicate(timeout=PATIENCE_S)[0].startswith(f"1 runs in {tmp_path}: 1 done, 0 failed")
    first = tmp_path / "demo_a-red-sphere_seed0"
    lines = log_of(first)
    (tmp_path / "sweep.json").unlink()  # its own files tell
    process = start(cluster, tmp_path, "--seeds=0,13,14")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1, err
    assert out.splitlines() == [
        f"{tmp_path}/demo_a-red-sphere_seed13: failed: no good comes of thirteen",
        f"3 runs in {tmp_path}: 2 done (1 of them before), 1 failed",
        "driver knows []",
    ]
    assert log_of(first) == lines and trained(first) == 1
    entries = {name[-6:]: (entry["status"], entry["starts"]) for name, entry in record_of(tmp_path).items()}
    assert entries == {"_seed0": ("done", 0), "seed13": ("failed", 3), "seed14": ("done", 2)}
    assert trained(tmp_path / "demo_a-red-sphere_seed14") == 2


def test_rays_own_processes_stay_without_jax_and_give_a_run_its_share_of_a_gpu(cluster, tmp_path):
    """jax is looked for in a worker that has just trained."""
    program = f"""
import sys, pathlib, ray
from voxjax.errors import UserError
from voxjax.sweeping import cluster, plan, record, slots, worker
root = pathlib.Path({str(tmp_path)!r})
pool = cluster.Cluster({cluster.address!r})
try:
    pool.refuse_blind(root)
except UserError as error:
    print(error)
(root / record.RECORD).touch()
pool.refuse_blind(root)
(run,) = plan.make_plan(["demo"], ["a red sphere"], fixed=[("steps", "1")]).runs
slot = slots.gpu_slot(2)
order = worker.Order(
    run.name, 1, str(root), "helpers.stand_in_train", tuple(run.arguments(root)), slot.environment
)
def trains(order, board):
    ending = cluster._work(order, board)
    return ending.how, [name for name in ("jax", "jaxlib", "flax") if name in sys.modules]
task = ray.remote(trains).options(num_cpus=slot.cpus, num_gpus=slot.gpus)
print(*ray.get(task.remote(order, pool._board)))
pool.close()
"""
    variables = environment(PYTHONPATH=os.pathsep.join((str(ROOT), str(ROOT / "tests"))))
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True)
    refusal, how = done.stdout.splitlines()
    assert refusal.startswith(f"--root={tmp_path}: ") and refusal.endswith("give one that all nodes share")
    assert how == "done []", done.stderr
    given = json.loads((tmp_path / "demo_a-red-sphere_seed0" / "environment.json").read_text())
    assert (given["CUDA_VISIBLE_DEVICES"], given["XLA_PYTHON_CLIENT_MEM_FRACTION"]) == ("0", "0.45")


def test_a_sweep_that_is_killed_leaves_no_training_behind_and_goes_on(cluster, tmp_path):
    flags = ["--seeds=0,1"]
    process = hold(cluster, tmp_path, 2, *flags)
    process.kill()
    process.communicate()
    trainings = [log_of(folder)[0][2] for folder in tmp_path.iterdir() if folder.is_dir()]
    deadline = time.monotonic() + PATIENCE_S
    while any(os.path.exists(f"/proc/{number}") for number in trainings):
        assert time.monotonic() < deadline, "trainings outlive their sweep"
        time.sleep(0.1)
    (tmp_path / "hold").unlink()
    process = start(cluster, tmp_path, *flags)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert [trained(folder) for folder in tmp_path.iterdir() if folder.is_dir()] == [2, 2]


def test_no_cluster_is_one_line(cluster, tmp_path):
    process = start(cluster, tmp_path, "--address=ray://127.0.0.1:1")
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2 and err.count("\n") == 1, err
    assert "--address=ray://127.0.0.1:1: nobody listens there" in err
