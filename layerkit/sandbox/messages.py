"""What a process tells its monitor on its way to the program, one message a packet.

The channel is a SOCK_SEQPACKET socket pair, so a message is read whole or not at all. Its end says
that the program runs: execve closes the last descriptor of that side.
"""

from __future__ import annotations

import array
import errno
import json
import os
import socket
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import asdict

from layerkit.errors import CommandNotFoundError, NotExecutableError, SandboxError
from layerkit.sandbox import trampoline

PACKET_LIMIT = 65536
_TEXT_LIMIT = 2048  # characters, of up to twelve bytes each in JSON


class Opened(Struct, frozen=True):
    """The container's terminal is there; the descriptor of its master comes along."""


class Failed(Struct, frozen=True):
    """Why there is no container; `step` is empty where the text says it all."""

    step: str
    text: str


class NotExecuted(Struct, frozen=True):
    """The program was not executed, for the reason that the errno `number` says.

    `found` tells that its file is there: with ENOENT, something that it needs is not.
    """

    number: int
    found: bool


Message: TypeAlias = Opened | Failed | NotExecuted

_KINDS: dict[str, type[Message]] = {kind.__name__: kind for kind in (Opened, Failed, NotExecuted)}


def encode(message: Message) -> bytes:
    """The message as one packet."""
    fields = asdict(message)
    for key, value in fields.items():
        if isinstance(value, str):
            fields[key] = value[:_TEXT_LIMIT]
    return json.dumps({"kind": type(message).__name__, **fields}).encode("ascii")


def decode(packet: bytes) -> Message:
    """The message that `packet` is."""
    number = trampoline.why(packet)
    if number is not None:
        return NotExecuted(number, found=True)
    fields = json.loads(packet)
    return _KINDS[fields.pop("kind")](**fields)


def receive(channel: socket.socket) -> tuple[Message, list[int]] | None:
    """The next message with its descriptors (close-on-exec), None at the end."""
    # socket.recv_fds of Python 3.11 loses the flag, and the descriptors would be inherited.
    descriptors = array.array("i")
    space = socket.CMSG_LEN(descriptors.itemsize)
    packet, extra, _, _ = channel.recvmsg(PACKET_LIMIT, space, socket.MSG_CMSG_CLOEXEC)
    for _, _, data in extra:
        descriptors.frombytes(data)
    return (decode(packet), descriptors.tolist()) if packet else None


def send(channel: socket.socket, message: Message, *descriptors: int) -> None:
    """Send the message, and the descriptors with it."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    channel.sendmsg([encode(message)], [rights] if descriptors else [])


def error(message: Message, program: str) -> SandboxError:
    """The error that a message of a failure is, where `program` was to be executed."""
    match message:
        case Failed(step="", text=text):
            return SandboxError(text)
        case Failed(step=step, text=text):
            return SandboxError(f"cannot {step}: {text}")
        case NotExecuted(number=number, found=found):
            return _not_executed(number, program, found=found)
    return SandboxError(f"unexpected message of the container: {message}")


def _not_executed(number: int, program: str, *, found: bool) -> SandboxError:
    reason = os.strerror(number)
    if number not in {errno.ENOENT, errno.ENOTDIR}:
        hint = "it is made for another machine, or is a script without a #! line"
        return NotExecutableError(
            f"cannot execute {program!r}: {reason}", hint=hint if number == errno.ENOEXEC else ""
        )
    if found:
        reason = "its interpreter or loader is not in the image"
    elif "/" not in program:
        reason = "executable file not found in $PATH"
    return CommandNotFoundError(f"cannot execute {program!r}: {reason}")
