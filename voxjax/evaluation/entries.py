"""The runs of a comparison before they start: every config, folder and judge is looked at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from voxjax.config.loading import load
from voxjax.config.naming import spec_name
from voxjax.config.programs import expand
from voxjax.errors import UserError
from voxjax.factory import make_plan, make_stage_field
from voxjax.guidance import load_guidance, names, shipped
from voxjax.guidance.ensemble import guide_specs, prompt_plan
from voxjax.run import refuse_other

# Judges of what the small CLIPs did not guide, the first that did not guide it; the former have their own.
_JUDGES = ("ViT-B/32", "ViT-B/16", "ViT-L/14")


@dataclass(frozen=True)
class Entry:
    """One run to be.

    Attributes:
      name: of its folder, `<config>-<variant>`.
      spec: the config as typed.
      config: loaded, with all overrides.
      workdir: its folder.
    """

    name: str
    spec: str
    config: ConfigDict
    workdir: Path

    @property
    def guides(self) -> list[tuple[str, str]]:
        """(name, path) of each CLIP that guides it."""
        return [(spec.model, spec.path) for spec in guide_specs(self.config)]


def read_entries(specs: Sequence[str], overrides: Sequence[tuple[str, str]], folder: Path) -> list[Entry]:
    """Loads every config and looks whether its folder is free for it.

    Args:
      specs: configs, `path.py:all` for all variants of a file.
      overrides: pairs of key and value that all of them get.
      folder: of the comparison.

    Raises:
      UserError: a config that cannot be trained, or a folder that holds something else.
    """
    entries: list[Entry] = []
    for spec in (each for given in specs for each in expand(given)):
        name = spec_name(spec)
        twin = next((entry.spec for entry in entries if entry.name == name), None)
        if twin is not None:
            raise UserError(f"--config={spec}: {twin} has the same folder, {name}; rename one of the files")
        entry = Entry(name, spec, load(spec, overrides), folder / name)
        plan = make_plan(entry.config)
        make_stage_field(entry.config, plan, plan.stage_at(0))
        refuse_other(entry.workdir, entry.config)
        entries.append(entry)
    return entries


def choose_judges(entries: Sequence[Entry], held_out: str, prompt: str) -> tuple[dict[str, str], str]:
    """The CLIPs that judge; each is loaded once and reads the prompt, so that no run starts in vain.

    Args:
      entries: the runs.
      held_out: name of the CLIP that did not guide; "" to choose one.
      prompt: what all runs make.

    Returns:
      (label -> what `voxjax.evaluate --clip` takes, guides first and the held-out one last; its label).

    Raises:
      UserError: a model cannot be loaded or read the prompt, or the held-out one guides a run.
    """
    guides, read = {}, set()
    for entry in entries:
        texts = (prompt, *prompt_plan(entry.config).texts, *entry.config.clip.negatives)
        for model, path in entry.guides:
            folder = names.locate(model, path=path or None).resolve()
            guides[folder] = (model, path)
            if (folder, texts) not in read:
                load_guidance(model, prompts=texts, path=path or None)
                read.add((folder, texts))
    if not held_out:
        guiding = {model for model, _ in guides.values()}
        small = [name for name in names.SHIPPED if name in guiding]
        known = shipped.held_out_of(guiding) if small else _JUDGES
        held_out = next((name for name in known if name not in guiding), (small or _JUDGES)[0])
    try:
        if names.locate(held_out).resolve() in guides:
            raise UserError(
                "it guides one of the runs, and a guide is pleased with its own work; name another"
            )
        load_guidance(held_out, prompts=prompt)
    except UserError as error:
        raise UserError(f"--held-out={held_out}: {error}") from error
    # Two paths under one name would share a label; the folder tells them apart.
    labels = [model for model, _ in guides.values()]
    judges = {}
    for folder, (model, path) in guides.items():
        judges[model if labels.count(model) == 1 else f"{model} ({folder})"] = path or model
    return {**judges, held_out: held_out}, held_out
