"""Several configs on one prompt, side by side: `python -m voxjax.compare --config=A --config=B --prompt=P`.

Trains each config in a process of its own, one after another (so that one's memory, and one's crash, is not
another's), has a guiding and a held-out CLIP judge the objects, and writes `index.html` and `compare.json`.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
from ml_collections import ConfigDict

from voxjax.command import Parser, run_command
from voxjax.compare_page import page
from voxjax.comparison import Outcome, compare, summary, to_json
from voxjax.config import load, slug, take_overrides
from voxjax.config_file import expand, spec_name
from voxjax.ensemble import guide_specs, prompt_plan
from voxjax.errors import UserError
from voxjax.factory import make_plan, make_stage_field
from voxjax.files import write_text
from voxjax.guidance import load_guidance, names
from voxjax.run import refuse_other

PAGE, TABLE = "index.html", "compare.json"
FLAGS = ("--config", "--prompt", "--workdir", "--held-out")
# A judge that did not guide: the other small CLIP for the small one's runs, else the first free real one.
_JUDGES = {True: ("pocket-eval", "pocket"), False: ("ViT-B/32", "ViT-B/16", "ViT-L/14")}


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
        small = any(model in names.SHIPPED for model, _ in guides.values())
        guiding = {model for model, _ in guides.values()}
        held_out = next((name for name in _JUDGES[small] if name not in guiding), _JUDGES[small][0])
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


def start(module: str, arguments: Sequence[str], *, name: str) -> str:
    """Runs `python -m module` to its end, passing on what it says.

    Args:
      module: a command of this package.
      arguments: its arguments.
      name: put before each line.

    Returns:
      Empty if all went well, else its last words.
    """
    last = ""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            print(f"[{name}] {line.rstrip()}", file=sys.stderr, flush=True)
            last = line.strip() or last
    if process.returncode < 0:
        return f"killed by {signal.Signals(-process.returncode).name}; its last words: {last}"
    return (
        (last.removeprefix("voxjax: ") or f"exit status {process.returncode}") if process.returncode else ""
    )


def judge(entries: Sequence[Entry], judges: dict[str, str], prompt: str) -> tuple[dict[str, dict], str]:
    """Shows the finished runs to each CLIP.

    Args:
      entries: finished runs.
      judges: label -> what `--clip` takes.
      prompt: the caption.

    Returns:
      (label -> table of `voxjax.evaluate`, what went wrong or "").
    """
    tables: dict[str, dict] = {}
    complaints = ""
    with tempfile.TemporaryDirectory() as folder:
        captions = Path(folder) / "captions.txt"
        captions.write_text(" ".join(prompt.split()) + "\n", encoding="utf-8")
        runs = [f"--runs={glob.escape(os.fspath(entry.workdir))}" for entry in entries]
        for label, clip in judges.items() if entries else ():
            out = Path(folder) / "table.json"
            error = start(
                "voxjax.evaluate",
                [*runs, f"--prompts={captions}", f"--clip={clip}", f"--out={out}"],
                name=f"judge {label}",
            )
            if error:
                complaints = f"judging by {label} failed: {error}"
            else:
                tables[label] = json.loads(out.read_text())
    return tables, complaints


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right before the first run starts.
      SystemExit: 1 if a run or the judging failed; the page shows the rest.
    """
    parser = Parser(prog="python -m voxjax.compare", description="Train several configs on one prompt.")
    parser.add_argument(
        "--config",
        required=True,
        action="append",
        help="config file and variant; may be given again; FILE.py:all is every variant of a file",
    )
    parser.add_argument("--prompt", required=True, help="what all of them make")
    parser.add_argument("--workdir", help="folder of the comparison; default: runs/compare/<prompt>")
    parser.add_argument(
        "--held-out", default="", help="a CLIP that guides none of them; default: by the guides"
    )
    parser.epilog = "Any key can be set for all configs with --config.key=value; configs/base.py lists them."
    flags, rest = parser.parse_known_args(arguments)
    overrides = [*take_overrides(rest, flags=FLAGS), ("prompt", flags.prompt)]
    if any(key == "prompt" for key, _ in overrides[:-1]):
        raise UserError("--config.prompt: the prompt of all runs is given with --prompt")
    folder = Path(flags.workdir or Path("runs") / "compare" / slug(flags.prompt))
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--workdir={folder}: a file of this name exists; give another folder")
    # Checks run on the CPU: the accelerator's memory belongs to the runs.
    jax.config.update("jax_platforms", "cpu")
    entries = read_entries(flags.config, overrides, folder)
    judges, held_out = choose_judges(entries, flags.held_out, flags.prompt)

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--workdir={folder}: {error.strerror}; give another folder") from error
    settings = [f"--config.{key}={value}" for key, value in overrides]
    errors = {}
    for entry in entries:
        given = [f"--config={entry.spec}", f"--workdir={entry.workdir}", *settings]
        errors[entry.name] = start("voxjax.train", given, name=entry.name)
    finished = [entry for entry in entries if not errors[entry.name]]
    tables, complaint = judge(finished, judges, flags.prompt)
    outcomes = [Outcome(e.name, e.spec, e.config, e.workdir, errors[e.name]) for e in entries]
    result = compare(flags.prompt, outcomes, tables, held_out=held_out, complaint=complaint)
    write_text(folder / TABLE, to_json(result))
    write_text(folder / PAGE, page(result, folder))
    print(summary(result))
    print(folder / PAGE)
    if complaint or any(errors.values()):
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
