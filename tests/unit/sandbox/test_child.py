"""The processes between layerkit and the container's program."""

from __future__ import annotations

import os
import signal

import pytest

from layerkit.sandbox import child, signals
from layerkit.sandbox.process import ExitStatus


def status_of(action):
    """The wait status of a child that does `action`."""
    pid = os.fork()
    if pid == 0:
        try:
            signals.reset()
            action()
        finally:
            os._exit(99)
    return os.waitpid(pid, 0)[1]


@pytest.mark.parametrize(
    "end",
    [
        lambda: os._exit(0),
        lambda: os._exit(255),
        lambda: os.kill(os.getpid(), signal.SIGKILL),
        lambda: os.kill(os.getpid(), signal.SIGTERM),
        lambda: os.kill(os.getpid(), signal.SIGRTMAX),
    ],
    ids=["0", "255", "KILL", "TERM", "RTMAX"],
)
def test_the_keeper_ends_as_its_child(end):
    """Code and signal of the first process become those of the keeper."""
    status = status_of(end)

    assert status_of(lambda: child._end_like(status)) == status


def test_a_crash_makes_one_core_file_only():
    """The keeper repeats the signal, not the core dump."""
    crash = status_of(lambda: os.kill(os.getpid(), signal.SIGSEGV))

    repeated = status_of(lambda: child._end_like(crash))

    assert (os.WTERMSIG(repeated), os.WCOREDUMP(repeated)) == (signal.SIGSEGV, False)


@pytest.mark.parametrize(
    ("status", "code"),
    [(ExitStatus(), 0), (ExitStatus(3), 3), (ExitStatus(signal=15), 143)],
)
def test_shell_code(status, code):
    """A signal is 128 and its number, as in a shell."""
    assert status.shell_code == code
