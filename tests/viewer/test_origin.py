"""Who may drive the viewer: its own page and programs, not the other pages of a browser."""

import asyncio
import urllib.request

import pytest
import websockets
from websockets.datastructures import Headers

from voxjax.viewer.house import House
from voxjax.viewer.origin import foreign_origin, own_pages_only
from voxjax.viewer.server import serving


@pytest.mark.parametrize(
    ("origin", "host", "forwarded", "own"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", None, True),
        ("http://GPU:8080", "gpu:8080", None, True),
        ("http://[::1]:8080", "[::1]:8080", None, True),
        ("http://gpu", "gpu:80", None, True),
        ("https://gpu", "gpu:443", None, True),
        ("https://gpu:443", "gpu", None, True),
        ("https://gpu.example", "127.0.0.1:8080", "gpu.example", True),
        ("https://gpu.example", "127.0.0.1:8080", "gpu.example, inner:80", True),
        (None, "127.0.0.1:8080", None, True),
        ("https://evil.example", "127.0.0.1:8080", None, False),
        ("http://127.0.0.1:8888", "127.0.0.1:8080", None, False),
        ("http://localhost:8080", "127.0.0.1:8080", None, False),
        ("https://gpu", "gpu:80", None, False),
        ("https://evil.example", "127.0.0.1:8080", "gpu.example", False),
        ("null", "127.0.0.1:8080", None, False),
        ("http://127.0.0.1:port", "127.0.0.1:8080", None, False),
        ("http://127.0.0.1:8080", None, None, False),
    ],
)
def test_origins(origin, host, forwarded, own):
    named = {"Origin": origin, "Host": host, "X-Forwarded-Host": forwarded}
    headers = Headers({name: value for name, value in named.items() if value is not None})
    assert foreign_origin(headers) == (None if own else origin)


def test_a_page_of_another_address_cannot_drive_the_viewer(tmp_path):
    async def refusal(address, origin):
        """What a browser's page of this origin, or a program, gets; empty if it is let in."""
        try:
            async with websockets.connect(address, origin=origin, subprotocols=["viser-v0"], proxy=None):
                return ""
        except websockets.InvalidStatus as error:
            return f"{error.response.status_code} {error.response.body.decode()}"

    before = websockets.asyncio.server.serve
    with serving(House([], tmp_path, full_px=64), host="127.0.0.1", port=0) as address:
        assert websockets.asyncio.server.serve is before
        socket = address.replace("http:", "ws:")
        assert asyncio.run(refusal(socket, address)) == asyncio.run(refusal(socket, None)) == ""
        words = asyncio.run(refusal(socket, "https://evil.example"))
        assert words.startswith("403 ") and "Origin https://evil.example is not its Host" in words
        # The page itself anybody may look at.
        request = urllib.request.Request(address, headers={"Origin": "https://evil.example"})
        with urllib.request.urlopen(request, timeout=30) as page:
            assert page.status == 200


@pytest.mark.parametrize("kind", ["none", "plain", "async"])
def test_the_own_answer_of_a_server_stays(kind):
    def plain(connection, request):
        return connection.respond(418, "as always") if request.path == "/pot" else None

    async def later(connection, request):
        return plain(connection, request)

    async def status(path):
        with own_pages_only():
            making = websockets.asyncio.server.serve(
                lambda connection: connection.wait_closed(),
                "127.0.0.1",
                0,
                process_request={"none": None, "plain": plain, "async": later}[kind],
            )
        async with making as server:
            port = server.sockets[0].getsockname()[1]
            try:
                async with websockets.connect(f"ws://127.0.0.1:{port}{path}", proxy=None):
                    return 101
            except websockets.InvalidStatus as error:
                return error.response.status_code

    assert asyncio.run(status("/")) == 101
    assert asyncio.run(status("/pot")) == (101 if kind == "none" else 418)
