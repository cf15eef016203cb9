"""What a process tells its monitor on its way to the program."""

from __future__ import annotations

import errno
import os
import socket
import struct

import pytest

from layerkit.sandbox.messages import (
    PACKET_LIMIT,
    Failed,
    NotExecuted,
    Opened,
    decode,
    encode,
    receive,
    send,
)

MESSAGES = [
    Opened(),
    Failed("mount proc on /proc", "Operation not permitted"),
    Failed("enter /caf\udce9", "not UTF-8"),
    NotExecuted(errno.ENOENT, found=False),
]


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_a_message_arrives_as_it_was(message):
    """Decoding a packet gives the message that was encoded."""
    assert decode(encode(message)) == message


def test_a_message_fits_into_a_packet():
    """However long a path of the image is, the report about it gets through."""
    assert len(encode(Failed("\udcff" * 10**6, "\U0001f433" * 10**6))) < PACKET_LIMIT


def test_the_report_of_the_trampoline_is_a_message():
    """Eight bytes with a negative errno say that the program, which was found, did not start."""
    assert decode(struct.pack("<q", -errno.ENOEXEC)) == NotExecuted(errno.ENOEXEC, found=True)


def test_descriptors_come_along_until_the_end():
    """A message carries a descriptor, which is close-on-exec; a closed channel is the end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            send(theirs, Opened(), theirs.fileno())
            send(theirs, Failed("", "why"))

        message, (copy,) = receive(ours)
        assert (message, os.get_inheritable(copy)) == (Opened(), False)
        os.close(copy)
        assert receive(ours) == (Failed("", "why"), [])
        assert receive(ours) is None
