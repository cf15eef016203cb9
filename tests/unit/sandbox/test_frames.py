"""What goes between a monitor and its clients."""

from __future__ import annotations

import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerkit.sandbox import frames

BYTES = st.binary(max_size=300) | st.just(b"x" * frames.PAYLOAD)
BYTE = st.integers(0, 255)
WORD = st.integers(0, (1 << 32) - 1)
FRAMES = st.one_of(
    st.builds(frames.Hello, st.booleans(), st.booleans()),
    st.builds(frames.Input, BYTES),
    st.builds(frames.Output, BYTE, BYTES),
    st.builds(frames.Taken, BYTE, WORD),
    st.builds(frames.Unread, BYTE),
    st.builds(frames.Resize, st.integers(0, 65535), st.integers(0, 65535)),
    st.builds(frames.Signal, BYTE),
    st.just(frames.Ask()),
    st.builds(frames.Started, WORD),
    st.builds(frames.Failed, BYTES),
    st.builds(frames.Ended, st.integers(-(1 << 31), (1 << 31) - 1)),
)


@pytest.fixture
def channel():
    """Both ends of a channel."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


@given(frame=FRAMES)
def test_a_frame_arrives_as_it_was(frame):
    """Decoding a packet gives the frame that was encoded, in its type and in every field."""
    arrived = frames.decode(frames.encode(frame))

    assert type(arrived) is type(frame)
    for field in frame.__struct_fields__:
        value = getattr(arrived, field)
        assert (type(value), value) == (type(value), getattr(frame, field))


def test_bytes_may_be_a_view():
    """What is sent need not be copied first."""
    packet = frames.encode(frames.Input(memoryview(b"abc")[1:]))

    assert frames.decode(packet) == frames.Input(b"bc")


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"?", id="no such kind"),
        pytest.param(b"\xff" * 40, id="noise"),
        pytest.param(b"o", id="output without its stream"),
        pytest.param(b"t\1\0\0", id="cut short"),
        pytest.param(b"s\17!", id="one byte more"),
        pytest.param(b"a" * 2, id="a question with something behind it"),
        pytest.param(b"i" + b"x" * (frames.PAYLOAD + 16), id="longer than any"),
    ],
)
def test_a_bad_packet_is_refused(packet):
    """What no frame looks like is an error of one kind."""
    with pytest.raises(ValueError, match="bad frame"):
        frames.decode(packet)


@given(packet=st.binary(max_size=64))
def test_any_packet_is_a_frame_or_refused(packet):
    """No packet does anything else, and each frame has one spelling."""
    try:
        frame = frames.decode(packet)
    except ValueError:
        return

    if not isinstance(frame, frames.Hello):  # every byte but 0 is true
        assert frames.encode(frame) == packet


def test_a_packet_that_is_too_long_is_no_shorter_one(channel):
    """Bytes that a socket would cut off are an error, not lost."""
    ours, theirs = channel
    theirs.send(b"i" + b"x" * (frames.PAYLOAD + 500))

    with pytest.raises(ValueError, match="more than"):
        frames.receive(ours)


def test_frames_come_one_by_one_until_the_end(channel):
    """The end of the channel is None."""
    ours, theirs = channel
    frames.send(theirs, frames.Input(b"x" * frames.PAYLOAD))
    frames.send(theirs, frames.Ask())
    theirs.close()

    assert frames.receive(ours) == frames.Input(b"x" * frames.PAYLOAD)
    assert frames.receive(ours) == frames.Ask()
    assert frames.receive(ours) is None


@pytest.mark.parametrize(
    "receive", [frames.receive, lambda channel: frames.receive_with(channel)[0]], ids=["", "with"]
)
def test_what_was_sent_is_read_also_from_who_left_in_a_hurry(channel, receive):
    """A side that closes with our frames unread resets the channel; its own last frame is there."""
    ours, theirs = channel
    frames.send(ours, frames.Ask())
    frames.send(theirs, frames.Ended(3))
    theirs.close()

    assert receive(ours) == frames.Ended(3)
    assert receive(ours) is None


def test_a_descriptor_comes_along(channel):
    """It is a new one, closed when a program is executed."""
    ours, theirs = channel
    reading, writing = os.pipe()
    frames.send(theirs, frames.Started(7), reading)
    os.write(writing, b"through")

    frame, (copy,) = frames.receive_with(ours)

    assert (frame, os.get_inheritable(copy), os.read(copy, 9)) == (
        frames.Started(7),
        False,
        b"through",
    )
    for each in (reading, writing, copy):
        os.close(each)
