"""Several seeds of one prompt: the candidates, their judge, and the best of them.

Candidates lie in `<workdir>/seeds/<seed>/`, each a run of its own. The files of the best one also lie in the
workdir itself, as hard links where the file system has them, so that it is a run like any other.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from voxjax.config.loading import load
from voxjax.errors import UserError
from voxjax.evaluation.entries import Entry
from voxjax.evaluation.processes import judge
from voxjax.files import write_text
from voxjax.guidance import names, shipped
from voxjax.guidance.ensemble import guide_specs
from voxjax.making.runs import SEEDS, train
from voxjax.run_files import CONFIG, LOCK

VERDICT = "seeds.json"
JUDGES = ("ViT-B/32", "ViT-B/16", "ViT-L/14", "RN50")
"""CLIPs that may judge what another one has guided."""


def refuse_foreign(workdir: Path) -> None:
    """Looks whether the best of several seeds may be put into `workdir`.

    Raises:
      UserError: it holds a run that did not come from seeds.
    """
    if (workdir / CONFIG).exists() and not (workdir / VERDICT).exists():
        raise UserError(f"{workdir} holds a single run; give several seeds another --workdir")


def train_seeds(
    config: str,
    workdir: Path,
    settings: Sequence[tuple[str, str]],
    seeds: Sequence[int],
    *,
    force: bool = False,
) -> tuple[list[int], int]:
    """Trains each seed that is not finished.

    Returns:
      (seeds that are finished, exit status of the first run if that failed, else 0): what stops the first
      would stop them all.
    """
    finished = []
    for seed in seeds:
        print(f"seed {seed} of {', '.join(map(str, seeds))}", file=sys.stderr, flush=True)
        status = train(config, workdir / SEEDS / str(seed), [*settings, ("seed", str(seed))], force=force)
        if not status:
            finished.append(seed)
        elif not finished:
            return [], status
        else:
            print(f"voxjax: seed {seed} is left out, it ended with status {status}", file=sys.stderr)
    return finished, 0


def choose_judge(guides: Sequence[str], here: Sequence[str]) -> tuple[str, bool]:
    """Who judges the candidates.

    Args:
      guides: CLIPs that guided them.
      here: CLIPs whose weights are in the cache.

    Returns:
      (name or folder, whether it is held out: guided none of them).
    """
    if set(guides) <= set(names.SHIPPED):
        candidates = shipped.held_out_of(guides)
    else:
        candidates = [name for name in JUDGES if name in here and name not in guides]
    return (candidates[0], True) if candidates else (guides[0], False)


def judge_seeds(
    config: str, workdir: Path, settings: Sequence[tuple[str, str]], seeds: Sequence[int], prompt: str
) -> tuple[dict[int, float], str]:
    """Shows the candidates to a CLIP.

    Returns:
      (seed -> mean cosine over four views, who judged, in words).

    Raises:
      UserError: the judging failed.
    """
    loaded = load(config, settings)
    specs = guide_specs(loaded)
    guides = [spec.path or spec.model for spec in specs]
    here = [name for name in JUDGES if names.is_here(name)]
    clip, held_out = choose_judge(guides, here)
    entries = [Entry(str(seed), config, loaded, workdir / SEEDS / str(seed)) for seed in seeds]
    tables, complaint = judge(entries, {clip: clip}, prompt)
    if complaint:
        raise UserError(f"{complaint}; the candidates lie in {workdir / SEEDS}")
    by_folder = {Path(row["workdir"]): row["views"] for row in tables[clip]["runs"]}
    scores = {
        seed: float(np.mean([view["cosine"] for view in by_folder[entry.workdir]]))
        for seed, entry in zip(seeds, entries, strict=True)
        if entry.workdir in by_folder
    }
    if not scores:
        raise UserError(f"none of the seeds could be judged; they lie in {workdir / SEEDS}")
    role = "which guided none of them" if held_out else "the guide itself, as no other CLIP is here"
    return scores, f"{clip}, {role}"


def keep_best(workdir: Path, scores: Mapping[int, float], judge_name: str) -> int:
    """Puts the best candidate's files into the workdir, in the place of an earlier best.

    Args:
      workdir: of all.
      scores: seed -> score, larger is better.
      judge_name: who gave them, for the record.

    Returns:
      The best seed.
    """
    best = max(scores, key=lambda seed: scores[seed])
    source = workdir / SEEDS / str(best)
    before = _read_kept(workdir)
    record = {"best": best, "judge": judge_name, "scores": {str(s): scores[s] for s in sorted(scores)}}
    kept = sorted(path.name for path in source.iterdir() if path.name != LOCK)
    # First the record: files that are named in it may be taken away by the next best.
    write_text(workdir / VERDICT, json.dumps({**record, "kept": [*kept]}, indent=2) + "\n")
    for name in {*before, *kept}:
        _remove(workdir / name)
    for name in kept:
        _link(source / name, workdir / name)
    return best


def _read_kept(workdir: Path) -> list[str]:
    """Names of the earlier best's files; those alone that may be taken away, whatever the record says."""
    try:
        kept = json.loads((workdir / VERDICT).read_text(encoding="utf-8"))["kept"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    names = [name for name in kept if isinstance(name, str)] if isinstance(kept, list) else []
    barred = (SEEDS, VERDICT, "", ".", "..")
    return [name for name in names if Path(name).name == name and name not in barred]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link_file)
    else:
        _link_file(str(source), str(target))


def _link_file(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target
