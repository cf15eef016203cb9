"""A small HTTP server whose answers are values, and may end in any way a connection can end."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

_PIECE = 64 << 10
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
    """One request as it came; `status` and `sent` (bytes of body) are what became of it."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Body = field(default_factory=Body)
    status: int = 0
    sent: int = 0

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
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    end: str = ""
    chunked: bool = False


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
        self._open: set[socket.socket] = set()
        super().__init__((address, port), _Handler)
        # Small, so that `sent` counts what the client took, not what the kernel swallowed.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
        if tls:  # the handshake belongs to the connection's own thread
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own."""
        self.connections += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close without a farewell, which would come before a reset."""
        self._open.discard(request)
        self.close_request(request)

    def close(self) -> None:
        """Stop, wake every thread that waits for a client, and wait for it."""
        self.closing.set()
        self.shutdown()
        for connection in list(self._open):
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
        request = Request(self.command, path, query, headers, body)
        reply = self.server.answer(request)
        request.status = reply.status
        if not reply.end:
            body.read()
        if reply.status:
            self._send_head(reply)
            if self.command != "HEAD":
                self._send_body(request, reply)
        self._finish(reply.end)

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
        wanted = memoryview(reply.body)[: reply.cut]
        for start in range(0, len(wanted), _PIECE):
            piece = wanted[start : start + _PIECE]
            request.sent += len(piece)  # before: the client may look at it as soon as it has it
            head, tail = (b"%x\r\n" % len(piece), b"\r\n") if reply.chunked else (b"", b"")
            self.wfile.write(head + piece + tail)
        if reply.chunked and not reply.end:
            self.wfile.write(b"0\r\n\r\n")

    def _finish(self, end: str) -> None:
        if end == "stall":
            self.server.closing.wait()
        if end == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if end:
            self.close_connection = True
