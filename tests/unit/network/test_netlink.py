"""Netlink messages as bytes."""

from __future__ import annotations

import errno
import struct

import pytest

from layerkit.network import netlink
from layerkit.network.netlink import Request, attribute, big, nested, number, text


def error_body(code, *said):
    """What the kernel sends about a request, without the request's own bytes."""
    return struct.pack("=i", -code) + bytes(16) + b"".join(said)


@pytest.mark.parametrize(
    ("encoded", "wanted"),
    [
        (attribute(5, b"abc"), b"\x07\x00\x05\x00abc\x00"),
        (attribute(5, b""), b"\x04\x00\x05\x00"),
        (text(3, "lo"), b"\x07\x00\x03\x00lo\x00\x00"),
        (big(1, 258), b"\x08\x00\x01\x00\x00\x00\x01\x02"),
        (big(1, -100), b"\x08\x00\x01\x00\xff\xff\xff\x9c"),
        (nested(2, attribute(1, b"")), b"\x08\x00\x02\x80\x04\x00\x01\x00"),
    ],
    ids=["padded", "empty", "text", "big-endian", "negative", "nested"],
)
def test_attributes_are_encoded(encoded, wanted):
    """An attribute has its length without padding, its number, its data, and fills four bytes."""
    assert encoded == wanted


def test_attributes_are_decoded():
    """What was encoded is read again, without the mark of nesting."""
    data = text(3, "lo") + number(4, 7) + nested(5, attribute(1, b"x"))

    found = netlink.attributes(data)

    assert found == {3: b"lo\0", 4: struct.pack("=I", 7), 5: attribute(1, b"x")}


@pytest.mark.parametrize(
    "data",
    [b"", b"\x03", b"\x00\x00\x01\x00", b"\x03\x00\x01\x00xxxx"],
    ids=["nothing", "part-of-a-header", "length-0", "length-3"],
)
def test_broken_attributes_end_the_list(data):
    """What is no attribute is not read, and not read for ever."""
    assert netlink.attributes(attribute(1, b"good") + data) == {1: b"good"}


def test_messages_are_told_apart():
    """A datagram of several messages is read as those, each with its sequence number."""
    requests = [Request(16, 4, b"abc", "first"), Request(24, 0, b"", "second")]
    datagram = b"".join(netlink.encode(each, 7 + place) for place, each in enumerate(requests))

    found = list(netlink.messages(datagram))

    assert found == [(16, 5, 7, b"abc"), (24, 1, 8, b"")]


@pytest.mark.parametrize("length", [0, 15], ids=["0", "15"])
def test_a_broken_message_ends_the_datagram(length):
    """A length that is less than a header is not read for ever."""
    assert list(netlink.messages(struct.pack("=IHHII", length, 2, 0, 1, 0))) == []


def test_done_is_no_error():
    """The verdict 0 is an acknowledgement."""
    assert netlink.refusal(Request(1, 0, b"", "try"), 0, error_body(0)) is None


def test_a_refusal_says_what_was_tried_and_why():
    """An error has the request's name, the kernel's words and the attribute it points at."""
    request = Request(16, 0, bytes(4) + number(4, 0) + text(18, "x"), "make it")
    offset = 16 + 4 + 8  # header, header of the family, first attribute
    said = text(1, "Unknown device type") + number(2, offset)

    error = netlink.refusal(request, 0x200, error_body(errno.EOPNOTSUPP, said))

    assert error.errno == errno.EOPNOTSUPP
    assert error.filename == "make it"
    assert error.strerror == "Operation not supported (Unknown device type), attribute 18"


def test_an_error_without_words():
    """A kernel that says a number only is told with the name of that number."""
    error = netlink.refusal(Request(16, 0, b"", "make it"), 0, error_body(errno.EPERM))

    assert str(error) == "[Errno 1] Operation not permitted: 'make it'"


class TestSocket:
    """A real socket, of routes: everybody may ask for them."""

    def test_requests_are_answered_one_by_one(self):
        """Each request has its own answer, also when one between them is refused."""
        ask = Request(18, 0, bytes(16) + text(3, "lo"), "find lo")
        wrong = Request(18, 0, bytes(16) + text(3, "no-such-link"), "find no-such-link")

        with netlink.Socket(0) as kernel:
            first, second, third = kernel.try_all([ask, wrong, ask])

        assert [len(each.bodies) for each in (first, second, third)] == [1, 0, 1]
        assert (first.error, third.error) == (None, None)
        assert second.error.errno == errno.ENODEV

    def test_a_refusal_is_raised(self):
        """`ask` raises the error with the name of what was tried."""
        wrong = Request(18, 0, bytes(16) + text(3, "no-such-link"), "find no-such-link")

        with netlink.Socket(0) as kernel, pytest.raises(OSError, match="find no-such-link"):
            kernel.ask(wrong)
