"""An HTTP proxy that keeps a log of what it was asked and by whom: forwards http, tunnels the rest."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIECE = 64 << 10
_LAST = "Connection: close"
_WRONG = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


@dataclass(frozen=True)
class Asked:
    """One request to the proxy: `CONNECT host:port`, or `GET http://host/…`, and its password."""

    method: str
    target: str
    password: str


class Proxy:
    """Runs while the `with` block does; wants the user and password `credentials` ("a:b").

    `hosts` say which `(address, port)` is meant by a `host:port`; others do not exist.
    """

    def __init__(self, credentials: str, hosts: Mapping[str, tuple[str, int]]) -> None:
        self._credentials = credentials
        self._hosts = hosts
        self.log: list[Asked] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name="proxy")]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_exception: object) -> None:
        _end(self._listener)
        self._threads[0].join()
        self._listener.close()
        for each in list(self._open):
            _end(each)
        while self._threads:
            self._threads.pop().join()
        for each in self._open:
            each.close()

    @property
    def url(self) -> str:
        """The proxy with its password, as in `HTTPS_PROXY`."""
        return f"http://{self._credentials}@{self.host}"

    @property
    def host(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was ended
            while True:
                client, _ = self._listener.accept()
                self._open.add(client)
                self._start(self._serve, client)

    def _start(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, name="proxy")
        self._threads.append(thread)
        thread.start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if head := _head(client):
                self._answer(client, head)
        _end(client)

    def _answer(self, client: socket.socket, head: bytes) -> None:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ")
        given = next((f for f in fields if f.lower().startswith("proxy-authorization:")), "")
        password = base64.b64decode(given.rpartition(" ")[2]).decode()
        self.log.append(Asked(method, target, password))
        if password != self._credentials:
            client.sendall(_WRONG)
            return
        host = target if method == "CONNECT" else target.split("/")[2]
        server = socket.create_connection(self._hosts[host], timeout=60)
        self._open.add(server)
        if method == "CONNECT":
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._start(_copy, server, client)
            _copy(client, server)
        else:
            path = "/" + target.split("/", 3)[3]
            kept = [f for f in fields if not f.lower().startswith(("proxy-", "connection:"))]
            request = "\r\n".join([f"{method} {path} HTTP/1.1", _LAST, *kept])
            server.sendall(request.encode("latin-1"))
            client.sendall(_head(server).removesuffix(b"\r\n") + f"{_LAST}\r\n\r\n".encode())
            _copy(server, client)


def _head(client: socket.socket) -> bytes:
    """The head of the next request, with its empty line; b"" at the end."""
    received = bytearray()
    while not received.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte:
            return b""
        received += byte
    return bytes(received)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
