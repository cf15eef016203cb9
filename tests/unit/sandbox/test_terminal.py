"""The user's terminal, and the pair that a container gets."""

from __future__ import annotations

import os
import pty
import termios

import pytest

from layerkit.errors import UsageError
from layerkit.sandbox import terminal


@pytest.fixture
def pair():
    """Master and slave of a new terminal."""
    descriptors = pty.openpty()
    yield descriptors
    for descriptor in descriptors:
        os.close(descriptor)


def test_raw_passes_every_byte(pair):
    """In raw mode no byte has a meaning and none is echoed; afterwards the modes are as before."""
    master, slave = pair
    before = termios.tcgetattr(slave)

    with terminal.raw(slave):
        os.write(master, b"\x03\x04\r")
        assert os.read(slave, 10) == b"\x03\x04\r"
        os.write(slave, b"a\n")
        assert os.read(master, 10) == b"a\n"

    assert termios.tcgetattr(slave) == before


def test_raw_ends_with_an_error_too(pair):
    """Whatever leaves the block, the modes come back."""
    _, slave = pair
    before = termios.tcgetattr(slave)

    with pytest.raises(KeyboardInterrupt), terminal.raw(slave):
        raise KeyboardInterrupt

    assert termios.tcgetattr(slave) == before


def test_raw_leaves_a_pipe_alone():
    """What is no terminal has no modes to change."""
    reading, writing = os.pipe()
    with terminal.raw(reading):
        pass
    os.close(reading)
    os.close(writing)


def test_interactive_terminal_needs_one(pair):
    """`-i -t` is refused where stdin is no terminal, in docker's words."""
    terminal.require_terminal(pair[1])
    with open(os.devnull, "rb") as null, pytest.raises(UsageError) as caught:
        terminal.require_terminal(null.fileno())
    assert caught.value.message == "the input device is not a TTY"


def test_size_is_that_of_the_first_terminal(pair):
    """Descriptors that are missing or no terminals are passed over."""
    termios.tcsetwinsize(pair[1], (30, 100))
    with open(os.devnull, "rb") as null:
        assert terminal.size(None, null.fileno(), pair[1]) == (30, 100)
        assert terminal.size(null.fileno()) is None


def test_a_pair_has_its_size_from_the_start():
    """The slave comes from the master itself and has the size before anybody can ask."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    slave = terminal.open_pair(master, (40, 120))
    try:
        assert termios.tcgetwinsize(slave) == (40, 120)
        assert not os.get_inheritable(slave)
        os.write(slave, b"x")
        assert os.read(master, 1) == b"x"
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("path", ["/dev/null", "/etc/passwd"])
def test_what_is_no_master_is_refused(path):
    """A file in the place of /dev/pts/ptmx is noticed before it is used."""
    with open(path, "rb") as file, pytest.raises(OSError, match="not the master of a terminal"):
        terminal.open_pair(file.fileno(), None)
