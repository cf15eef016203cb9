"""What can be wrong with an answer of the test registry: each fault is a function around `serve`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from support.web import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.web import Answer, Request

Fault: TypeAlias = "Callable[[Request, Answer], Reply]"


def status(code: int, body: bytes | str = b"", **headers: str) -> Fault:
    """Answer with this status instead; `Retry_After="1"` is a header."""
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, _serve: Reply(code, named, data)


def cut(at: int, *, reset: bool = False) -> Fault:
    """End the connection after `at` bytes of the body."""
    end = "reset" if reset else "close"
    return lambda request, serve: replace(serve(request), cut=at, end=end)


def stall(at: int) -> Fault:
    """Send `at` bytes of the body and then nothing, with the connection open."""
    return lambda request, serve: replace(serve(request), cut=at, end="stall")


def hang_up(request: Request, _serve: Answer) -> Reply:
    """End the connection without an answer."""
    del request
    return Reply(0, end="close")


def wrong_bytes(request: Request, serve: Answer) -> Reply:
    """Change the first byte of the body, not its length."""
    reply = serve(request)
    return replace(reply, body=bytes([reply.body[0] ^ 1]) + reply.body[1:])


def more_bytes(extra: bytes = b"more") -> Fault:
    """Send `extra` behind the body."""
    return lambda request, serve: _longer(serve(request), extra)


def chunked(request: Request, serve: Answer) -> Reply:
    """Send the body in chunks, without its length."""
    return replace(serve(request), chunked=True)


def ignore_range(request: Request, serve: Answer) -> Reply:
    """Answer as if no range had been asked for."""
    return serve(replace(request, headers=without_headers(request.headers, "Range")))


def with_headers(headers: Mapping[str, str]) -> Fault:
    """Set these headers of the answer; "" takes one away."""

    def change(request: Request, serve: Answer) -> Reply:
        reply = serve(request)
        merged = {**without_headers(reply.headers, *headers), **headers}
        return replace(reply, headers={name: value for name, value in merged.items() if value})

    return change


def redirect(origin: str, code: int = 307, query: str = "") -> Fault:
    """Send the client to the same path at `origin` (`http://host:port`)."""
    end = f"?{query}" if query else ""
    return lambda request, _serve: Reply(code, {"Location": f"{origin}{request.path}{end}"})


def _longer(reply: Reply, extra: bytes) -> Reply:
    return replace(reply, body=reply.body + extra)


def without_headers(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    """All but these headers."""
    unwanted = {name.lower() for name in names}
    return {name: value for name, value in headers.items() if name.lower() not in unwanted}
