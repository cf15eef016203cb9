"""layerkit's own registry server: in a thread of this process, and as the program."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

from layerkit.registry.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from layerkit.registry.server import Served, ServerLimits
    from layerkit.registry.serving import Catalog

_SERVING = re.compile(rb"Serving .* at http://(.*)\n")


class Running:
    """A server that runs: its port, and what it has logged."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.log: list[Served] = []

    def connect(self) -> socket.socket:
        """A new connection, to be closed by `with`."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def ask(self, head: bytes) -> bytes:
        """All that comes back for `head` until the server closes."""
        with self.connect() as connection:
            connection.sendall(head)
            return read_all(connection)


@contextlib.contextmanager
def serving(catalog: Catalog, limits: ServerLimits | None = None) -> Iterator[Running]:
    """A server for `catalog` while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Running(listener.getsockname()[1])
        server = Server(catalog, running.log.append, limits)
        loop = asyncio.new_event_loop()
        task = loop.create_task(server.run(listener, ready=lambda: None))
        thread = threading.Thread(target=_run, args=(loop, task), name="server")
        thread.start()
        try:
            yield running
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    with contextlib.closing(loop), contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)


@contextlib.contextmanager
def program(
    command: Sequence[str], *arguments: str, errors: Path
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`layerkit serve` as a process, and its HOST:PORT; what it says on stderr goes to `errors`."""
    line = [*command, *arguments, "serve", "--addr", "127.0.0.1:0"]
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=stderr) as process,
    ):
        try:
            said = process.stdout.readline()
            match = _SERVING.fullmatch(said)
            assert match is not None, (said, errors.read_text())
            yield process, match[1].decode()
        finally:
            process.terminate()


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes, also when it closes with a reset."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            received += piece
    return bytes(received)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer with a Content-Length: status, headers by lower-case name, body."""
    with connection.makefile("rb", buffering=0) as stream:
        status = int(stream.readline().split()[1])
        headers = {}
        while (line := stream.readline().decode().rstrip("\r\n")) != "":
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = bytearray()
        while len(body) < int(headers.get("content-length", 0)):
            body += stream.read(int(headers["content-length"]) - len(body))
        return status, headers, bytes(body)
