"""HTTP requests as a server reads them (RFC 9110, RFC 9112): heads to values, ranges to `range`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

_LINE = re.compile(r"([!-~]{1,20}) ([!-~]+) HTTP/1\.([01])", re.ASCII)
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", re.ASCII)
_FIELDS = 100
_PARAMETERS = 20
# No file has 10**18 bytes or more, and Python refuses to read numbers of thousands of digits.
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request: `target` as it was sent, `path` without escapes, the first value of
    each parameter in `query`, and headers by lower-case name, repeated ones joined by a comma.

    `last` says that no other request can follow on this connection.
    """

    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    last: bool


def parse_head(head: bytes) -> Request:
    """The request that `head`, up to its empty line, is; `ValueError` says why it is none."""
    line, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("the first line is not that of a request")
    headers = _headers(fields)
    method, target, minor = match.groups()
    parts = urlsplit(target)
    query = parse_qsl(parts.query, max_num_fields=_PARAMETERS)
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    asks_to_close = "close" in headers.get("connection", "").lower()
    return Request(
        method,
        target,
        unquote(parts.path),
        dict(reversed(query)),
        headers,
        last=minor == "0" or has_body or asks_to_close,
    )


def _headers(fields: list[str]) -> dict[str, str]:
    if len(fields) > _FIELDS:
        raise ValueError(f"more than {_FIELDS} headers")
    headers: dict[str, str] = {}
    for field in fields:
        match = _FIELD.fullmatch(field)
        if match is None:
            raise ValueError("a header is not of the form NAME: VALUE")
        name, value = match[1].lower(), match[2].rstrip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def wanted_range(request: Request, size: int, etag: str) -> range | None:
    """Which of `size` bytes the request wants, None for all; an empty range cannot be satisfied.

    What a server may ignore is all of them (RFC 9110, 14.2): several ranges, other units, what is
    malformed, and the range of another content (If-Range).
    """
    match = _RANGE.fullmatch(request.headers.get("range", ""))
    if match is None or request.method != "GET":
        return None
    if request.headers.get("if-range", etag) != etag:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return range(max(size - int(suffix), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def accepts(request: Request, media_type: str) -> bool:
    """Whether the client takes this type; one that does not say takes all (RFC 9110, 12.5.1)."""
    types = request.headers.get("accept", "").split(",")
    taken = {each.partition(";")[0].strip().lower() for each in types} - {""}
    return not taken or not taken.isdisjoint({media_type, "application/*", "*/*"})


def knows(request: Request, etag: str) -> bool:
    """Whether the client has the content with this ETag already (If-None-Match)."""
    tags = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    return "*" in tags or etag in {tag.removeprefix("W/") for tag in tags}
