"""The form of the notebook as settings of a run, checked before anything starts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from voxjax.config.loading import load, take_overrides
from voxjax.config.naming import digits, slug, spec_name, split_spec
from voxjax.errors import UserError
from voxjax.notebook.machine import Machine
from voxjax.notebook.words import in_one_line

AUTO = "auto"
# Previews: at most so many in a run, and not more often than every so many steps.
_PREVIEWS, _LEAST_STEPS = 50, 10


@dataclass(frozen=True)
class Settings:
    """What to make and how.

    Attributes:
      prompt: the text.
      config: name and variant of the config.
      rival: those that it is compared with: Dream Fields, or Vox_Exp where it is Dream Fields itself.
      overrides: (dotted key, value as typed) besides the prompt; for both.
      folder: of everything about these settings; the same settings have the same folder.
    """

    prompt: str
    config: str
    rival: str
    overrides: tuple[tuple[str, str], ...]
    folder: Path

    @property
    def workdir(self) -> Path:
        """The run's folder, where a comparison looks for it too."""
        return self.folder / spec_name(self.config)

    @property
    def rival_workdir(self) -> Path:
        """The folder of the run that it is compared with."""
        return self.folder / spec_name(self.rival)

    @property
    def flags(self) -> list[str]:
        """The overrides as arguments of a command."""
        return [f"--config.{key}={value}" for key, value in self.overrides]


def make_settings(
    prompt: str,
    *,
    machine: Machine,
    config: str = AUTO,
    guidance: str = AUTO,
    steps: int = 0,
    seed: int = 0,
    extra: str = "",
    root: str | Path = "runs/notebook",
) -> Settings:
    """Reads the form.

    Args:
      prompt: what to make.
      machine: chooses the config where that is "auto".
      config: a spec as `voxjax train --config` takes it, or "auto".
      guidance: a CLIP, or "auto" for the config's own.
      steps: 0 for the config's own number.
      seed: 0 or more.
      extra: any other keys, as on the command line: "--config.loss.tv=0.2 --config.field.side=64".
      root: folder of all folders.

    Returns:
      The settings, every value sound.

    Raises:
      CellError: anything that the commands would refuse.
    """
    with in_one_line():
        spec = machine.config if config == AUTO else config
        asked = {"clip.model": "" if guidance == AUTO else guidance, "steps": str(steps or "")}
        given = [(key, value) for key, value in asked.items() if value]
        given += [("seed", str(seed)), *take_overrides(_words(extra), flags=())]
        named = [("prompt", prompt)]
        mine = load(spec, [*named, *given])
        if "output.preview_every" not in dict(given):
            given.append(("output.preview_every", str(max(mine.steps // _PREVIEWS, _LEAST_STEPS))))
        rival = _rival(spec, mine.field.name)
        load(rival, [*named, *given])
    folder = Path(root) / f"{slug(prompt)}-{digits(repr((prompt, spec, given)))}"
    return Settings(prompt, spec, rival, tuple(given), folder)


def _words(extra: str) -> list[str]:
    """What a shell would make of the text."""
    try:
        return shlex.split(extra)
    except ValueError as error:
        raise UserError(f"{extra}: {error}; put both quotation marks") from error


def _rival(spec: str, field: str) -> str:
    """A config of about the same size with the other kind of field."""
    name = split_spec(spec)[0].stem
    own = name if name in ("demo", "figure6") else ""
    if field == "dream_fields":
        return f"{own}:vox_exp" if own else "vox_exp:low"
    return f"{own}:dream_fields" if own else "dream_fields:lq"
