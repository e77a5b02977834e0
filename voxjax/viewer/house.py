"""What all browsers share: the runs that are known, the trainings started here, what the form offers."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from voxjax.config.loading import load
from voxjax.config.naming import digits, shipped_names, slug, spec_name
from voxjax.config.programs import expand
from voxjax.errors import UserError
from voxjax.run import CHECKPOINTS, CONFIG, read_config
from voxjax.viewer.feed import Feed
from voxjax.viewer.jobs import Job, Trainings

# A new object is saved at least this many times on its way, so that one can watch it grow.
_PICTURES = 30
# Longer side of a picture at rest.
_FULL_PX, _FULL_PX_GPU = 512, 1024
# Folders below the runs' own in which runs are looked for.
_DEPTH = 4


class House:
    """Everything but the browsers.

    Args:
      feeds: the runs to show; none for the start page.
      runs: folder under which the start page finds runs and puts new ones.
      full_px: longer side of a picture at rest, to begin with.

    Attributes:
      feeds: the same.
      runs: the same.
      full_px: the same.
      trainings: started here.
      exports: mesh commands started here.
      sessions: of the browsers that are there, by their numbers.
    """

    def __init__(self, feeds: Sequence[Feed], runs: str | Path, *, full_px: int):
        self.feeds, self.runs, self.full_px = tuple(feeds), Path(runs), full_px
        self.trainings = Trainings()
        self.exports: list[Job] = []
        self.sessions: dict[int, Any] = {}
        self._known = {feed.workdir.absolute(): feed for feed in feeds}
        self._lock = threading.Lock()
        self._presets: list[str] | None = None
        self._begun: dict[Path, str] = {}  # folder -> prompt of the last training started there

    def feed(self, workdir: Path) -> Feed:
        """The feed of a folder, one for all browsers."""
        with self._lock:
            return self._known.setdefault(workdir.absolute(), Feed(workdir))

    def let_go(self, feeds: Sequence[Feed]) -> None:
        """Frees the memory of runs that no browser looks at any more, but for those of the command line."""
        shown = {feed for session in list(self.sessions.values()) for feed in session.feeds}
        for feed in set(feeds) - shown - set(self.feeds):
            feed.forget()

    def find_runs(self) -> list[Feed]:
        """Every run below the folder of runs, the newest first."""
        found = {}
        for workdir in _run_folders(self.runs, _DEPTH):
            found[workdir.absolute()] = _latest_change(workdir)
        feeds = [self.feed(workdir) for workdir in sorted(found, key=lambda each: -found[each])]
        return [feed for feed in feeds if feed.config is not None]

    def presets(self) -> list[str]:
        """Names of the configs that the form offers, the demo's first."""
        if self._presets is None:
            names: list[str] = []
            for name in sorted(shipped_names(), key=lambda each: (each != "demo", each)):
                try:
                    names += expand(f"{name}:all")
                except UserError:  # it lists no variants: its default is offered
                    names.append(name)
            self._presets = names
        return self._presets

    def start_training(self, preset: str, prompt: str, seed: int) -> Feed:
        """Starts a new run, or goes on with one that was started with the same values.

        Prompts that have one name get folders of their own: the later one's ends in digits of its SHA-256.

        Args:
          preset: one of `presets`.
          prompt: what to make.
          seed: of the run.

        Returns:
          The feed of its folder, which the process makes once it has accepted everything.

        Raises:
          UserError: what the command would refuse at once, or a training runs there already.
        """
        # A page can send anything; a preset that is a path would be run as a program.
        if preset not in self.presets():
            raise UserError(f"preset {preset!r}: no such preset; there is {', '.join(self.presets())}")
        prompt = re.sub(r"\s+", " ", prompt).strip()
        if not prompt:
            raise UserError("the prompt is empty; write what to make, such as: a red sphere")
        settings = [("prompt", prompt), ("seed", str(seed))]
        config = load(preset, settings)
        every = max(1, min(config.checkpoint.every, config.steps // _PICTURES))
        settings.append(("checkpoint.every", str(every)))
        workdir = self._folder(spec_name(preset), prompt, seed)
        self.trainings.start(
            workdir, [f"--config={preset}", *(f"--config.{key}={value}" for key, value in settings)]
        )
        self._begun[workdir] = prompt
        return self.feed(workdir)

    def _folder(self, name: str, prompt: str, seed: int) -> Path:
        """Where a run goes: a folder that holds no run of another prompt."""
        ending = f"-seed{seed}" if seed else ""
        workdir = self.runs / name / f"{slug(prompt)}{ending}"
        config = self.feed(workdir).config
        # A process writes its config only once it has accepted everything.
        if prompt == (config.prompt if config is not None else self._begun.get(workdir, prompt)):
            return workdir
        return workdir.with_name(f"{slug(prompt)}-{digits(prompt)}{ending}")

    def close(self) -> list[Path]:
        """Stops everything that was started here; returns the folders of trainings that still ran."""
        for job in self.exports:
            job.stop()
        return self.trainings.close()


def open_house(workdirs: Sequence[str], runs: str) -> House:
    """A house for a command line.

    Args:
      workdirs: of the runs to show; none for the start page.
      runs: folder of the start page's runs.

    Raises:
      UserError: one of the runs cannot be opened.
    """
    feeds = [Feed(workdir) for workdir in workdirs]
    for feed in feeds:
        read_config(feed.workdir)  # all of them, before the first is opened
    for feed in feeds:
        feed.open_latest()
    on_cpu = jax.default_backend() == "cpu"
    return House(feeds, runs, full_px=_FULL_PX if on_cpu else _FULL_PX_GPU)


def _run_folders(folder: Path, depth: int) -> list[Path]:
    """Folders of runs in `folder` and below, without looking inside runs."""
    found: list[Path] = []
    for root, folders, files in os.walk(folder):
        if CONFIG in files or CHECKPOINTS in folders:
            found.append(Path(root))
            folders.clear()
        elif len(Path(root).relative_to(folder).parts) >= depth:
            folders.clear()
        folders[:] = sorted(name for name in folders if not name.startswith("."))
    return found


def _latest_change(workdir: Path) -> float:
    """When something happened in a run's folder, seconds since 1970."""
    times = []
    for path in (workdir, workdir / CHECKPOINTS):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)
