"""Only its own page may drive the viewer: a WebSocket that another page opens is refused.

Browsers let every page open a WebSocket to any address, this machine's own ones too, and tell in `Origin`
whose page it is. Pages cannot change that header, nor set `Host` and `X-Forwarded-Host`.
"""

from __future__ import annotations

import http
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}


@contextmanager
def own_pages_only() -> Iterator[None]:
    """Makes a server of viser's that is made in the block refuse, by 403, WebSockets of other pages.

    Programs, which send no `Origin`, are served.
    """
    # viser takes neither origins nor a check of ours for the server that it makes, but looks this function up
    # by its full name.
    before: Any = websockets.asyncio.server.serve

    def serve(*arguments: Any, process_request: Any = None, **options: Any) -> Any:
        return before(*arguments, process_request=_guarded(process_request), **options)

    websockets.asyncio.server.serve = serve  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        websockets.asyncio.server.serve = before  # type: ignore[misc]


def _guarded(answer: Callable[..., Any] | None) -> Callable[..., Any]:
    """The check in front of a server's own answer to a request."""

    def check(connection: ServerConnection, request: Request) -> Any:
        if "Upgrade" in request.headers and (origin := foreign_origin(request.headers)) is not None:
            text = (
                f"The viewer is driven by its own page only; Origin {origin} is not its Host. A proxy in "
                "between must pass Host on, or set X-Forwarded-Host.\n"
            )
            return connection.respond(http.HTTPStatus.FORBIDDEN, text)
        return None if answer is None else answer(connection, request)

    return check


def foreign_origin(headers: Headers) -> str | None:
    """Returns the origin of a request that is of another address than the server's, None if there is none.

    Args:
      headers: of the request. Its `Host`, or a proxy's `X-Forwarded-Host`, is the server's address; a port
        that is left away is the one of the origin's scheme.
    """
    for origin in headers.get_all("Origin"):
        scheme = origin.partition("://")[0].lower()
        named = [*headers.get_all("Host"), *headers.get_all("X-Forwarded-Host")]
        own = [_address(f"//{each.strip()}", scheme) for names in named for each in names.split(",")]
        address = _address(origin, scheme)
        if address is None or address not in own:
            return origin
    return None


def _address(url: str, scheme: str) -> tuple[str, int | None] | None:
    """(host, port) of an address; None where it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None
