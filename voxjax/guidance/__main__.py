"""CLIPs by name: `python -m voxjax.guidance list`, `fetch NAME...`, `check NAME --image=FILE`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp

from voxjax.command import Parser, run_command, whole_number
from voxjax.errors import UserError
from voxjax.guidance import names

_HEADER = ("name", "image tower", "in all", "pixels", "embedding", "memory", "disk", "where")


def main(arguments: Sequence[str]) -> None:
    """The command.

    Args:
      arguments: what follows the program's name.

    Raises:
      UserError: for anything that the user can put right.
    """
    parser = Parser("guidance")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    text = "Show every model that has a name, its sizes, and whether it is here."
    commands.add_parser("list", description=text, help=text).set_defaults(run=_list)
    text = "Download models ahead of time and see that they are whole."
    fetch = commands.add_parser("fetch", description=text, help=text)
    fetch.add_argument("names", nargs="+", metavar="NAME", help="short name, or owner/repository of a hub")
    fetch.add_argument("--again", action="store_true", help="download even what the cache has")
    fetch.set_defaults(run=_fetch)
    text = "Show what a model says of a picture."
    check = commands.add_parser("check", description=text, help=text)
    check.add_argument("name", nargs="?", metavar="NAME", help="as --config.clip.model takes it")
    check.add_argument("--path", help="folder of a checkpoint to read in place of NAME")
    check.add_argument("--image", required=True, help="file of a picture")
    check.add_argument("--captions", help="file of captions to choose from, one a line")
    check.add_argument("--top", type=whole_number(1, 1000), default=5, help="captions to show")
    check.set_defaults(run=_check)
    flags = parser.parse_args(arguments)
    # A look at a model must not take most of a GPU that another process may be using.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    flags.run(flags)


def _list(flags: argparse.Namespace) -> None:
    from voxjax.guidance import catalogue

    dtype = jnp.dtype("float32" if jax.default_backend() == "cpu" else "bfloat16")
    rows = [_HEADER]
    for entry in catalogue.entries(dtype):
        here = entry.place in ("shipped", "in the cache")
        rows.append(
            (
                entry.name,
                f"{entry.image_parameters / 1e6:.1f} M",
                f"{entry.parameters / 1e6:.1f} M",
                str(entry.image_size),
                str(entry.embedding_size),
                f"{entry.memory_bytes / 1e6:.0f} MB",
                f"{'' if here else '~'}{entry.disk_bytes / 1e6:.0f} MB",
                entry.place,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers, place in rows:
        middle = "  ".join(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=False))
        print(f"{name.ljust(widths[0])}  {middle}  {place}")
    print(f"\nmemory: of the image tower in {dtype.name}. disk: of the weights, ~ as float32.")
    print(f"cache: {_cache()}")


def _cache() -> str:
    from huggingface_hub import constants

    return constants.HF_HUB_CACHE


def _fetch(flags: argparse.Namespace) -> None:
    # All names first: a wrong one should not wait for the download of the one before it.
    found = {name: names.find(name) for name in flags.names}
    for name, (folder, missing) in found.items():
        complete = folder is not None and not missing and not flags.again
        folder = names.locate(name, again=flags.again)
        n_tensors = _verify(folder)
        done = "already complete" if complete or name in names.SHIPPED else "fetched"
        print(f"{name}: {done}, all {n_tensors} parameter arrays are there: {folder}")


def _verify(folder: Path) -> int:
    """Reads a model as training will; returns how many arrays of parameters it has."""
    from voxjax.guidance import hf, loading

    try:
        hf.read_tokenizer(folder)
        return len(loading.read_weights(loading.describe(folder, jnp.float32)))
    except UserError as error:
        raise UserError(f"{error} (if it came from the hub: fetch --again)") from error


def _check(flags: argparse.Namespace) -> None:
    if not (flags.name or flags.path):
        raise UserError("check needs a NAME, or the folder of a checkpoint as --path; `list` shows the names")
    from voxjax.guidance import check

    captions = check.read_captions(flags.captions) if flags.captions else ()
    name = flags.name or flags.path
    folder = names.locate(name, path=flags.path)
    ranking = check.rank(name, folder, flags.image, captions)
    print(
        f"{name} on {flags.image}, seen at {ranking.image_size} px;"
        f" share: softmax of {ranking.scale:.1f} x cosine over {len(ranking.captions)} captions"
    )
    print("  share  cosine  caption")
    top = list(zip(ranking.shares, ranking.cosines, ranking.captions, strict=True))[: flags.top]
    for share, cosine, caption in top:
        print(f"{share:7.1%}  {cosine:6.3f}  {caption}")


if __name__ == "__main__":
    run_command(main)
