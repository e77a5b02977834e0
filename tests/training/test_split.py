"""Several devices do the step of one: the same object, through a rescaling and a resume on another number."""

import json
import subprocess
import sys

import pytest
from helpers.small_training import ROOT, environment, overrides

PROGRAM = """
import json, sys
from pathlib import Path
import jax, numpy as np
sys.path.insert(0, "tests")
from helpers.small_training import train_alone
from voxjax.config.loading import load
from voxjax.train import use_cache

pairs, folder, counts = json.loads(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])


class Stopped(Exception):
    pass


def stop(member, run):
    raise Stopped


def train(count, name, preview=None, every=0):
    more = [("devices", str(count)), ("output.preview_every", str(every))]
    config = load("configs/base.py", [*pairs, *more])
    use_cache(config.cache_dir)
    (folder / name).mkdir(exist_ok=True)
    return train_alone(config, folder / name, preview=preview)


def numbers(state):
    leaves = jax.tree.leaves((state.params, state.tracked))
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])


def metrics(name):
    return [json.loads(line) for line in (folder / name / "metrics.jsonl").open()]


alone = numbers(train(1, "1"))
apart = {n: np.abs(numbers(train(n, str(n))) - alone).max() for n in counts}
try:
    train(counts[-1], "resumed", stop, every=1)
    sys.exit("it was not stopped")
except Stopped:
    pass
apart["resumed"] = np.abs(numbers(train(3, "resumed")) - alone).max()
pairwise = zip(metrics("1"), metrics(str(counts[-1])), strict=True)
off = [{k: abs(a[k] - b[k]) / (1e-3 + abs(a[k])) for k in a} for a, b in pairwise]
print(json.dumps({
    "apart": {k: float(v) for k, v in apart.items()},
    "losses": [line["loss"] for line in metrics("1")],
    "off": {k: max(line[k] for line in off) for k in off[0]},
    "sizes": sorted({line.get("grid/x", 0) for line in metrics("1")}),
}))
"""
FIELDS = {
    "vox_exp": {},
    "vox_imp": {
        "field.name": "vox_imp",
        "field.box": "frustum",
        "vox_imp.width": 8,
        "vox_imp.n_frequencies": 2,
        "vox_imp.skip": True,
        "optimiser.rate_network": 1e-3,
    },
    "dream_fields": {
        "field.name": "dream_fields",
        "field.half_width": 1.0,
        "dream_fields.width": 8,
        "dream_fields.hidden": 8,
        "dream_fields.n_blocks": 1,
        "dream_fields.n_features": 4,
        "dream_fields.n_samples": 8,
        "augment.background_at": "clip",
        "augment.share_backgrounds": False,
    },
}


@pytest.mark.parametrize("counts", [[4], pytest.param([2, 8], marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("field", FIELDS)
def test_any_number_of_devices_makes_the_same_object(field, counts, tiny_clip, compile_cache, tmp_path):
    # 12 images, which 8 devices cannot share evenly; neither can 4 the 2 views of 15 x 15 rays.
    given = {"steps": 2, "cameras.views_per_step": 2, "cameras.width_px": 15, "augment.n_diff": 3}
    changes = {**given, **FIELDS[field]}
    pairs = [*overrides(tiny_clip, compile_cache), *((name, str(value)) for name, value in changes.items())]
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(pairs), str(tmp_path), json.dumps(counts)],
        cwd=ROOT,
        env=environment(
            XLA_FLAGS="--xla_force_host_platform_device_count=8",
            JAX_DISABLE_MOST_OPTIMIZATIONS="1",  # most of the time is compiling
        ),
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert len(found["sizes"]) == (1 if field == "dream_fields" else 2), "it was not rescaled"
    assert len(set(found["losses"])) == 2
    assert max(found["apart"].values()) < 1e-4, found
    assert max(found["off"].values()) < 1e-3, found
