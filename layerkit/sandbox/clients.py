"""Those who are attached to a container, as its monitor sees them."""

from __future__ import annotations

import collections
import contextlib
import os
import socket
from typing import TYPE_CHECKING

from layerkit.sandbox import frames
from layerkit.sandbox.frames import Hello

if TYPE_CHECKING:
    from layerkit.sandbox.frames import Frame

_PATIENCE = 1 << 20
"""Bytes that a client has not taken yet before it is let go."""


class Client:
    """One connection. The one that `paces` is the container's own foreground: nothing is lost to it."""

    def __init__(
        self, channel: socket.socket, hello: Hello | None = None, *, paces: bool = False
    ) -> None:
        channel.setblocking(False)
        self.hello = hello or Hello()
        self.paces = paces
        self.gone = False
        self._channel = channel
        self._waiting: collections.deque[bytes] = collections.deque()
        self._under_way = {1: 0, 2: 0}

    def fileno(self) -> int:
        """What to poll."""
        return self._channel.fileno()

    @property
    def waiting(self) -> bool:
        """Whether there are frames that it has not taken yet."""
        return bool(self._waiting)

    def is_behind(self, stream: int) -> bool:
        """Whether the container should write no more to this stream for now."""
        return self.paces and not self.gone and self._under_way[stream] >= frames.WINDOW

    def output(self, stream: int, data: bytes) -> None:
        """Send what the container wrote, if the client listens."""
        if not self.hello.listens:
            return
        self._under_way[stream] += len(data)
        if not self.paces and self._under_way[stream] > _PATIENCE:
            self.leave()
        self.push(frames.Output(stream, data))

    def has_taken(self, taken: frames.Taken) -> None:
        """Know that it has room again."""
        if taken.stream in self._under_way:
            self._under_way[taken.stream] -= taken.amount

    def push(self, frame: Frame) -> None:
        """Send a frame, now or as soon as there is room."""
        if self.gone:
            return
        self._waiting.append(frames.encode(frame))
        self.flush()

    def answer(self, frame: Frame, descriptor: int) -> None:
        """Send a frame with a descriptor, if there is room now."""
        with contextlib.suppress(OSError):
            frames.send(self._channel, frame, descriptor)

    def flush(self) -> None:
        """Send what waits as far as there is room."""
        while self._waiting:
            try:
                self._channel.send(self._waiting[0], socket.MSG_NOSIGNAL)
            except BlockingIOError:
                return
            except OSError:
                self.leave()
                return
            self._waiting.popleft()

    def take(self) -> Frame | None:
        """The next frame of the client, None when there is none or it left."""
        try:
            frame = frames.receive(self._channel)
        except BlockingIOError:
            return None
        except (OSError, ValueError):
            frame = None
        if frame is None:
            self.leave()
        return frame

    def leave(self) -> None:
        """End the connection."""
        if not self.gone:
            self.gone = True
            self._waiting.clear()
            self._channel.close()


def may_attach(channel: socket.socket) -> bool:
    """Whether the other side is root or the user that this process is (SO_PEERCRED)."""
    credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    uid = int.from_bytes(credentials[4:8], "little")
    return uid in {0, os.geteuid()}
