"""A TCP proxy that breaks connections on their way to a server."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE = 64 << 10


class Cutter:
    """Hands connections on to `upstream` (`host:port`) while the `with` block runs.

    Each of `cuts` ends one connection, after so many bytes from the client; what came until then
    reaches the server.
    """

    def __init__(self, upstream: str, cuts: Sequence[int]) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = host, int(port)
        self._cuts = list(cuts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name="cutter")]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for each in list(self._open):
            _end(each)
        for thread in self._threads[1:]:
            thread.join()
        for each in self._open:
            each.close()

    @property
    def host(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def cuts_left(self) -> int:
        """How many of the cuts were not made yet."""
        return len(self._cuts)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was ended
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._upstream)
                self._open |= {client, server}
                for target, arguments in (
                    (self._upwards, (client, server)),
                    (_copy, (server, client)),
                ):
                    thread = threading.Thread(target=target, args=arguments, name="cutter")
                    self._threads.append(thread)
                    thread.start()

    def _upwards(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := client.recv(_PIECE):
                server.sendall(data)
                passed += len(data)
                if self._cuts and passed >= self._cuts[0]:
                    self._cuts.pop(0)
                    break
        _end(client)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_WR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    _end(target)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
