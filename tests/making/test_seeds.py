"""Several seeds: who judges, which is kept, and that the others stay."""

import json

import numpy as np
import pytest
from helpers.small_runs import write_run

from voxjax import evaluate
from voxjax.errors import UserError
from voxjax.evaluation import processes
from voxjax.making import seeds
from voxjax.run import load_run

PROMPT = "a red sphere"
# What `write_run` sets is no config by name: the judge reads those of the runs.
CONFIG, SETTINGS = "demo", [("prompt", PROMPT)]
COLOURS = {0: (0.05, 0.05, 0.9), 1: (0.9, 0.05, 0.05), 2: (0.05, 0.9, 0.05)}


@pytest.fixture
def candidates(tmp_path, monkeypatch):
    """A workdir with three finished candidates, of which the second is what was asked for."""

    def start(module, arguments, *, name):
        assert module == "voxjax.evaluate"
        evaluate.main(arguments)
        return ""

    monkeypatch.setattr(processes, "start", start)
    for seed, colour in COLOURS.items():
        folder = write_run(tmp_path / "run" / "seeds" / str(seed), PROMPT, colour, seed=seed)
        (folder / "turntable.mp4").write_bytes(b"turntable %d" % seed)
    return tmp_path / "run"


def test_the_judge_prefers_what_was_asked_for_and_its_files_are_kept(candidates):
    scores, judge = seeds.judge_seeds(CONFIG, candidates, SETTINGS, [0, 1, 2], PROMPT)
    assert judge == "pocket-eval, which guided none of them"
    assert max(scores, key=scores.get) == 1 and scores[1] > scores[0] + 0.1 and scores[1] > scores[2] + 0.1
    assert seeds.keep_best(candidates, scores, judge) == 1
    # The workdir is a run of its own now, and every candidate still is one.
    kept = load_run(candidates)
    assert kept.config.seed == 1 and kept.finished
    assert (candidates / "turntable.mp4").read_bytes() == b"turntable 1"
    for seed in COLOURS:
        assert load_run(candidates / "seeds" / str(seed)).config.seed == seed
    verdict = json.loads((candidates / "seeds.json").read_text())
    assert verdict["best"] == 1 and verdict["scores"] == {str(s): pytest.approx(x) for s, x in scores.items()}
    np.testing.assert_array_equal(
        kept.state.params["grid"], load_run(candidates / "seeds" / "1").state.params["grid"]
    )


def test_another_best_takes_the_place_and_nothing_else(candidates):
    seeds.keep_best(candidates, {0: 0.5, 1: 0.1}, "somebody")
    (candidates / "seeds" / "0" / "extra.png").write_bytes(b"x")
    seeds.keep_best(candidates, {0: 0.5, 1: 0.1}, "somebody")
    (candidates / "mine.txt").write_text("mine")
    assert (candidates / "extra.png").exists() and load_run(candidates).config.seed == 0
    seeds.keep_best(candidates, {0: 0.5, 1: 0.1, 2: 0.9}, "somebody")
    assert load_run(candidates).config.seed == 2 and not (candidates / "extra.png").exists()
    assert (candidates / "mine.txt").read_text() == "mine"
    assert (candidates / "seeds" / "0" / "extra.png").exists() and load_run(
        candidates / "seeds" / "0"
    ).finished


@pytest.mark.parametrize(
    "kept",
    [["..", ".", "", "seeds", "seeds.json", "../mine.txt", "seeds/1", 3, None, "{outside}"], "abc", {"a": 1}],
)
def test_a_record_of_something_else_takes_nothing_away(kept, candidates):
    """Nothing above the folder, nothing further down, and no candidate."""
    outside = candidates.parent / "mine.txt"
    for path in (outside, candidates / "a"):
        path.write_text("mine")
    kept = (
        [str(outside) if name == "{outside}" else name for name in kept] if isinstance(kept, list) else kept
    )
    (candidates / "seeds.json").write_text(json.dumps({"kept": kept}))
    seeds.keep_best(candidates, {0: 0.5}, "somebody")
    assert outside.exists() and (candidates / "a").exists()
    assert sorted(path.name for path in (candidates / "seeds").iterdir()) == ["0", "1", "2"]
    assert json.loads((candidates / "seeds.json").read_text())["best"] == 0


def test_files_are_copied_where_there_are_no_hard_links(candidates, monkeypatch):
    def refuse(source, target):
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    seeds.keep_best(candidates, {2: 0.5}, "somebody")
    assert load_run(candidates).config.seed == 2


@pytest.mark.parametrize(
    ("guides", "here", "judge", "held_out"),
    [
        (["pocket"], [], "pocket-eval", True),
        (["pocket-eval"], ["ViT-B/32"], "pocket", True),
        (["picturebook"], ["ViT-B/32"], "picturebook-eval", True),
        (["ViT-B/32"], ["ViT-B/32"], "ViT-B/32", False),
        (["ViT-B/32"], ["ViT-B/32", "ViT-L/14"], "ViT-L/14", True),
        (["ViT-B/16"], ["ViT-B/32", "ViT-B/16"], "ViT-B/32", True),
        (["ViT-B/32", "ViT-L/14"], ["ViT-B/32", "ViT-L/14", "RN50"], "RN50", True),
        (["/a/folder"], [], "/a/folder", False),
    ],
)
def test_who_judges(guides, here, judge, held_out):
    assert seeds.choose_judge(guides, here) == (judge, held_out)


def test_the_judge_is_of_the_guides_world(monkeypatch):
    """A small CLIP of other words cannot judge."""
    worlds = {"pocket": "pocket", "pocket-eval": "pocket", "birds": "zoo", "birds-eval": "zoo"}
    monkeypatch.setattr(seeds.names, "SHIPPED", worlds)
    assert seeds.choose_judge(["pocket"], []) == ("pocket-eval", True)
    assert seeds.choose_judge(["birds-eval"], []) == ("birds", True)


def test_a_single_run_is_not_written_over(tmp_path):
    write_run(tmp_path / "run", PROMPT, (1, 0, 0))
    with pytest.raises(UserError, match="holds a single run; give several seeds another --workdir"):
        seeds.refuse_foreign(tmp_path / "run")
    seeds.refuse_foreign(tmp_path / "other")


@pytest.mark.parametrize(
    ("statuses", "finished", "status"),
    [([0, 0, 0], [0, 1, 2], 0), ([0, 1, 0], [0, 2], 0), ([2, 0, 0], [], 2), ([0, -9, 1], [0], 0)],
)
def test_a_seed_that_fails_is_left_out_but_for_the_first(
    statuses, finished, status, tmp_path, monkeypatch, capsys
):
    given = []

    def train(config, workdir, settings, *, force=False):
        given.append((workdir, dict(settings)["seed"]))
        return statuses[len(given) - 1]

    monkeypatch.setattr(seeds, "train", train)
    assert seeds.train_seeds(CONFIG, tmp_path, SETTINGS, range(3)) == (finished, status)
    assert given[0] == (tmp_path / "seeds" / "0", "0")
    assert ("left out" in capsys.readouterr().err) == (not status and len(finished) < 3)


def test_failing_to_judge_is_told(candidates, monkeypatch):
    monkeypatch.setattr(processes, "start", lambda module, arguments, *, name: "no memory")
    with pytest.raises(
        UserError, match=r"judging by pocket-eval failed: no memory; the candidates lie in .*seeds"
    ):
        seeds.judge_seeds(CONFIG, candidates, SETTINGS, [0, 1], PROMPT)
