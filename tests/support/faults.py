"""What can be wrong with an answer of the test registry: each fault is a function around `serve`.

How often one happens is said where it is put in (`registry.fault(…, times=2)`) and by `After`;
`both` makes one fault of two. With what they keep, faults are classes, and a test makes its own.
"""

from __future__ import annotations

import gzip
import re
import secrets
import threading
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias

from support.web import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from support.web import Answer, Request

Fault: TypeAlias = "Callable[[Request, Answer], Reply]"

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BOMB_PART = 64 << 20


# -- when ------------------------------------------------------------------------------------------


class After:
    """Let the first `count` requests through, and then the fault happen."""

    def __init__(self, count: int, fault: Fault) -> None:
        self._left = count
        self._fault = fault
        self._lock = threading.Lock()

    def __call__(self, request: Request, serve: Answer) -> Reply:
        with self._lock:
            self._left -= 1
            honest = self._left >= 0
        return serve(request) if honest else self._fault(request, serve)


def both(outer: Fault, inner: Fault) -> Fault:
    """Let `outer` happen to what `inner` makes of the answer."""
    return lambda request, serve: outer(request, lambda changed: inner(changed, serve))


def doing(action: Callable[[], object]) -> Fault:
    """Do something, as `registry.forget_tokens`, and then answer as usual."""

    def act(request: Request, serve: Answer) -> Reply:
        action()
        return serve(request)

    return act


def crowded(most: int, code: int = 503, **headers: str) -> Fault:
    """Refuse, and close, a connection while more than `most` of them are open."""
    refusal = status(code, **headers)

    def refuse(request: Request, serve: Answer) -> Reply:
        if request.open <= most:
            return serve(request)
        return replace(refusal(request, serve), end="close")

    return refuse


# -- how a connection ends ---------------------------------------------------------------------------


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


def reset(request: Request, _serve: Answer) -> Reply:
    """Reset the connection without an answer."""
    del request
    return Reply(0, end="reset")


def silence(request: Request, _serve: Answer) -> Reply:
    """Take the request and answer nothing, with the connection open."""
    del request
    return Reply(0, end="stall")


def then_close(request: Request, serve: Answer) -> Reply:
    """Close behind a whole answer, without having said so."""
    return replace(serve(request), end="close")


def slow(rate: float) -> Fault:
    """Send this many bytes of body a second; below 50 they come one by one."""
    return lambda request, serve: replace(serve(request), rate=rate)


def held(at: int, until: threading.Event) -> Fault:
    """Send `at` bytes of the body, and the rest when the event is set."""
    return lambda request, serve: replace(serve(request), gate=(at, until))


def raw(*pieces: bytes, endless: bytes = b"") -> Fault:
    """Send these bytes instead of an answer, then one piece again and again, or close."""

    def all_pieces() -> Iterable[bytes]:
        yield from pieces
        if endless:
            yield from repeat(endless)

    return lambda _request, _serve: Reply(0, raw=all_pieces(), end="close")


# -- what stands in the answer ------------------------------------------------------------------------


def status(code: int, body: bytes | str = b"", **headers: str) -> Fault:
    """Answer with this status instead; `Retry_After="1"` is a header."""
    data = body.encode() if isinstance(body, str) else body
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _request, _serve: Reply(code, named, data)


def wrong_bytes(request: Request, serve: Answer) -> Reply:
    """Change the first byte of the body, not its length."""
    reply = serve(request)
    return replace(reply, body=bytes([reply.body[0] ^ 1]) + reply.body[1:])


def more_bytes(extra: bytes = b"more") -> Fault:
    """Send `extra` behind the body."""
    return lambda request, serve: _longer(serve(request), extra)


def surplus(extra: bytes = b"more") -> Fault:
    """Send `extra` behind the body, beyond what Content-Length says."""

    def change(request: Request, serve: Answer) -> Reply:
        reply = serve(request)
        length = {"Content-Length": str(len(reply.body))}
        return _longer(replace(reply, headers={**reply.headers, **length}), extra)

    return change


