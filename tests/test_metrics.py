"""What a run says: cadences, files that survive a restart, and warnings at the right time."""

import json
import struct

import pytest

from voxjax.metrics import Progress, ScalarWriter, SceneWatch, is_due


def test_one_predicate_for_every_cadence():
    assert [step for step in range(1, 11) if is_due(step, 4, 10)] == [4, 8, 10]
    assert [step for step in range(1, 11) if is_due(step, 0, 10)] == [10]
    assert [step for step in range(1, 11) if is_due(step, 5)] == [5, 10]


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


def scalars(transmittance, overflow=0.0):
    return {"transmittance": transmittance, "overflow": overflow}


@pytest.mark.parametrize(
    ("transmittance", "state", "advice"),
    [(0.999, "empty", "loss.kl"), (0.001, "full", "rate_density")],
)
def test_an_empty_or_full_scene_is_named_once_with_a_remedy(transmittance, state, advice):
    watch = SceneWatch(100)
    steps = list(range(50, 501, 50))
    said = {step: watch.look(step, scalars(transmittance)) for step in steps}
    assert [step for step in steps if said[step]] == [150]
    (text,) = said[150]
    assert f"has been {state} for 100 steps" in text and advice in text
    # After better times the count starts again.
    assert watch.look(550, scalars(0.5)) == []
    assert [bool(watch.look(step, scalars(transmittance))) for step in (600, 650, 700)] == [
        False,
        False,
        True,
    ]


def test_samples_without_room_are_reported_at_once():
    watch = SceneWatch(100)
    (text,) = watch.look(1, scalars(0.5, overflow=12.0))
    assert "12 samples" in text
    assert watch.look(2, scalars(0.5, overflow=12.0)) == []


def test_plain_lines_where_there_is_no_terminal(capsys):
    bar = Progress(5, 20, seconds_between_lines=0.0)
    bar.update(10, loss=-0.25, similarity=0.125)
    bar.say("a warning")
    bar.update(20, loss=-0.5, similarity=0.25)
    bar.close()
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == "step 5/20  compiling"
    assert lines[0].startswith("step 10/20  loss -0.2500  CLIP 0.1250  ") and "steps/s" in lines[0]
    assert lines[1] == "a warning"
    assert lines[2].startswith("step 20/20") and lines[2].endswith("0:00 left")


def test_lines_are_not_too_many(capsys):
    bar = Progress(0, 20, seconds_between_lines=1000.0)
    for step in range(1, 21):
        bar.update(step, loss=0.0, similarity=0.0)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["0/20", "1/20", "20/20"]
