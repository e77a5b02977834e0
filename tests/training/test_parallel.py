"""Several devices: a process with two CPU devices averages gradients of two different draws."""

import json
import subprocess
import sys

from helpers.small_training import ROOT, environment

PROGRAM = """
import json, sys
sys.path.insert(0, "tests")
import jax, jax.numpy as jnp, numpy as np
from helpers.plain_steps import plain_descent, plain_inputs, plain_parts, plain_state
from voxjax.training.parallel import Devices
from voxjax.training.step import make_step

parts = plain_parts(optimiser=plain_descent())
state, inputs = plain_state(parts), plain_inputs()
devices = Devices()
step = devices.compile(make_step(parts, axis_name=devices.axis_name))
spread_state, spread_inputs = devices.spread((state, inputs))
after, metrics = step(spread_state, spread_inputs)
copies = np.asarray(after.params["grid"])

# The same by hand: one device at a time, with the key of its place, gradients averaged in float64.
def alone(i):
    def render(key, scene):
        return parts.render(jax.random.split(jax.random.fold_in(step_key, i))[0], scene)
    step_key = jax.random.fold_in(inputs.key, 0)
    import dataclasses
    one = jax.jit(make_step(dataclasses.replace(parts, render=render)))(state, inputs)
    return np.asarray(one[0].params["grid"], np.float64), float(one[1]["loss"])

results = [alone(i) for i in range(2)]
gathered = devices.gather(after)
print(json.dumps({
    "count": devices.count,
    "shape": copies.shape,
    "apart": float(np.abs(copies[0] - copies[1]).max()),
    "draws_differ": float(np.abs(results[0][0] - results[1][0]).max()),
    "error": float(np.abs(copies[0] - (results[0][0] + results[1][0]) / 2).max()),
    "loss_error": float(abs(metrics["loss"][0] - (results[0][1] + results[1][1]) / 2)),
    "step": int(gathered.step),
    "one_is_none": Devices(1).axis_name is None,
}))
"""


def test_two_devices_average_their_gradients():
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        cwd=ROOT,
        env=environment(XLA_FLAGS="--xla_force_host_platform_device_count=2"),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found["count"] == 2 and found["shape"] == [2, 2, 2, 2, 4]
    assert found["apart"] == 0 and found["draws_differ"] > 1e-4
    assert found["error"] < 1e-6 and found["loss_error"] < 1e-6
    assert found["step"] == 1 and found["one_is_none"]
