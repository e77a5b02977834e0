"""What a config is called on the command line, and the folder that a run of it goes to.

A spec is `NAME`, a config that ships with voxjax, or the path of a Python file; either may be followed by
`:variant`.
"""

from __future__ import annotations

import re
from pathlib import Path

from voxjax.errors import UserError


def shipped_folder() -> Path:
    """Folder of the configs that ship: beside the package in a checkout, inside it once installed."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def shipped_names() -> list[str]:
    """Names of the configs that ship and can be trained, sorted."""
    return sorted(p.stem for p in shipped_folder().glob("*.py") if p.stem not in ("__init__", "base"))


def split_spec(spec: str) -> tuple[Path, str | None]:
    """Splits a spec into the config's file and the variant; the variant is None when the colon is absent.

    Raises:
      UserError: it is neither the path of a Python file nor the name of a config that ships.
    """
    path = re.fullmatch(r"(.*\.py)(?::(.*))?", spec)
    if path:
        return Path(path[1]), path[2]
    name, colon, variant = spec.partition(":")
    file = shipped_folder() / f"{name}.py"
    if not re.fullmatch(r"[\w-]+", name) or not file.is_file():
        raise UserError(
            f"--config={spec}: no config of this name; those that ship are {', '.join(shipped_names())}, "
            "such as vox_exp:low; a file of your own is given by its path, which ends in .py"
        )
    return file, variant if colon else None


def spec_name(spec: str) -> str:
    """Returns `<config>[-variant]`, a folder name."""
    path, variant = split_spec(spec)
    return path.stem + (f"-{variant}" if variant else "")


def slug(prompt: str) -> str:
    """Returns `prompt` as a folder name: lower case, dashes, at most 60 characters."""
    return re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60].strip("-") or "unnamed"


def default_workdir(spec: str, prompt: str) -> Path:
    """Returns `runs/<config>[-variant]/<prompt>`, where a run goes when --workdir is left away."""
    return Path("runs") / spec_name(spec) / slug(prompt)
