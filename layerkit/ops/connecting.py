"""Talking with the monitor of a container that runs."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError
from layerkit.ops import containers, states
from layerkit.sandbox import frames
from layerkit.sandbox.frames import Hello

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

SOCKET = "attach.sock"
"""Where a monitor listens, in the container's folder."""


def connect(home: Home, container: ContainerRecord, hello: Hello) -> socket.socket:
    """A channel to the monitor of a container; raises `ConflictError` when it does not run."""
    if not states.read(home, container).is_running:  # its monitor may be there for a moment longer
        raise ConflictError(f"container {container.name} is not running")
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with in_folder(containers.folder_of(home, container)) as place:
            channel.connect(f"{place}/{SOCKET}")
        frames.send(channel, hello)
    except OSError:
        channel.close()
        raise ConflictError(f"container {container.name} is not running") from None
    return channel


@contextlib.contextmanager
def refusing_the_ended(container: ContainerRecord) -> Iterator[None]:
    """Raise `ConflictError` where a monitor turns out to be at its end, and takes nothing any more."""
    try:
        yield
    except ConnectionError:
        raise ConflictError(f"container {container.name} is not running") from None


def first_process(home: Home, container: ContainerRecord) -> int:
    """A pidfd of the container's first process, to be closed; raises `ConflictError` without one.

    It comes from the monitor, whose child it is: no other process can have the number meanwhile.
    """
    with connect(home, container, Hello()) as channel, refusing_the_ended(container):
        frames.send(channel, frames.Ask())
        while True:
            match frames.receive_with(channel):
                case frames.Started(), [pidfd]:
                    return pidfd
                case ((None | frames.Ended() | frames.Failed()), _):
                    raise ConflictError(f"container {container.name} is not running")


@contextlib.contextmanager
def in_folder(folder: Path) -> Iterator[str]:
    """A name for the folder that is short enough for a socket's address, 107 bytes."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
