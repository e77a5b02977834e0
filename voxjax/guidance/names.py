"""From the name of a CLIP to a folder with its files: shipped, local, or fetched from the hub.

A folder has one of two layouts. That of transformers: `config.json`, weights (`convert.py` says which), and
where it exists `preprocessor_config.json`. That of open_clip: `open_clip_config.json` and
`open_clip_model.safetensors`. With either goes a tokenizer (`tokenizer.json`, or `vocab.json` and
`merges.txt`), and where it exists `vocabulary.json`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from voxjax.errors import UserError
from voxjax.guidance import convert

# Short names of the paper's models -> hub repositories.
HUB_NAMES = {
    "ViT-B/32": "openai/clip-vit-base-patch32",
    "ViT-B/16": "openai/clip-vit-base-patch16",
    "ViT-L/14": "openai/clip-vit-large-patch14",
    # OpenAI's own repository of this one has its weights as a pickle only.
    "ViT-L/14@336px": "timm/vit_large_patch14_clip_336.openai",
    "RN50": "timm/resnet50_clip.openai",
    "RN101": "timm/resnet101_clip.openai",
    "RN50x4": "timm/resnet50x4_clip.openai",
    "RN50x16": "timm/resnet50x16_clip.openai",
    "ViT-B-32:laion2b": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
    "ViT-B-16:laion2b": "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
    "ViT-L-14:laion2b": "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
    # After 31 of 32 epochs: what open_clip fetches for the 32nd, too.
    "ViT-B-16-plus-240:laion400m": "timm/vit_base_patch16_plus_clip_240.laion400m_e31",
}
# Models that ship with the package, and the folder of the code that trained them, where each lies under its
# name. Another pair becomes known by its lines here.
SHIPPED = {
    "pocket": "pocket",
    "pocket-eval": "pocket",
    "picturebook": "picturebook",
    "picturebook-eval": "picturebook",
}

CONFIG = "config.json"
OPEN_CLIP_CONFIG = "open_clip_config.json"
TOKENIZER = "tokenizer.json"
TOKENIZER_PARTS = ("vocab.json", "merges.txt")
OPTIONAL = ("preprocessor_config.json", "vocabulary.json")

_TIMEOUT_S = 20.0
_HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def locate(name: str, *, path: str | Path | None = None, again: bool = False) -> Path:
    """Finds the folder of a model, fetching it from the hub if need be.

    Args:
      name: a shipped name, a short name, a folder, or a hub name `owner/repository`, also with a revision
        (`owner/repository@refs/pr/3`).
      path: folder to use in place of what the name would lead to.
      again: fetch what comes from the hub even if the cache has it.

    Returns:
      The folder, with every file that is needed.

    Raises:
      UserError: no such name or folder, files missing, or the hub out of reach.
    """
    place = Path(os.path.expanduser(path)) if path else _place(name)
    if isinstance(place, Path):
        return _complete(place)
    cached = None if again else _cached(*place)
    if cached is not None and not missing_files(files_of(cached)):
        return cached
    return _complete(_fetch(name, *place, again=again))


def find(name: str) -> tuple[Path | None, list[str]]:
    """What this machine has of a model, without a network.

    Args:
      name: as `locate` takes it.

    Returns:
      Its folder, None if there is nothing; and the files that it still lacks, in words.

    Raises:
      UserError: no such name.
    """
    place = _place(name)
    folder = place if isinstance(place, Path) else _cached(*place)
    return folder, missing_files(files_of(folder) if folder else set())


def is_here(name: str) -> bool:
    """Whether all files of a model are on this machine."""
    folder, missing = find(name)
    return folder is not None and not missing


def hub_has(name: str, seconds: float) -> bool:
    """Whether the hub answers, within about so many seconds, that it has a model; nothing is fetched."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    place = _place(name)
    if isinstance(place, Path):
        return False
    repository, revision = place
    try:
        HfApi().model_info(repository, revision=revision, timeout=seconds)
    except (OSError, HfHubHTTPError):
        return False
    return True


def _place(name: str) -> Path | tuple[str, str]:
    """The folder that a name stands for, or repository and revision on the hub."""
    if name in SHIPPED:
        return Path(__file__).parents[1] / SHIPPED[name] / name
    repository = HUB_NAMES.get(name, name)
    folder = Path(os.path.expanduser(name))
    if repository == name and name and folder.is_dir():
        return folder
    match = _HUB_NAME.fullmatch(repository)
    if match is None or name.startswith((".", "/", "~")):
        known = ", ".join((*SHIPPED, *HUB_NAMES))
        raise UserError(
            f"no CLIP called {name!r}: the known names are {known};"
            " a hub name (owner/repository) or the folder of a checkpoint will do as well"
        )
    return match[1], match[2] or "main"


def files_of(folder: Path) -> set[str]:
    """Names of the files in a folder; links to nothing, as a cache that was cut short has, do not count."""
    return {file.name for file in folder.iterdir() if file.exists()}


