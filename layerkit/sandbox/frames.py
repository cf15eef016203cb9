"""What a container's monitor and those who talk with it tell each other.

They share a SOCK_SEQPACKET socket, so a frame is read whole or not at all: a byte that says its
kind, then its content. A socket's end says that the other side is gone.

Bytes of a stream are sent only as far as the receiver said that it has taken earlier ones, so no
stream holds up another one, nor a signal.
"""

from __future__ import annotations

import array
import socket
import struct
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

PAYLOAD = 65536
"""The most bytes of a stream that one frame carries."""
WINDOW = 4 * PAYLOAD
"""How many bytes of a stream may be on their way."""
_LIMIT = PAYLOAD + 16


class Hello(Struct, frozen=True):
    """What a client wants, told first: to send input, to get the output."""

    sends: bool = False
    listens: bool = False


class Input(Struct, frozen=True):
    """Bytes for the standard input; none mean its end."""

    data: bytes | memoryview


class Output(Struct, frozen=True):
    """Bytes that the container wrote to stream 1 or 2; with a terminal all is 1."""

    stream: int
    data: bytes | memoryview


class Taken(Struct, frozen=True):
    """Room for more: so many bytes of stream 0 (by the monitor), 1 or 2 (by a client) have gone on."""

    stream: int
    amount: int


class Unread(Struct, frozen=True):
    """Nobody reads this stream of the client any more."""

    stream: int


class Resize(Struct, frozen=True):
    """The size of the client's terminal."""

    rows: int
    columns: int


class Signal(Struct, frozen=True):
    """Send this signal to the first process."""

    number: int


class Ask(Struct, frozen=True):
    """Asks for a pidfd of the first process; answered by `Started`, with it."""


class Started(Struct, frozen=True):
    """The program runs; its pid on the host."""

    pid: int


class Failed(Struct, frozen=True):
    """The program was not started; `packet` is a message of `layerkit.sandbox.messages`."""

    packet: bytes


class Ended(Struct, frozen=True):
    """The first process ended with this code, negative for a signal; there is no more output."""

    code: int


Frame: TypeAlias = (
    Hello | Input | Output | Taken | Unread | Resize | Signal | Ask | Started | Failed | Ended
)


class _Shape(Struct, frozen=True):
    """How a kind of frame is written: a letter, its numbers, and bytes behind them if it has some."""

    kind: bytes
    type: Callable[..., Frame]
    numbers: struct.Struct
    has_bytes: bool = False


_SHAPES = (
    _Shape(b"h", Hello, struct.Struct("!??")),
    _Shape(b"i", Input, struct.Struct("!"), has_bytes=True),
    _Shape(b"o", Output, struct.Struct("!B"), has_bytes=True),
    _Shape(b"t", Taken, struct.Struct("!BI")),
    _Shape(b"u", Unread, struct.Struct("!B")),
    _Shape(b"r", Resize, struct.Struct("!HH")),
    _Shape(b"s", Signal, struct.Struct("!B")),
    _Shape(b"a", Ask, struct.Struct("!")),
    _Shape(b"g", Started, struct.Struct("!I")),
    _Shape(b"f", Failed, struct.Struct("!"), has_bytes=True),
    _Shape(b"e", Ended, struct.Struct("!i")),
)
_BY_TYPE = {shape.type: shape for shape in _SHAPES}
_BY_KIND = {shape.kind: shape for shape in _SHAPES}


def encode(frame: Frame) -> bytes:
    """The frame as one packet."""
    shape = _BY_TYPE[type(frame)]
    values = [getattr(frame, name) for name in frame.__struct_fields__]
    tail = values.pop() if shape.has_bytes else b""
    return b"".join((shape.kind, shape.numbers.pack(*values), tail))


def decode(packet: bytes) -> Frame:
    """The frame that `packet` is; raises `ValueError` for what is none, or more than one holds."""
    if len(packet) > _LIMIT:
        raise ValueError(f"bad frame {packet[:20]!r}: more than {_LIMIT} bytes")
    shape = _BY_KIND.get(packet[:1])
    if shape is None:
        raise ValueError(f"bad frame {packet[:20]!r}: unknown kind")
    end = 1 + shape.numbers.size
    if len(packet) < end or (len(packet) > end and not shape.has_bytes):
        raise ValueError(f"bad frame {packet[:20]!r}: {len(packet)} bytes")
    values = shape.numbers.unpack(packet[1:end])
    return shape.type(*values, packet[end:]) if shape.has_bytes else shape.type(*values)


def send(channel: socket.socket, frame: Frame, *descriptors: int) -> None:
    """Send the frame, and the descriptors with it; raises `OSError`, as for a full socket."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    channel.sendmsg([encode(frame)], [rights] if descriptors else [], socket.MSG_NOSIGNAL)


def receive(channel: socket.socket) -> Frame | None:
    """The next frame, None at the end; raises `OSError` and `ValueError`."""
    try:
        packet = channel.recv(_LIMIT + 1)
    except ConnectionResetError:  # it left without reading all of ours; what it sent is still here
        packet = channel.recv(_LIMIT + 1)
    return decode(packet) if packet else None


def receive_with(channel: socket.socket) -> tuple[Frame | None, list[int]]:
    """As `receive`, with the descriptors that came along (close-on-exec)."""
    descriptors = array.array("i")
    wanted = (_LIMIT + 1, socket.CMSG_LEN(descriptors.itemsize), socket.MSG_CMSG_CLOEXEC)
    try:
        packet, extra, _, _ = channel.recvmsg(*wanted)
    except ConnectionResetError:  # as above
        packet, extra, _, _ = channel.recvmsg(*wanted)
    for _, _, data in extra:
        descriptors.frombytes(data)
    return (decode(packet) if packet else None), descriptors.tolist()
