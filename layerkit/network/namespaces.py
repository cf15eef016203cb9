"""Network namespaces by descriptor; the calling process has one thread."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import TYPE_CHECKING, NoReturn

from layerkit import linux

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS = "/proc/thread-self/ns/net"


def new() -> int:
    """A new, empty namespace, which lives as long as the descriptor or a process in it."""
    with _coming_back():
        linux.unshare(linux.CLONE_NEWNET)
        return os.open(_OURS, os.O_RDONLY)


def apart() -> int:
    """As `new`, for root of a user namespace alone, who could not come back: a child makes it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            _send_new(theirs)
        theirs.close()
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        os.waitpid(pid, 0)
    if not descriptors:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), "unshare")
    return descriptors[0]


def _send_new(channel: socket.socket) -> NoReturn:
    try:
        linux.unshare(linux.CLONE_NEWNET)
        socket.send_fds(channel, [b"!"], [os.open(_OURS, os.O_RDONLY)])
    finally:
        os._exit(0)


@contextlib.contextmanager
def entered(namespace: int) -> Iterator[None]:
    """Be in the namespace while the block runs."""
    with _coming_back():
        linux.setns(namespace, linux.CLONE_NEWNET)
        yield


@contextlib.contextmanager
def _coming_back() -> Iterator[None]:
    here = os.open(_OURS, os.O_RDONLY)
    try:
        yield
    finally:
        linux.setns(here, linux.CLONE_NEWNET)
        os.close(here)
