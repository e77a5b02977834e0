"""In the place of `voxjax train`: locks, logs, saves and resumes as it does, and computes nothing.

`steps.log` gets a line for each step, by which process; what was trained, and how often, can be read from it;
`environment.json` gets its variables.
Run with seed 13, it fails; with seed 14 its first process is killed.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from voxjax.config.loading import load, take_overrides
from voxjax.config.saved import to_json
from voxjax.files import locked, write_text
from voxjax.run_files import CHECKPOINTS, CONFIG, LOCK, METRICS, PICTURES, saved_steps, write_list


def wait(step, root):
    """Before a step: as long as the environment says, and until no file `hold` beside the runs names it."""
    time.sleep(float(os.environ.get("STAND_IN_STEP_S", "0")))
    while (root / "hold").exists() and str(step) in (root / "hold").read_text().split():
        time.sleep(0.05)


def main():
    spec, folder, *rest = sys.argv[1:]
    config = load(spec.removeprefix("--config="), take_overrides(rest))
    workdir = Path(folder.removeprefix("--workdir="))
    if config.seed == 13:
        print("about to fail", file=sys.stderr)
        print("voxjax: no good comes of thirteen", file=sys.stderr)
        return 2
    with locked(workdir / LOCK), (workdir / "steps.log").open("a", buffering=1) as log:
        if not (workdir / CONFIG).exists():
            write_text(workdir / CONFIG, to_json(config))
        start = max(saved_steps(workdir / CHECKPOINTS), default=0)
        log.write(f"begin {start} {os.getpid()}\n")
        write_text(workdir / "environment.json", json.dumps(dict(os.environ)))
        for step in range(start + 1, config.steps + 1):
            wait(step, workdir.parent)
            log.write(f"step {step} {os.getpid()}\n")
            with (workdir / METRICS).open("a") as metrics:
                metrics.write(json.dumps({"step": step, "loss": 0.0}) + "\n")
            if config.seed == 14 and not start and step == config.checkpoint.every + 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if step % config.checkpoint.every == 0 or step == config.steps:
                part = workdir / CHECKPOINTS / f"part.{os.getpid()}"
                part.mkdir(parents=True)
                (part / "state").write_text(str(step))
                write_list(part)
                part.rename(workdir / CHECKPOINTS / str(step))
        for name in PICTURES:
            (workdir / name).touch()
        log.write(f"end {config.steps} {os.getpid()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
