"""The side of whoever attaches, with a monitor that the test plays."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import tty
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.processes import child, until

from layerkit.errors import CommandNotFoundError, SandboxError
from layerkit.sandbox import frames, messages
from layerkit.sandbox.attach import Detached, ExitStatus, Manners, Stdio, attach
from layerkit.sandbox.relay import CHUNK


@pytest.fixture
def channel():
    """The client's end and the monitor's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.settimeout(20)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def stdio(tmp_path):
    """Streams without input, whose output goes to two files."""
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        yield Stdio(None, out.fileno(), err.fileno())


@pytest.mark.parametrize(
    ("status", "code"),
    [(ExitStatus(), 0), (ExitStatus(3), 3), (ExitStatus(signal=15), 143)],
)
def test_shell_code(status, code):
    """A signal is 128 and its number, as in a shell."""
    assert status.shell_code == code


def test_output_comes_before_the_end(channel, stdio, tmp_path):
    """Each stream goes to its own descriptor, and whoever asks is told the pid."""
    ours, theirs = channel
    pids = []
    for frame in (
        frames.Started(7),
        frames.Output(1, b"out"),
        frames.Output(2, b"err"),
        frames.Output(1, b"put"),
        frames.Ended(3),
    ):
        frames.send(theirs, frame)

    assert attach(ours, stdio, Manners(), on_started=pids.append) == ExitStatus(3)
    assert (pids, (tmp_path / "out").read_bytes()) == ([7], b"output")
    assert (tmp_path / "err").read_bytes() == b"err"


def test_what_was_written_is_told(channel, stdio):
    """The monitor learns of the room for more as soon as bytes have gone on."""
    ours, theirs = channel
    frames.send(theirs, frames.Output(1, b"abc"))
    frames.send(theirs, frames.Output(2, b"d"))
    frames.send(theirs, frames.Ended(-9))

    assert attach(ours, stdio, Manners()) == ExitStatus(signal=9)
    assert {frames.receive(theirs), frames.receive(theirs)} == {
        frames.Taken(1, 3),
        frames.Taken(2, 1),
    }


def test_nobody_reads_ours(channel):
    """A reader of ours that went away is told once, so the program's next write can fail."""
    ours, theirs = channel
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as broken:
        for frame in (frames.Output(1, b"a"), frames.Output(1, b"b"), frames.Ended(0)):
            frames.send(theirs, frame)
        attach(ours, Stdio(None, broken.fileno(), broken.fileno()), Manners())
    ours.close()
    told = []
    while (frame := frames.receive(theirs)) is not None:
        told.append(frame)

    assert told.count(frames.Unread(1)) == 1


@contextmanager
def monitor_that_wants(channel, *wanted):
    """A monitor that ends with 0 when these frames came, with 1 as soon as another one does."""

    def play():
        code = int(any(frames.receive(channel) != frame for frame in wanted))
        frames.send(channel, frames.Ended(code))

    with child(play):
        yield


def test_input_goes_out_with_its_end(channel, stdio, tmp_path):
    """What is read of ours is sent, at last that there is no more."""
    ours, theirs = channel
    (tmp_path / "in").write_bytes(b"abc")
    with (
        open(tmp_path / "in", "rb") as given,
        monitor_that_wants(theirs, frames.Input(b"abc"), frames.Input(b"")),
    ):
        status = attach(ours, Stdio(given.fileno(), stdio.stdout, stdio.stderr), Manners())

    assert status == ExitStatus(0)


def test_input_waits_for_room(channel, stdio):
    """No more is read than what the container has room for, so its writer feels that."""
    ours, theirs = channel
    with (
        open("/dev/zero", "rb", buffering=0) as zero,
        monitor_that_wants(theirs, frames.Input(bytes(CHUNK)), frames.Signal(signal.SIGUSR1)),
    ):
        pid = os.getpid()
        with child(
            lambda: (until(lambda: not signal_is_default(pid)), os.kill(pid, signal.SIGUSR1))
        ):
            status = attach(ours, Stdio(zero.fileno(), stdio.stdout, stdio.stderr), Manners())

    assert status == ExitStatus(0)


def signal_is_default(pid):
    """Whether a process does not catch SIGUSR1."""
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = re.findall(r"SigCgt:\t(\w+)", status)
    return not int(caught, 16) >> (signal.SIGUSR1 - 1) & 1


@pytest.mark.parametrize(
    ("message", "error", "text"),
    [
        (messages.Failed("mount proc", "no"), SandboxError, "cannot mount proc: no"),
        (messages.Failed("", "why"), SandboxError, "why"),
        (
            messages.NotExecuted(errno.ENOENT, found=False),
            CommandNotFoundError,
            "cannot execute 'prog': executable file not found in $PATH",
        ),
    ],
    ids=["step", "text", "program"],
)
def test_a_start_that_failed_is_an_error(channel, stdio, message, error, text):
    """The monitor's reason becomes an error that names the program."""
    ours, theirs = channel
    frames.send(theirs, frames.Failed(messages.encode(message)))

    with pytest.raises(error) as caught:
        attach(ours, stdio, Manners(), program="prog")
    assert caught.value.message == text


def test_a_monitor_that_was_killed_is_an_error(channel, stdio):
    """A channel that ends without a word is told as what it is."""
    ours, theirs = channel
    theirs.close()

    with pytest.raises(SandboxError, match="its monitor was killed"):
        attach(ours, stdio, Manners())


@pytest.fixture
def terminal():
    """A terminal in raw mode: what its user types, and what programs see of it."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, slave
    os.close(master)
    os.close(slave)


def test_keys_detach(channel, terminal):
    """RT-T04: CTRL-P CTRL-Q leaves at once, and only what was typed before is sent."""
    ours, theirs = channel
    master, slave = terminal
    os.write(master, b"ls\n\x10\x11rest")

    status = attach(ours, Stdio(slave, slave, slave), Manners(terminal=True))
    ours.close()

    assert status == Detached()
    sent = []
    while (frame := frames.receive(theirs)) is not None:
        sent.append(frame)
    assert sent == [frames.Resize(0, 0), frames.Input(b"ls\n")]


def test_keys_are_bytes_where_nobody_types(channel, stdio):
    """Input from a file or a pipe never detaches, whatever is in it."""
    ours, theirs = channel
    reading, writing = os.pipe()
    os.write(writing, b"\x10\x11")
    with monitor_that_wants(theirs, frames.Input(b"\x10\x11")):
        status = attach(ours, Stdio(reading, stdio.stdout, stdio.stderr), Manners(terminal=True))
    os.close(reading)
    os.close(writing)

    assert status == ExitStatus(0)


def test_the_terminal_is_as_before(channel, terminal):
    """Modes come back, also when the monitor was killed."""
    ours, theirs = channel
    _, slave = terminal
    tty.setcbreak(slave)
    before = tty.tcgetattr(slave)
    theirs.close()

    with pytest.raises(SandboxError):
        attach(ours, Stdio(slave, slave, slave), Manners(terminal=True))
    assert tty.tcgetattr(slave) == before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
