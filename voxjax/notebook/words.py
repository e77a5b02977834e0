"""What a cell says when it cannot go on: one line, where Python would print a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from voxjax.errors import UserError


class CellError(UserError):
    """An error that ends a cell, and with it "run all", with its message alone."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of the traceback; `%tb` asks here, too."""
        return [f"voxjax: {self}"]


@contextmanager
def in_one_line() -> Iterator[None]:
    """Lets a `UserError` of the block through as a `CellError`."""
    try:
        yield
    except UserError as error:
        raise CellError(str(error)) from error
