"""Netlink: messages and attributes as bytes, and a socket on which the kernel answers them.

The kernel works on a request within send(2), so whatever it has to say can be read at once: there
is no waiting here. Numbers are in the byte order of the machine, but for `big`.

Values of this part are named tuples: to make dataclasses takes longer than to connect a container.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

REQUEST = 0x01
ACK = 0x04
DUMP = 0x300
EXCL = 0x200
CREATE = 0x400
APPEND = 0x800

_ERROR = 2
_DONE = 3
_ACK_TLVS = 0x200
_ERR_MSG = 1
_ERR_OFFSET = 2
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_SOL_NETLINK = 270
_CAP_ACK = 10
_EXT_ACK = 11
_LONGEST_DATAGRAM = 1 << 16  # bytes; the kernel's are 32 KiB at most

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


class Request(NamedTuple):
    """A message to the kernel: `body` has the header of its family and attributes.

    `what` says in an error what was tried, such as `add the address`.
    """

    kind: int
    flags: int
    body: bytes
    what: str


class Answer(NamedTuple):
    """What the kernel said to one request: the bodies of its messages, and why it was refused."""

    bodies: list[bytes]
    error: OSError | None


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + bytes(-len(data) % 4)


def text(kind: int, value: str) -> bytes:
    """An attribute that is a string."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """An attribute that is a number of 32 bits."""
    return attribute(kind, struct.pack("=I", value))


def big(kind: int, value: int) -> bytes:
    """An attribute that is a number of 32 bits, most significant byte first."""
    return attribute(kind, struct.pack(">I", value & 0xFFFFFFFF))


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def each(data: bytes) -> list[tuple[int, bytes]]:
    """The attributes in `data`, each with its number."""
    found = []
    position, end = 0, len(data) - 3
    while position < end:
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < 4:  # noqa: PLR2004 - the attribute's own header
            break
        found.append((kind & _TYPE_MASK, data[position + 4 : position + length]))
        position += (length + 3) & ~3
    return found


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in `data` by their number."""
    return dict(each(data))


def messages(datagram: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The messages in what was received: type, flags, sequence number, and body."""
    position = 0
    while position + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(datagram, position)
        if length < _HEADER.size:
            return
        yield kind, flags, sequence, datagram[position + _HEADER.size : position + length]
        position += (length + 3) & ~3


def encode(request: Request, sequence: int) -> bytes:
    """The message as it is sent."""
    length = _HEADER.size + len(request.body)
    flags = request.flags | REQUEST
    padding = bytes(-length % 4)
    return _HEADER.pack(length, request.kind, flags, sequence, 0) + request.body + padding


def refusal(request: Request, flags: int, body: bytes) -> OSError | None:
    """The error in the kernel's verdict about a request, None where it has done it."""
    (code,) = struct.unpack_from("=i", body)
    if code == 0:
        return None
    said = attributes(body[4 + _HEADER.size :]) if flags & _ACK_TLVS else {}
    reason = os.strerror(-code)
    if _ERR_MSG in said:
        reason += f" ({said[_ERR_MSG].rstrip(bytes(1)).decode('utf-8', 'replace')})"
    if _ERR_OFFSET in said:
        reason += f", attribute {_attribute_at(request, said[_ERR_OFFSET])}"
    return OSError(-code, reason, request.what)


def _attribute_at(request: Request, offset: bytes) -> int:
    """The number of the attribute that the kernel points at, by its offset in the message."""
    (position,) = struct.unpack("=I", offset)
    _length, kind = _ATTRIBUTE.unpack_from(encode(request, 0), position)
    return int(kind) & _TYPE_MASK


class Socket:
    """A netlink socket of the network namespace that the process is in when it is made."""

    def __init__(self, protocol: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def ask(self, *requests: Request) -> list[list[bytes]]:
        """What the kernel answers each request with; OSError for the first one it refuses.

        Without a batch around them, requests behind one that is refused are done all the same.
        """
        answers = self.try_all(requests)
        for answer in answers:
            if answer.error is not None:
                raise answer.error
        return [answer.bodies for answer in answers]

    def try_all(self, requests: Sequence[Request]) -> list[Answer]:
        """As `ask`, with the errors as values; at most one of the requests is a dump."""
        first = self._sequence + 1
        self._sequence += len(requests)
        parts = [encode(request, first + place) for place, request in enumerate(requests)]
        self._socket.send(b"".join(parts))
        bodies: list[list[bytes]] = [[] for _ in requests]
        errors: list[OSError | None] = [None] * len(requests)
        for kind, flags, sequence, body in self._received():
            place = sequence - first
            if kind == _ERROR:
                errors[place] = errors[place] or refusal(requests[place], flags, body)
            elif kind != _DONE:
                bodies[place].append(body)
        return [Answer(*each) for each in zip(bodies, errors, strict=True)]

    def _received(self) -> Iterator[tuple[int, int, int, bytes]]:
        while True:
            try:
                datagram = self._socket.recv(_LONGEST_DATAGRAM, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            yield from messages(datagram)


def is_missing(error: OSError) -> bool:
    """Whether the kernel says that what was named is not there."""
    return error.errno in {errno.ENOENT, errno.ENODEV, errno.ESRCH}
