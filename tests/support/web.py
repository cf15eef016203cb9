"""A small HTTP server whose answers are values, and may end in any way a connection can end."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import BinaryIO

_PIECE = 64 << 10
_TICK = 0.02
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class Body:
    """The body of a request, to be read by whoever answers."""

    def __init__(self, stream: BinaryIO | None = None, left: int = 0) -> None:
        self._stream = stream
        self.left = left

    def read(self, amount: int | None = None) -> bytes:
        """The next bytes, without `amount` all; fewer when the client goes away."""
        wanted = self.left if amount is None else min(amount, self.left)
        data = self._stream.read(wanted) if self._stream is not None and wanted else b""
        self.left = self.left - len(data) if len(data) == wanted else 0
        return data


@dataclass
class Request:
    """One request as it came; `status`, `sent` (bytes of body) and `ended` are what became of it.

    `ended` is "" until then, "whole", "cut", "reset", "stall", or "gone" when the client was the
    one to leave. `at` is in seconds of the monotonic clock; `connection` counts from 1, and `open`
    is how many of them were open.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Body = field(default_factory=Body)
    at: float = 0.0
    connection: int = 0
    open: int = 0
    status: int = 0
    sent: int = 0
    ended: str = ""
    form: str = ""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def range(self) -> str:
        """The Range header, "" for none."""
        return self.headers.get("Range", "")

    @property
    def authorization(self) -> str:
        """The scheme of the Authorization header, "" for none; the log keeps no secret."""
        return self.headers.get("Authorization", "").partition(" ")[0]


@dataclass(frozen=True)
class Reply:
    """One answer to send: of `body` only the first `cut` bytes, then `end` happens.

    `end` is "" to go on, "close" or "reset" the connection, or "stall" until the server closes.
    `rate` is in bytes of body a second; from byte `gate[0]` on the body waits for `gate[1]`. With
    status 0 no head is sent but `raw`, as it is.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    end: str = ""
    chunked: bool = False
    rate: float | None = None
    gate: tuple[int, threading.Event] | None = None
    raw: Iterable[bytes] = ()


Answer: TypeAlias = "Callable[[Request], Reply]"


class Server(socketserver.ThreadingTCPServer):
    """Ends every connection when it closes, so that no thread outlives it."""

    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, answer: Answer, address: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.answer = answer
        self.scheme = "https" if tls else "http"
        self.connections = 0
        self.closing = threading.Event()
        self.numbers: dict[socket.socket, int] = {}
        super().__init__((address, port), _Handler)
        # Small, so that `sent` counts what the client took, not what the kernel swallowed.
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self.socket.setsockopt(socket.SOL_SOCKET, option, _PIECE)
        if tls:  # the handshake belongs to the connection's own thread
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self.connections += 1
        self.numbers[request] = self.connections
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close without a farewell, which would come before a reset."""
        self.numbers.pop(request, None)
        self.close_request(request)

    def close(self) -> None:
        """Stop, wake every thread that waits for a client, and wait for it."""
        self.closing.set()
        self.shutdown()
        for connection in list(self.numbers):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is part of many tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer, as every method does."""
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        headers = {name.title(): ", ".join(self.headers.get_all(name)) for name in self.headers}
        body = Body(self.rfile, int(headers.get("Content-Length", 0)))
        request = Request(self.command, path, query, headers, body, time.monotonic())
        request.connection = self.server.numbers.get(self.connection, 0)
        request.open = len(self.server.numbers)
        reply = self.server.answer(request)
        request.status = reply.status
        if not reply.end and not reply.raw:
            body.read()
        try:
            self._send(request, reply)
        except OSError:
            request.ended = "gone"
            raise
        self._finish(request, reply.end)

    def _send(self, request: Request, reply: Reply) -> None:
        for piece in reply.raw:
            request.sent += len(piece)
            self.wfile.write(piece)
        if reply.status:
            self._send_head(reply)
            if self.command != "HEAD":
                self._send_body(request, reply)

    # The names that http.server looks for.
    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing: whoever answers can keep a log."""

    def _send_head(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()

    def _send_body(self, request: Request, reply: Reply) -> None:
        for piece in self._pieces(reply):
            request.sent += len(piece)  # before: the client may look at it as soon as it has it
            head, tail = (b"%x\r\n" % len(piece), b"\r\n") if reply.chunked else (b"", b"")
            self.wfile.write(head + piece + tail)
        if reply.chunked and not reply.end:
            self.wfile.write(b"0\r\n\r\n")

    def _pieces(self, reply: Reply) -> Iterator[memoryview]:
        """The body in pieces, each when it is time for it; no more once the server closes."""
        wanted = memoryview(reply.body)[: reply.cut]
        at, opened = reply.gate or (len(wanted), None)
        size = _PIECE if reply.rate is None else max(1, min(_PIECE, int(reply.rate * _TICK)))
        yield from self._paced(wanted[:at], size, reply.rate)
        while opened is not None and not opened.wait(_TICK):
            if self.server.closing.is_set():
                raise ConnectionAbortedError("the server closes")
        yield from self._paced(wanted[at:], size, reply.rate)

    def _paced(self, data: memoryview, size: int, rate: float | None) -> Iterator[memoryview]:
        for start in range(0, len(data), size):
            if rate is not None and self.server.closing.wait(size / rate):
                raise ConnectionAbortedError("the server closes")
            yield data[start : start + size]

    def _finish(self, request: Request, end: str) -> None:
        request.ended = {"": "whole", "close": "cut"}.get(end, end)
        if end == "stall":
            self.server.closing.wait()
        if end == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if end:
            self.close_connection = True


@contextlib.contextmanager
def silent_host() -> Iterator[str]:
    """A host and port where every connection is taken and none is ever answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield _name(listener)


@contextlib.contextmanager
def full_host() -> Iterator[str]:
    """A host and port where connecting hangs: its backlog is full, further SYNs are dropped."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        yield _name(listener)


def _name(listener: socket.socket) -> str:
    address, port = listener.getsockname()
    return f"{address}:{port}"
