"""Every row of the table of names, loaded by its name from a folder of the right layout and full size."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from parity.models import MODELS, PROMPTS, pictures, random_tensors, write


def measure(name):
    """Builds the checkpoint, loads it in a process of its own, and removes it.

    Returns:
      `file_bytes`, `parameters` of the file, and what `load` tells.
    """
    model = MODELS[name]
    with tempfile.TemporaryDirectory() as folder:
        tensors = random_tensors(model)
        buffers = ("num_batches_tracked", "running_mean", "running_var")
        parameters = sum(a.size for key, a in tensors.items() if not key.endswith(buffers))
        file_bytes = write(model, folder, tensors)
        del tensors
        command = [sys.executable, "-m", "parity", "--load", name, "--folder", folder]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{name} did not load: {done.stderr.strip().splitlines()[-1]}")
    figures = json.loads(done.stdout.splitlines()[-1])
    row = {"name": name, "layout": model.layout, "published_millions": model.published}
    return {**row, "file_bytes": file_bytes, "parameters": parameters, **figures}


def load(name, folder):
    """Loads one row, its prompts included, and encodes an image.

    Returns:
      Seconds from the call to parameters on the device; peak of the process's memory at that point and
      before it (the imports), bytes; bytes of the image tower; image size and embedding size.
    """
    import jax
    import numpy as np

    from voxjax.guidance import load_guidance, loading

    assert loading is not None  # its imports belong to the start, not to the load
    before = _peak_bytes()
    began = time.monotonic()
    guidance, text = load_guidance(name, path=Path(folder), prompts=PROMPTS, dtype="float32")
    jax.block_until_ready((guidance.params, text))
    seconds, after = time.monotonic() - began, _peak_bytes()
    image = pictures(1, guidance.image_size)
    embedding = np.asarray(jax.jit(guidance.encode)(guidance.params, image))
    assert embedding.shape == (1, guidance.embedding_size) and np.isfinite(embedding).all()
    assert text.shape == (len(PROMPTS), guidance.embedding_size)
    return {
        "seconds": seconds,
        "imports_bytes": before,
        "peak_bytes": after,
        "tower_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(guidance.params)),
        "image_size": guidance.image_size,
        "embedding_size": guidance.embedding_size,
    }


def _peak_bytes():
    # Not getrusage: its maximum begins with the memory of the process that started this one.
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")
    )
    return 1024 * int(line.split()[1])