def shorter(at: int) -> Fault:
    """Send `at` bytes of the body as if they were all."""
    return lambda request, serve: _cut_body(serve(request), at)


class Corrupt:
    """Change byte `at` of a blob in the first `times` answers that hold it (None: in all)."""

    def __init__(self, at: int, times: int | None = None) -> None:
        self._at = at
        self._left = times
        self._lock = threading.Lock()

    def __call__(self, request: Request, serve: Answer) -> Reply:
        reply = serve(request)
        place = self._at - _start(reply)
        if not 0 <= place < len(reply.body) or not self._may():
            return reply
        body = bytearray(reply.body)
        body[place] ^= 1
        return replace(reply, body=bytes(body))

    def _may(self) -> bool:
        with self._lock:
            if self._left is None:
                return True
            self._left -= 1
            return self._left >= 0


def encoded(label: str = "gzip") -> Fault:
    """Compress the body with gzip and label it."""

    def change(request: Request, serve: Answer) -> Reply:
        reply = serve(request)
        body = gzip.compress(reply.body, mtime=0)
        return replace(reply, headers={**reply.headers, "Content-Encoding": label}, body=body)

    return change


def mislabelled(label: str) -> Fault:
    """Say that the body has a Content-Encoding that it has not."""
    return with_headers({"Content-Encoding": label})


def gzip_bomb(size: int) -> Fault:
    """Answer with gzip that grows to `size` bytes of zeros, a thousand times as many."""
    parts, rest = divmod(size, _BOMB_PART)
    body = gzip.compress(bytes(_BOMB_PART), mtime=0) * parts if parts else b""
    body += gzip.compress(bytes(rest), mtime=0)
    return lambda _request, _serve: Reply(200, {"Content-Encoding": "gzip"}, body)


def chunked(request: Request, serve: Answer) -> Reply:
    """Send the body in chunks, without its length."""
    return replace(serve(request), chunked=True)


def ignore_range(request: Request, serve: Answer) -> Reply:
    """Answer as if no range had been asked for."""
    return serve(replace(request, headers=without_headers(request.headers, "Range")))


def cap_range(most: int) -> Fault:
    """Send at most this many bytes of a range, and say so rightly."""

    def cap(request: Request, serve: Answer) -> Reply:
        start, _, end = request.range.removeprefix("bytes=").partition("-")
        if not start.isdigit():
            return serve(request)
        last = min(int(end or start) if end else int(start) + most - 1, int(start) + most - 1)
        headers = {**request.headers, "Range": f"bytes={start}-{last}"}
        return serve(replace(request, headers=headers))

    return cap


def content_range(form: Callable[[int, int, int], str]) -> Fault:
    """Let `form` write the Content-Range of start, end and total; "" leaves it out."""

    def change(request: Request, serve: Answer) -> Reply:
        reply = serve(request)
        match = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
        if match is None:
            return reply
        text = form(*map(int, match.groups()))
        return with_headers({"Content-Range": text})(request, lambda _request: reply)

    return change


WRONG_CONTENT_RANGES: Mapping[str, Fault] = {
    "start": content_range(lambda start, end, total: f"bytes {start + 1}-{end}/{total}"),
    "shifted": content_range(lambda start, end, total: f"bytes {start + 1}-{end + 1}/{total}"),
    "end": content_range(lambda start, end, total: f"bytes {start}-{end - 1}/{total}"),
    "total": content_range(lambda start, end, total: f"bytes {start}-{end}/{total + 1}"),
    "reversed": content_range(lambda start, end, total: f"bytes {end}-{start}/{total}"),
    "words": content_range(lambda _start, _end, _total: "bytes some-more/all"),
    "huge": content_range(lambda start, _end, total: f"bytes {start}-{'9' * 5000}/{total}"),
    "missing": content_range(lambda _start, _end, _total: ""),
}
"""Ranges that must not be believed (D06)."""

