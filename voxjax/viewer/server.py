"""The web server: one address, one page for each browser that comes."""

from __future__ import annotations

import contextlib
import io
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import viser

from voxjax.errors import UserError
from voxjax.viewer.camera import FOV, front_position
from voxjax.viewer.house import House
from voxjax.viewer.origin import own_pages_only
from voxjax.viewer.session import Session

_BRAND = (24, 92, 104)
# What ends the viewer, and with it what it started: also a closed terminal, for which Windows has no signal.
_ENDS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def serving(house: House, *, host: str, port: int) -> Iterator[str]:
    """Answers browsers inside the block, and stops everything it started behind it.

    Args:
      house: what is shown.
      host: address to listen on.
      port: to listen on; 0 for any free one.

    Yields:
      The address of the page.

    Raises:
      UserError: host or port cannot be had.
    """
    refuse_taken(host, port)
    # A page may be closed at any moment; whatever is on its way to it is then lost, and that is all.
    warnings.filterwarnings("ignore", "Queued a .* on a closed connection", UserWarning)
    # viser prints a box of its own, and goes to another port where ours is taken.
    with contextlib.redirect_stdout(io.StringIO()), own_pages_only():
        server = viser.ViserServer(host=host, port=port, label="voxjax", verbose=False)
    try:
        if port and server.get_port() != port:
            raise UserError(f"--port={port}: already in use; give another one")
        _furnish(server)

        @server.on_client_connect
        def come(client: viser.ClientHandle) -> None:
            session = house.sessions[client.client_id] = Session(client, house)
            session.start()

        @server.on_client_disconnect
        def go(client: viser.ClientHandle) -> None:
            session = house.sessions.pop(client.client_id, None)
            if session is not None:
                session.close()
                house.let_go(session.feeds)

        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{server.get_port()}"
    finally:
        try:
            for session in list(house.sessions.values()):
                session.close()
            with contextlib.redirect_stdout(io.StringIO()):
                server.stop()
        finally:
            stopped = house.close()
        with contextlib.suppress(OSError):  # a terminal that was closed
            for workdir in stopped:
                words = f"stopped training {workdir}; it goes on from its last checkpoint"
                print(f"voxjax: {words}", file=sys.stderr)


def serve(house: House, *, host: str, port: int) -> None:
    """Answers browsers until Ctrl-C, or until the terminal is closed.

    Args:
      house: what is shown.
      host: address to listen on.
      port: to listen on; 0 for any free one.

    Raises:
      UserError: host or port cannot be had.
    """
    over = threading.Event()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # Started in the background of a script: trainings would inherit that, and not stop when asked.
        signal.signal(signal.SIGINT, lambda *_: None)
    before = {number: signal.getsignal(number) for number in _ENDS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, lambda *_: over.set())
    # Held to the very end: the shell of a closed terminal sends SIGHUP too, as trainings are being stopped.
    try:
        with serving(house, host=host, port=port) as address:
            try:
                print(f"{address}  (Ctrl-C ends)", flush=True)
                over.wait()
            except KeyboardInterrupt:
                print("", file=sys.stderr)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def refuse_taken(host: str, port: int) -> None:
    """Looks whether an address can be listened on.

    Raises:
      UserError: it cannot.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(
            f"--host={host}: no such address; 127.0.0.1 is this machine alone, 0.0.0.0 is every network"
        ) from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"--host={host} --port={port}: cannot listen there ({reason})") from error


def _furnish(server: viser.ViserServer) -> None:
    """What every page looks like before its session has come."""
    server.gui.configure_theme(show_logo=False, show_share_button=False, brand_color=_BRAND)
    server.gui.main_panel.dock_right()
    server.initial_camera.position = front_position(4.0)
    server.initial_camera.look_at = (0.0, 0.0, 0.0)
    server.initial_camera.fov = FOV
