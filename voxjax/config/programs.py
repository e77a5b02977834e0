"""A config file as a program: run with the configs that ship in reach, its every error one line."""

from __future__ import annotations

import importlib.util
import inspect
import linecache
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict

from voxjax.config.naming import shipped_folder, shipped_names, split_spec
from voxjax.errors import UserError


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
    """Returns the configs that `spec` stands for: `NAME:all` is every name in the file's `VARIANTS`.

    Raises:
      UserError: the file cannot be run, or lists no variants.
    """
    path, variant = split_spec(spec)
    if variant != "all":
        return [spec]
    with _opened(path, variant) as module:
        variants = getattr(module, "VARIANTS", ())
    if not variants:
        raise UserError(f"--config={spec}: the file lists no VARIANTS; name each variant of its own")
    return [f"{spec.removesuffix(':all')}:{name}" for name in variants]


def listed_names(path: Path) -> tuple[str, ...]:
    """Returns the variants that a config file lists, in its `VARIANTS` or, sizes of one thing, its `NAMES`.

    Raises:
      UserError: the file cannot be run.
    """
    with _opened(path, None) as module:
        return tuple(getattr(module, "VARIANTS", ()) or getattr(module, "NAMES", ()))


@contextmanager
def _opened(path: Path, variant: str | None) -> Iterator[ModuleType]:
    """The module of a config file; what it raises here and in the block becomes a `UserError`."""
    if not path.is_file():
        names = ", ".join(shipped_names())
        raise UserError(f"--config={path}: no such file; those that ship go by name: {names}")
    try:
        with _configs_in_reach(path):
            module_spec = importlib.util.spec_from_file_location(f"_voxjax_config_{path.stem}", path)
            assert module_spec is not None and module_spec.loader is not None
            module = importlib.util.module_from_spec(module_spec)
            module_spec.loader.exec_module(module)
            yield module
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(_in_one_line(error, path, variant)) from error


@contextmanager
def _configs_in_reach(path: Path) -> Iterator[None]:
    """Makes `from configs import base` work wherever the file lies, and its neighbours importable.

    `configs` is the file's own folder first, then the one that ships.
    """
    before = {name: module for name, module in sys.modules.items() if _is_config(name)}
    for name in before:
        del sys.modules[name]
    package = ModuleType("configs")
    package.__path__ = [str(path.resolve().parent), str(shipped_folder())]
    sys.modules["configs"] = package
    root = str(path.resolve().parent.parent)
    sys.path.insert(0, root)
    try:
        yield
    finally:
        sys.path.remove(root)
        for name in [name for name in sys.modules if _is_config(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_config(name: str) -> bool:
    return name == "configs" or name.startswith("configs.")


def _in_one_line(error: BaseException, path: Path, variant: str | None) -> str:
    """Which file, which error, at which of its lines."""
    spec = f"--config={path}{':' + variant if variant else ''}"
    words = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{spec}: line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    line = own[-1].lineno if own else None
    # A config refuses a variant with a ValueError that it, or one it builds on, raises: its words say it all.
    last = frames[-1]
    is_config = Path(last.filename).resolve().parent in (path.resolve().parent, shipped_folder())
    raised = linecache.getline(last.filename, last.lineno or 0).strip().startswith("raise ")
    if isinstance(error, ValueError) and is_config and raised:
        return f"{spec}: {words}"
    where = f"line {line}: " if line else ""
    return f"{spec}: {where}{type(error).__name__}{': ' + words if words else ''}"