ODD_CONTENT_RANGES: Mapping[str, Fault] = {
    "no unit": content_range(lambda start, end, total: f"{start}-{end}/{total}"),
    "no total": content_range(lambda start, end, _total: f"bytes {start}-{end}/*"),
}
"""Ranges that are right, if not as the standard wants them (D06)."""


def lying_416(request: Request, serve: Answer) -> Reply:
    """Refuse the range with the whole blob's Content-Length before a short body (D09)."""
    whole = ignore_range(request, serve)
    headers = {"Content-Length": str(len(whole.body)), "Content-Type": "application/json"}
    return Reply(416, headers, b'{"errors":[{"code":"UNKNOWN"}]}\n')


HOSTILE_HEADS: Mapping[str, Fault] = {
    "endless headers": raw(b"HTTP/1.1 200 OK\r\n", endless=b"X-More: yes\r\n" * 1000),
    "endless line": raw(b"HTTP/1.1 200 OK\r\nX-Long: ", endless=b"a" * 10_000),
    "long line": raw(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * (64 << 10) + b"\r\n\r\n"),
    "many headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X-More: yes\r\n" * 10_000 + b"\r\n"),
    "http 0.9": raw(b"<html>It works!</html>\n"),
    "status abc": raw(b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"),
    "two lengths": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    "bad length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nab"),
    "bad chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nab"),
}
"""Answers that no client should believe or wait for (S01); each then closes, but the endless ones."""


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


class Presigned:
    """Blobs at a second origin, by URLs that are good for `uses` requests each (T01, T03, T06).

    `redirect` is the fault of the registry, `check` that of the origin: it refuses a request with
    an Authorization header, and answers 403 in XML, as S3 does, when the URL is used up or was
    signed for another method.
    """

    def __init__(self, origin: str, uses: int, code: int = 307) -> None:
        self._origin = origin
        self._uses = uses
        self._code = code
        self._left: dict[str, int] = {}
        self._lock = threading.Lock()

    def redirect(self, request: Request, serve: Answer) -> Reply:
        """Send the client to a new URL for the same path."""
        query = f"X-Amz-Expires=60&X-Amz-Signature={secrets.token_hex(16)}%2B%2f"
        with self._lock:
            self._left[f"{request.method} {query}"] = self._uses
        return redirect(self._origin, self._code, query)(request, serve)

    def check(self, request: Request, serve: Answer) -> Reply:
        """Serve what has a good URL, byte for byte the one that was given out."""
        if request.authorization:
            return _xml(400, "InvalidArgument", "Only one auth mechanism allowed")
        with self._lock:
            signed = f"{request.method} {request.query}"
            left = self._left.get(signed)
            if left is None:
                return _xml(403, "SignatureDoesNotMatch", "The signature does not match")
            if left == 0:
                return _xml(403, "AccessDenied", "Request has expired")
            self._left[signed] = left - 1
        return serve(request)


def _xml(code: int, name: str, message: str) -> Reply:
    declaration = '<?xml version="1.0" encoding="UTF-8"?>'
    body = f"{declaration}\n<Error><Code>{name}</Code><Message>{message}</Message></Error>"
    return Reply(code, {"Content-Type": "application/xml"}, body.encode())


def _start(reply: Reply) -> int:
    """Where in the blob the body begins."""
    match = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", ""))
    return int(match[1]) if match else 0


def _cut_body(reply: Reply, at: int) -> Reply:
    return replace(reply, body=reply.body[:at])


def _longer(reply: Reply, extra: bytes) -> Reply:
    return replace(reply, body=reply.body + extra)


def without_headers(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    """All but these headers."""
    unwanted = {name.lower() for name in names}
    return {name: value for name, value in headers.items() if name.lower() not in unwanted}
