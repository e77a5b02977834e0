"""What a config is called on the command line, and the folder that a run of it goes to.

A spec is `NAME`, a config that ships with voxjax, or the path of a Python file; either may be followed by
`:variant`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
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
    """Returns `prompt` as a folder name: letters and digits of any script in lower case, dashes between them.

    It has at most 60 characters, and at most 180 bytes of UTF-8, as a file name ends at 255 of them. Prompts
    that differ in more than this have one name.
    """
    plain = unicodedata.normalize("NFKC", prompt).lower()
    # Marks too: vowels are marks on their consonants in many scripts.
    words = "".join(each if unicodedata.category(each)[0] in "LMN" else " " for each in plain).split()
    name = "-".join(words)[:60]
    return name.encode()[:180].decode(errors="ignore").strip("-") or "unnamed"


def digits(text: str) -> str:
    """Returns six digits of a text's SHA-256, which tell folders of one slug apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def default_workdir(spec: str, prompt: str) -> Path:
    """Returns `runs/<config>[-variant]/<prompt>`, where a run goes when --workdir is left away."""
    return Path("runs") / spec_name(spec) / slug(prompt)
