"""What a run says: cadences, files that survive a restart, and warnings at the right time."""

import json
import struct

from voxjax.training.metrics import ScalarWriter


def told(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def test_a_resumed_run_cuts_back_what_was_told_too_far(tmp_path):
    writer = ScalarWriter(tmp_path)
    for step in (1, 2, 3, 4):
        writer.write(step, {"loss": step / 2})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')  # what a kill leaves of a line
    writer = ScalarWriter(tmp_path, start=2)
    assert told(tmp_path) == [(1, 0.5), (2, 1.0)]
    writer.write(3, {"loss": 9.0})
    writer.close()
    assert told(tmp_path) == [(1, 0.5), (2, 1.0), (3, 9.0)]


def test_a_run_without_checkpoint_starts_its_metrics_anew(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n')
    writer = ScalarWriter(tmp_path, start=0)
    writer.close()
    assert told(tmp_path) == []


def test_what_is_not_finite_stays_json(tmp_path):
    writer = ScalarWriter(tmp_path)
    writer.write(1, {"loss": float("nan"), "other": float("inf")})
    writer.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": None, "other": None}


def test_tensorboard_gets_the_scalars(tmp_path):
    writer = ScalarWriter(tmp_path)
    writer.write(7, {"loss/kl": 0.5})
    writer.close()
    (file,) = tmp_path.glob("events.out.tfevents.*")
    content = file.read_bytes()
    assert b"loss/kl" in content and struct.pack("<f", 0.5) in content
