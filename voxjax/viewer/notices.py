"""What the page tells: short notices, and errors of what a button did."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from voxjax.errors import UserError


def say(client: Any, title: str, body: str = "", *, error: bool = False) -> None:
    """Shows a notice; one about an error stays until it is closed.

    Args:
      client: viser's handle of the browser.
      title: in bold.
      body: below.
      error: whether something went wrong.
    """
    client.add_notification(
        title, body, color="red" if error else "teal", auto_close_seconds=None if error else 6.0
    )


@contextmanager
def telling(client: Any, doing: str) -> Iterator[None]:
    """Shows in the page what went wrong inside, and lets it go no further.

    Args:
      client: viser's handle of the browser.
      doing: "Saving the picture failed".
    """
    try:
        yield
    except UserError as error:
        say(client, doing, str(error), error=True)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        say(client, doing, f"{type(error).__name__}: {error}", error=True)


def relabel(button: Any, label: str, *, disabled: bool = False) -> None:
    """Changes a button of viser's, unless its page is gone meanwhile."""
    with suppress(RuntimeError):
        button.label, button.disabled = label, disabled


class Busy:
    """A notice that stays while something long runs.

    Args:
      client: viser's handle of the browser.
      title: what runs.
    """

    def __init__(self, client: Any, title: str):
        self._notice = client.add_notification(title, "", loading=True, with_close_button=False)

    def __enter__(self) -> Busy:
        return self

    def __exit__(self, *_: object) -> None:
        self._notice.remove()

    def tell(self, body: str) -> None:
        """Says how far it is."""
        self._notice.body = body
