"""The trace of some steps: written for those alone, and ended whatever happens."""

import jax
import pytest

from voxjax.training import profile


@pytest.fixture
def calls(monkeypatch):
    heard = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: heard.append(("start", folder)))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: heard.append(("stop",)))
    return heard


def test_ten_steps_are_recorded(calls, tmp_path):
    recorder = profile.Profile(tmp_path, 30)
    at = {}
    for step in range(30, 60):
        recorder.before(step)
        at[step] = len(calls)
    recorder.close()
    assert calls == [("start", tmp_path), ("stop",)]
    assert (at[39], at[40], at[49], at[50]) == (0, 1, 1, 2)


def test_a_run_that_ends_within_them_ends_the_trace_once(calls, tmp_path):
    recorder = profile.Profile(tmp_path, 0)
    for step in range(12):
        recorder.before(step)
    recorder.close()
    recorder.close()
    assert calls == [("start", tmp_path), ("stop",)]


def test_without_a_folder_nothing_is_recorded(calls):
    recorder = profile.Profile(None, 0)
    for step in range(40):
        recorder.before(step)
    recorder.close()
    assert not calls


def test_a_trace_can_be_opened(tmp_path):
    recorder = profile.Profile(tmp_path, -profile.FIRST)
    recorder.before(0)
    jax.block_until_ready(jax.numpy.ones(3) + 1)
    recorder.close()
    assert list(tmp_path.rglob("*.xplane.pb"))
