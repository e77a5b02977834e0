"""A config file as a program: `path.py:variant`, run with both its own folder and this package's in reach."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict

from voxjax.errors import UserError


def split_spec(spec: str) -> tuple[Path, str | None]:
    """Splits `path.py:variant`; the variant is None when the colon is absent."""
    match = re.fullmatch(r"(.*\.py)(?::(.*))?", spec)
    if not match:
        raise UserError(f"--config={spec}: not a config file; write a path such as configs/vox_exp.py:low")
    return Path(match[1]), match[2]


def spec_name(spec: str) -> str:
    """Returns `<config>[-variant]`, a folder name."""
    path, variant = split_spec(spec)
    return path.stem + (f"-{variant}" if variant else "")


def run_file(path: Path, variant: str | None) -> ConfigDict:
    """Returns what the file's `get_config` makes of a variant; None for its default.

    Raises:
      UserError: no such file or variant, or the program fails.
    """
    with _opened(path, variant) as module:
        if not callable(getattr(module, "get_config", None)):
            raise UserError(f"--config={path}: the file has no get_config function; see configs/base.py")
        if variant is not None and not inspect.signature(module.get_config).parameters:
            raise UserError(f"--config={path}:{variant}: this config has no variants; leave :{variant} away")
        config = module.get_config() if variant is None else module.get_config(variant)
    if not isinstance(config, ConfigDict):
        raise UserError(f"--config={path}: get_config must return a ConfigDict, not {type(config).__name__}")
    return config


def expand(spec: str) -> list[str]:
    """Returns the configs that `spec` stands for: `path.py:all` is every name in the file's `VARIANTS`.

    Raises:
      UserError: the file cannot be run, or lists no variants.
    """
    path, variant = split_spec(spec)
    if variant != "all":
        return [spec]
    with _opened(path, variant) as module:
        names = getattr(module, "VARIANTS", ())
    if not names:
        raise UserError(f"--config={spec}: the file lists no VARIANTS; name each variant of its own")
    return [f"{path}:{name}" for name in names]


@contextmanager
def _opened(path: Path, variant: str | None) -> Iterator[ModuleType]:
    """The module of a config file; what it raises here and in the block becomes a `UserError`."""
    if not path.is_file():
        raise UserError(
            f"--config={path}: no such file; those that ship are {', '.join(_shipped()) or 'none'}"
        )
    # `from configs import base` has to work from any folder, so both roots join the search path meanwhile.
    roots = [str(path.resolve().parent.parent), str(Path(__file__).resolve().parent.parent)]
    sys.path[:0] = roots
    try:
        module_spec = importlib.util.spec_from_file_location(f"_voxjax_config_{path.stem}", path)
        assert module_spec is not None and module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        module_spec.loader.exec_module(module)
        yield module
    except ValueError as error:
        raise UserError(f"--config={path}{':' + variant if variant else ''}: {error}") from error
    except (ImportError, SyntaxError, AttributeError, KeyError, TypeError) as error:
        raise UserError(f"--config={path}: cannot run it: {' '.join(str(error).split())}") from error
    finally:
        for root in roots:
            sys.path.remove(root)


def _shipped() -> list[str]:
    folder = Path(__file__).resolve().parent.parent / "configs"
    return sorted(f"configs/{p.name}" for p in folder.glob("*.py") if p.stem not in ("__init__", "base"))
