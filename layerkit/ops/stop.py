"""Stop, kill, wait: signals for the first process of a container that runs, and its end."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError
from layerkit.ops import containers, pause, states
from layerkit.ops.connecting import connect, refusing_the_ended
from layerkit.sandbox import frames
from layerkit.sandbox.frames import Hello
from layerkit.sandbox.signals import number_of

if TYPE_CHECKING:
    import socket

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

__all__ = ["PATIENCE", "kill", "number_of", "stop", "wait"]

PATIENCE = 10
"""Seconds that a container may take to stop before it is killed, as docker has it."""


def kill(home: Home, container: ContainerRecord, number: int = signal.SIGKILL) -> None:
    """Send a signal to the first process; raises `ConflictError` where there is none.

    A paused container is no longer paused then, or it could not take the signal.
    """
    with connect(home, container, Hello()) as channel, refusing_the_ended(container):
        frames.send(channel, frames.Signal(number))
    pause.thaw(home, container)


def stop(
    home: Home,
    container: ContainerRecord,
    *,
    patience: int | None = None,
    number: int | None = None,
) -> None:
    """Ask the container to end, and kill it when it has not after `patience` seconds (-1: never).

    Nothing happens to one that does not run. By default patience and signal are those it was made
    with, else docker's.
    """
    if not states.read(home, container).is_running:
        return
    config = containers.read_config(home, container)
    if patience is None:
        wished = config.wishes.stop_timeout
        patience = PATIENCE if wished is None else wished
    try:
        channel = connect(home, container, Hello())
    except ConflictError:  # it ended meanwhile
        return
    with channel, contextlib.suppress(ConnectionError):
        frames.send(channel, frames.Signal(number or number_of(config.stop_signal)))
        pause.thaw(home, container)
        if not _ends(channel, patience):
            frames.send(channel, frames.Signal(signal.SIGKILL))
            _ends(channel, -1)


def wait(home: Home, container: ContainerRecord) -> int:
    """The exit code of a container, when it has ended; that of the last run if it does not run."""
    try:
        channel = connect(home, container, Hello())
    except ConflictError:
        return states.read(home, container).exit_code or 0
    with channel:
        channel.settimeout(None)
        while True:
            match frames.receive(channel):
                case frames.Ended(code):
                    return code if code >= 0 else 128 - code
                case frames.Failed() | None:
                    known = states.read(home, container).exit_code
                    return states.LOST if known is None else known


def _ends(channel: socket.socket, patience: int) -> bool:
    """Whether the container ends in so many seconds."""
    deadline = None if patience < 0 else time.monotonic() + patience
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        channel.settimeout(left)
        try:
            frame = frames.receive(channel)
        except TimeoutError:
            return False
        if frame is None or isinstance(frame, frames.Ended | frames.Failed):
            return True
