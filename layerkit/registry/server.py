"""A small HTTP/1.1 server for a `Catalog`: one thread, every wait and every amount limited."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError
from layerkit.registry import message, serving

if TYPE_CHECKING:
    import socket
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable

    from layerkit.registry.message import Request
    from layerkit.registry.serving import Answer, Catalog

_END_OF_HEAD = b"\r\n\r\n"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The patience with clients: open `connections`, bytes of a request's `head`, and seconds.

    `idle` is how long a client may take to send a head, and to take a MiB of a body; `linger`
    how long it may still send after the last answer.
    """

    connections: int = 128
    head: int = 32 << 10
    idle: float = 60.0
    linger: float = 1.0


@dataclass(frozen=True, slots=True)
class Served:
    """One line of the log: who asked for what, and `sent` of `length` bytes of body.

    `target` is as the client wrote it; `problem` is what failed on this side.
    """

    client: str
    method: str
    target: str
    status: int
    sent: int
    length: int
    problem: str = ""


class Server:
    """Answers every connection of a listening socket."""

    def __init__(
        self, catalog: Catalog, log: Callable[[Served], None], limits: ServerLimits | None = None
    ) -> None:
        self._catalog = catalog
        self._log = log
        self._limits = limits or ServerLimits()
        self._open: set[asyncio.Task[None]] = set()

    async def run(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        """Serve until cancelled, then end all connections; `ready` is called before the first."""
        server = await asyncio.start_server(self._connected, sock=listener, limit=self._limits.head)
        try:
            ready()
            await asyncio.get_running_loop().create_future()
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await _Connection(reader, writer, self._limits, self._log).serve(self._chosen())
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client is gone, or as good as gone
        except asyncio.CancelledError:
            pass  # the server ends, and the connection with it
        finally:
            self._open.discard(task)
            writer.transport.abort()

    def _chosen(self) -> Callable[[Request], Answer] | None:
        """Who answers this connection; nobody if there are too many."""
        return None if len(self._open) > self._limits.connections else self._answer

    def _answer(self, request: Request) -> Answer:
        return serving.answer(self._catalog, request)


class _Connection:
    """One client: requests one after another, until it or we have enough."""

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        limits: ServerLimits,
        log: Callable[[Served], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._log = log
        writer.transport.set_write_buffer_limits(0)  # so that drain() means: the kernel has it
        address = writer.get_extra_info("peername") or ("", 0)
        self._client = f"{address[0]}:{address[1]}"

    async def serve(self, answer: Callable[[Request], Answer] | None) -> None:
        """Answer all requests; refuse the first one without `answer`."""
        if answer is None:
            await self._refuse(
                HTTPStatus.SERVICE_UNAVAILABLE, "TOOMANYREQUESTS", "too many connections"
            )
        else:
            while await self._exchange(answer):
                pass
        await self._linger()

    async def _exchange(self, answer: Callable[[Request], Answer]) -> bool:
        """Answer one request; whether another one may follow."""
        try:
            async with asyncio.timeout(self._limits.idle):
                request = message.parse_head(await self._read_head())
        except asyncio.LimitOverrunError:
            status, text = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too large"
            return await self._refuse(status, "UNSUPPORTED", text)
        except ValueError as error:
            return await self._refuse(HTTPStatus.BAD_REQUEST, "UNSUPPORTED", str(error))
        problem = ""
        try:
            reply = answer(request)
        except (LayerkitError, OSError) as error:
            problem = str(error)
            text = "the registry cannot read its store"
            reply = serving.error(HTTPStatus.INTERNAL_SERVER_ERROR, "UNKNOWN", text)
        with contextlib.closing(reply.file) if reply.file else contextlib.nullcontext():
            await self._send(request.method, request.target, reply, problem, last=request.last)
        return not request.last

    async def _read_head(self) -> bytes:
        """The next head; of what cannot be one, as the hello of TLS, only the first byte."""
        first = await self._reader.readexactly(1)
        if not first.isupper():
            return first
        return first + await self._reader.readuntil(_END_OF_HEAD)

    async def _refuse(self, status: HTTPStatus, code: str, text: str) -> bool:
        await self._send("", "", serving.error(status, code, text), "", last=True)
        return False

    async def _send(
        self, method: str, target: str, reply: Answer, problem: str, *, last: bool
    ) -> None:
        length = 0 if method == "HEAD" else reply.length
        sent = 0
        try:
            async with asyncio.timeout(self._limits.idle):
                body = reply.body if length else b""
                self._writer.write(_head(reply, last=last) + body)
                await self._writer.drain()
            sent = len(body)
            while sent < length:
                sent += await self._send_piece(reply, sent)
        finally:
            self._log(Served(self._client, method, target, reply.status, sent, length, problem))

    async def _send_piece(self, reply: Answer, start: int) -> int:
        """Send the next bytes of the file; raises `OSError` if it is shorter than it was."""
        piece = reply.part[start : start + _PIECE]
        loop = asyncio.get_running_loop()
        assert reply.file is not None
        async with asyncio.timeout(self._limits.idle):
            sent = await loop.sendfile(self._writer.transport, reply.file, piece.start, len(piece))
        if sent == 0:
            raise OSError("the blob is shorter than it was")
        return sent

    async def _linger(self) -> None:
        """Read what still comes for a moment: to close before would take the answer back."""
        self._writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.linger):
                while await self._reader.read(_PIECE):
                    pass


def _head(reply: Answer, *, last: bool) -> bytes:
    headers = {
        "Date": formatdate(usegmt=True),
        "Docker-Distribution-Api-Version": "registry/2.0",
        **reply.headers,
    }
    if reply.status != HTTPStatus.NOT_MODIFIED:
        headers["Content-Length"] = str(reply.length)
    if last:
        headers["Connection"] = "close"
    lines = [f"HTTP/1.1 {reply.status.value} {reply.status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
