"""From the name of a CLIP to a folder with its files: shipped, local, or fetched from the hub.

A folder in the layout of transformers: `config.json`, weights (`convert.py` says which), a tokenizer
(`tokenizer.json`, or `vocab.json` and `merges.txt`), and where they exist `preprocessor_config.json` and
`vocabulary.json`.
"""

from __future__ import annotations

import re
from pathlib import Path

from voxjax.errors import UserError
from voxjax.guidance import convert

# Short names of the paper's models -> hub repositories.
HUB_NAMES = {
    "ViT-B/32": "openai/clip-vit-base-patch32",
    "ViT-B/16": "openai/clip-vit-base-patch16",
    "ViT-L/14": "openai/clip-vit-large-patch14",
}
# Models that ship with the package: folders of this name in `pocket/`.
SHIPPED = ("pocket", "pocket-eval")

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_PARTS = ("vocab.json", "merges.txt")
OPTIONAL = ("preprocessor_config.json", "vocabulary.json")

_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def locate(name: str, *, path: str | Path | None = None) -> Path:
    """Finds the folder of a model, fetching it from the hub if need be.

    Args:
      name: a shipped name, a short name, a folder, or a hub name `owner/repository`, also with a revision
        (`owner/repository@refs/pr/3`).
      path: folder to use in place of what the name would lead to.

    Returns:
      The folder, with every file that is needed.

    Raises:
      UserError: no such name or folder, files missing, or the hub out of reach.
    """
    if path:
        return _complete(Path(path).expanduser())
    if name in SHIPPED:
        return _complete(Path(__file__).parent / "pocket" / name)
    repository = HUB_NAMES.get(name, name)
    if repository == name and Path(name).expanduser().is_dir():
        return _complete(Path(name).expanduser())
    match = _HUB_NAME.fullmatch(repository)
    if match is None or name.startswith((".", "/", "~")):
        known = ", ".join((*SHIPPED, *HUB_NAMES))
        raise UserError(
            f"no CLIP called {name!r}: the known names are {known};"
            " a hub name (owner/repository) or the folder of a checkpoint will do as well"
        )
    return _complete(_fetch(name, match[1], match[2] or "main"))


def missing_files(files: set[str]) -> list[str]:
    """What a model folder with these file names still lacks, in words; empty if it is complete."""
    missing = [] if CONFIG in files else [CONFIG]
    if not files & {convert.SAFETENSORS, convert.SAFETENSORS_INDEX, convert.MSGPACK}:
        missing.append(f"{convert.SAFETENSORS} or {convert.MSGPACK}")
    if TOKENIZER not in files and not files >= set(TOKENIZER_PARTS):
        missing.append(f"{TOKENIZER} or {' and '.join(TOKENIZER_PARTS)}")
    return missing


def needed_files(files: set[str]) -> list[str]:
    """The files to fetch of all that a repository holds: one form of weights, one form of tokenizer."""
    wanted = [CONFIG, *OPTIONAL]
    if convert.SAFETENSORS in files:
        wanted.append(convert.SAFETENSORS)
    elif convert.SAFETENSORS_INDEX in files:
        parts = [name for name in files if re.fullmatch(r"model-\d+-of-\d+\.safetensors", name)]
        wanted += [convert.SAFETENSORS_INDEX, *parts]
    else:
        wanted.append(convert.MSGPACK)
    wanted += [TOKENIZER] if TOKENIZER in files else TOKENIZER_PARTS
    return sorted(set(wanted) & files)


def _complete(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"no folder {folder}")
    missing = missing_files({file.name for file in folder.iterdir()})
    if missing:
        raise UserError(f"{folder} is not a complete CLIP folder: it lacks {', '.join(missing)}")
    return folder


def _fetch(name: str, repository: str, revision: str) -> Path:
    """The repository's snapshot folder: from the cache when it is complete there, else downloaded."""
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # The cache comes first: weights do not change, and a run must restart without a network.
    try:
        cached = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        if not missing_files({file.name for file in cached.iterdir()}):
            return cached
    except LocalEntryNotFoundError:
        pass
    try:
        files = set(HfApi().list_repo_files(repository, revision=revision))
        missing = missing_files(files)
        if missing:
            raise UserError(
                f"{repository} (revision {revision}) lacks {', '.join(missing)};"
                " name another revision with owner/repository@revision"
            )
        return Path(snapshot_download(repository, revision=revision, allow_patterns=needed_files(files)))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{name} is not in the cache and the hub did not give it ({reason}): fetch {CONFIG},"
            f" {convert.SAFETENSORS} (or {convert.MSGPACK}) and {TOKENIZER} of {repository} where there is a"
            " network, put them in one folder and set --config.clip.path to it, or bring that machine's"
            f" cache along and set HF_HOME to it (now {constants.HF_HOME})"
        ) from error
