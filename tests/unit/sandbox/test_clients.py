"""Clients as a monitor sees them."""

from __future__ import annotations

import socket

import pytest
from support.processes import NOBODY, outcome

from layerkit.sandbox import frames
from layerkit.sandbox.clients import Client, may_attach
from layerkit.sandbox.frames import PAYLOAD, WINDOW, Hello, Output, Taken

LISTENS = Hello(listens=True)
FULL = b"x" * PAYLOAD


@pytest.fixture
def channel():
    """The monitor's end and the client's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.settimeout(20)
    with ours, theirs:
        yield ours, theirs


def test_who_does_not_listen_gets_no_output(channel):
    """Output is for those who asked for it; what else is told is for all."""
    ours, theirs = channel
    client = Client(ours)
    client.output(1, b"secret")
    client.push(frames.Ended(0))

    assert frames.receive(theirs) == frames.Ended(0)


def test_frames_wait_for_room(channel):
    """A full socket holds up nobody: frames wait, and go out in their order."""
    ours, theirs = channel
    client = Client(ours, LISTENS, paces=True)
    for number in range(200):
        client.push(Output(1, number.to_bytes(2) + FULL[2:]))
    assert client.waiting

    came = []
    while client.waiting or len(came) < 200:
        came.append(frames.receive(theirs).data[:2])
        client.flush()

    assert came == [number.to_bytes(2) for number in range(200)]


def test_who_paces_is_behind_by_a_window(channel):
    """The container should wait when so many bytes of a stream are on their way, for that stream."""
    ours, _ = channel
    client = Client(ours, LISTENS, paces=True)
    for _ in range(WINDOW // PAYLOAD):
        assert not client.is_behind(1)
        client.output(1, FULL)

    assert (client.is_behind(1), client.is_behind(2)) == (True, False)
    client.has_taken(Taken(1, 1))
    assert not client.is_behind(1)


def test_who_paces_is_never_let_go(channel):
    """Nothing is lost to the foreground, however far it is behind."""
    ours, _ = channel
    client = Client(ours, LISTENS, paces=True)
    for _ in range(64):
        client.output(1, FULL)

    assert not client.gone


def test_who_does_not_pace_holds_up_nobody(channel):
    """It is never behind, and let go when too much waits for it."""
    ours, theirs = channel
    client = Client(ours, LISTENS)
    while not client.gone:
        assert not client.is_behind(1)
        client.output(1, FULL)

    got = 0
    while (frame := frames.receive(theirs)) is not None:
        got += len(frame.data)
    assert got <= 17 * PAYLOAD


def test_who_keeps_up_stays(channel):
    """Bytes that were taken do not count any more."""
    ours, theirs = channel
    client = Client(ours, LISTENS)
    for _ in range(200):
        client.output(1, FULL)
        assert frames.receive(theirs) == Output(1, FULL)
        client.has_taken(Taken(1, PAYLOAD))

    assert not client.gone


def test_taken_of_no_stream_is_nothing(channel):
    """A client may say what it wants about streams that there are not."""
    ours, _ = channel
    client = Client(ours, LISTENS, paces=True)

    client.has_taken(Taken(7, 1))

    assert not client.is_behind(1)


@pytest.mark.parametrize(
    "packet", [b"?", b"\xff" * 100, b"t\1", b"i" + FULL * 2], ids=["kind", "noise", "cut", "long"]
)
def test_who_sends_nonsense_is_let_go(channel, packet):
    """A packet that is no frame ends that connection, and raises nothing."""
    ours, theirs = channel
    client = Client(ours)
    theirs.send(packet)

    assert client.take() is None
    assert client.gone


def test_who_left_is_gone(channel):
    """The end of the connection is seen by reading as by writing, and told again does nothing."""
    ours, theirs = channel
    client = Client(ours, LISTENS)
    assert (client.take(), client.gone) == (None, False)
    theirs.close()

    client.output(1, b"x")
    client.push(frames.Ended(0))
    client.leave()

    assert (client.gone, client.waiting, client.is_behind(1)) == (True, False, False)


def test_root_and_the_same_user_may_attach(channel):
    """The kernel says who is on the other side."""
    assert may_attach(channel[0])


@pytest.mark.root
def test_another_user_may_not_attach(tmp_path):
    """A socket that others could open is no way in."""
    tmp_path.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        address = f"\0{tmp_path}"
        listener.bind(address)
        listener.listen()
        listener.settimeout(20)

        def connect():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
                channel.connect(address)

        assert outcome(connect, uid=NOBODY) == 0
        channel, _ = listener.accept()
        with channel:
            assert not may_attach(channel)