def is_open_clip(files: set[str]) -> bool:
    """Whether a folder with these file names is read in the layout of open_clip.

    Where it could be either, it is: a `config.json` beside the files of open_clip may be that of an image
    classifier, its `model.safetensors` an image tower alone.
    """
    return OPEN_CLIP_CONFIG in files and (convert.OPEN_CLIP_SAFETENSORS in files or CONFIG not in files)


def missing_files(files: set[str]) -> list[str]:
    """What a model folder with these file names still lacks, in words; empty if it is complete."""
    missing = []
    if is_open_clip(files):
        if convert.OPEN_CLIP_SAFETENSORS not in files:
            missing.append(convert.OPEN_CLIP_SAFETENSORS)
    else:
        missing = _missing_of_transformers(files)
    if TOKENIZER not in files and not files >= set(TOKENIZER_PARTS):
        missing.append(f"{TOKENIZER} or {' and '.join(TOKENIZER_PARTS)}")
    return missing


def _missing_of_transformers(files: set[str]) -> list[str]:
    missing = [] if CONFIG in files else [CONFIG]
    if not files & {convert.SAFETENSORS, convert.SAFETENSORS_INDEX, convert.MSGPACK}:
        missing.append(f"{convert.SAFETENSORS} or {convert.MSGPACK}")
    return missing


def needed_files(files: set[str]) -> list[str]:
    """What to fetch of all that a repository holds: one tokenizer, one form of weights.

    Returns:
      File names; the last one is what `missing_files` looks for, so that a download that was cut off
      before it does not pass for a whole one.
    """
    config = OPEN_CLIP_CONFIG if is_open_clip(files) else CONFIG
    small = [config, *OPTIONAL, *([TOKENIZER] if TOKENIZER in files else TOKENIZER_PARTS)]
    return [name for name in (*small, *weight_files(files)) if name in files]


def weight_files(files: set[str]) -> list[str]:
    """The one form of weights that is read of a folder with these file names."""
    parts = sorted(name for name in files if re.fullmatch(r"model-\d+-of-\d+\.safetensors", name))
    if is_open_clip(files):
        return [convert.OPEN_CLIP_SAFETENSORS]
    if convert.SAFETENSORS in files:
        return [convert.SAFETENSORS]
    return [*parts, convert.SAFETENSORS_INDEX] if convert.SAFETENSORS_INDEX in files else [convert.MSGPACK]


def _complete(folder: Path) -> Path:
    if not folder.is_dir():
        raise UserError(f"no folder {folder}; clip.path, clip2.path and --path take that of a checkpoint")
    missing = missing_files(files_of(folder))
    if missing:
        raise UserError(f"{folder} is not a complete CLIP folder: it lacks {', '.join(missing)}")
    return folder


def _cached(repository: str, revision: str) -> Path | None:
    """The repository's snapshot folder in the cache, whole or not; None without one."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    # The cache comes first: weights do not change, and a run must restart without a network.
    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    except HFValidationError as error:
        raise UserError(f"{repository!r} cannot be the name of a hub repository") from error


def _fetch(name: str, repository: str, revision: str, *, again: bool) -> Path:
    """Downloads what is needed of a repository; returns its snapshot folder."""
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        siblings = HfApi().model_info(repository, revision=revision, timeout=_TIMEOUT_S).siblings
        held = {file.rfilename for file in siblings or ()}
        missing = missing_files(held)
        if missing:
            raise UserError(
                f"{repository} (revision {revision}) lacks {', '.join(missing)};"
                " name another revision with owner/repository@revision"
            )
        *first, last = needed_files(held)
        snapshot_download(repository, revision=revision, allow_patterns=first, force_download=again)
        return Path(hf_hub_download(repository, last, revision=revision, force_download=again)).parent
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError) as error:
        unknown = "" if name in HUB_NAMES else f" Names known without a hub: {', '.join(SHIPPED)}."
        files = f"{CONFIG}, {convert.SAFETENSORS} (or {convert.MSGPACK})"
        if repository.startswith("timm/"):  # its CLIPs are in the layout of open_clip
            files = f"{OPEN_CLIP_CONFIG}, {convert.OPEN_CLIP_SAFETENSORS}"
        raise UserError(
            f"{name} is not in the cache and the hub did not give it ({_reason(error)}): fetch"
            f" {files} and {TOKENIZER} of {repository} where there is a"
            " network, put them in one folder and set --config.clip.path to it, or bring that machine's"
            f" cache along and set HF_HOME to it (now {constants.HF_HOME}).{unknown}"
        ) from error


def _reason(error: Exception) -> str:
    """Why the hub gave nothing, in a few words; its own messages run over several lines."""
    from huggingface_hub import constants, errors
    from requests import ConnectionError, Timeout

    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    if isinstance(error, errors.RepositoryNotFoundError | errors.RevisionNotFoundError):
        return "it has no such public repository or revision"
    if isinstance(error, ConnectionError | Timeout):
        return f"no connection to {constants.ENDPOINT}"
    return (str(error).strip() or type(error).__name__).splitlines()[0]
